"""What can be said of a function that is no convolution: on what it depends, and whether linearly."""

from __future__ import annotations

import numpy as np

from convdiff.probe.caller import FunctionCaller
from convdiff.probe.probe_arrays import whole
from convdiff.probe.shapes import ShapeForm
from convdiff.probe.trials import SEED
from convdiff.spec.layout import Array


def depends(asker: FunctionCaller, form: ShapeForm, bias: Array | None) -> tuple[bool, bool]:
    """Whether it depends on the input, and on the kernel."""
    random = np.random.default_rng(SEED)
    (x, other), (w, another) = (
        [whole(shape, random, 4) for _ in range(2)]
        for shape in (form.input_shape, form.kernel_shape)
    )
    base = asker.ask(x, w, bias).output
    return _differ(base, asker.ask(other, w, bias).output), _differ(
        base, asker.ask(x, another, bias).output
    )


def nature(asker: FunctionCaller, form: ShapeForm, bias: Array | None) -> dict[str, str]:
    """Each property with what was seen."""
    random = np.random.default_rng(SEED + 1)
    x, y = (whole(form.input_shape, random, 4) for _ in range(2))
    w, v = (whole(form.kernel_shape, random, 3) for _ in range(2))
    none, blank = np.zeros(form.input_shape), np.zeros(form.kernel_shape)
    first = asker.ask(x, w, bias, repeat=3)
    on_input, on_kernel = depends(asker, form, bias)
    known = {"called with": f"input {_dims(form.input_shape)}, kernel {_dims(form.kernel_shape)}"}
    if first.output is not None:
        known["output"] = _dims(first.output.shape)
    if not first.steady:
        known["deterministic"] = "no: asked again it answers differently"
    still = asker.ask(none, w, bias).output
    known["depends on the input"] = "yes" if on_input else "no"
    if on_input:
        known["linear in the input"] = _linear(
            asker, [(x, w), (y, w), (x + y, w), (2 * x, w), (-x, w)], still, bias
        )
    known["depends on the kernel"] = "yes" if on_kernel else "no"
    if on_kernel:
        zero = asker.ask(x, blank, bias).output
        known["linear in the kernel"] = _linear(
            asker, [(x, w), (x, v), (x, w + v), (x, 2 * w), (x, -w)], zero, bias
        )
    at_rest = asker.ask(none, blank, bias).output
    if _differ(still, at_rest) and still is not None:
        known["an input of zeros"] = (
            "gives what depends on the kernel: is it padded with something other than 0?"
        )
    elif still is not None and np.any(still):
        known["an input of zeros"] = "gives something other than 0: a bias?"
    return known


def _linear(
    asker: FunctionCaller, calls: list[tuple[Array, Array]], still: Array | None, bias: Array | None
) -> str:
    """yes, or no and in what way, from the answers to a, b, a + b, 2a and -a, less the one to 0."""
    answers = [asker.ask(x, w, bias).output for x, w in calls]
    shapes = {answer.shape for answer in [*answers, still] if answer is not None}
    if still is None or any(answer is None for answer in answers) or len(shapes) > 1:
        return "not known: it does not take every such array alike"
    a, b, both, twice, minus = (np.asarray(answer, np.float64) - still for answer in answers)
    if _near(both, a + b) and _near(twice, 2 * a) and _near(minus, -a):
        return "yes"
    whole_a = a + still
    if _near(twice, a):
        return "no: twice as much gives the same (normalised?)"
    if _near(minus, a):
        return "no: its negative gives the same"
    if float(whole_a.min()) >= 0 and _near(twice, 2 * a):
        return "no: never negative (relu?)"
    low, high = (
        float(min(whole_a.min(), (twice + still).min())),
        float(max(whole_a.max(), (twice + still).max())),
    )
    if high <= 1 and low >= -1:
        return f"no: stays between {low:.3g} and {high:.3g} (sigmoid, tanh?)"
    return (
        "no: twice as much gives twice as much, but sums do not add up"
        if _near(twice, 2 * a)
        else "no"
    )


def _near(a: Array, b: Array) -> bool:
    return bool(np.abs(a - b).max(initial=0) <= 1e-3 * max(1.0, float(np.abs(b).max(initial=0))))


def _differ(a: Array | None, b: Array | None) -> bool:
    return a is None or b is None or a.shape != b.shape or not np.array_equal(a, b, equal_nan=True)


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
