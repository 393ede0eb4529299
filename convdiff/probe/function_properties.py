"""What is known of a function that is no convolution: what it depends on, and whether linearly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convdiff.probe.function_caller import FunctionCaller
from convdiff.probe.probe_arrays import random_integers
from convdiff.probe.shape_guesses import ShapeGuess
from convdiff.probe.trials import SEED
from convdiff.spec.layout import Array

OF_ZEROS_BY_KERNEL = "gives what depends on the kernel: is it padded with something other than 0?"


@dataclass(frozen=True)
class FunctionProperties:
    """What the calls of a function that is no convolution showed.

    `texts` has each property by name.  `reason` is why it is no convolution, in words, by the
    property that shows that most clearly; None if none does.
    """

    texts: dict[str, str]
    reason: str | None


@dataclass(frozen=True)
class Linearity:
    """Whether a function is linear in one operand (None: not known), and what it does instead."""

    holds: bool | None
    instead: str = ""

    @property
    def text(self) -> str:
        """The property in words."""
        answer = {True: "yes", False: "no", None: "not known"}[self.holds]
        return f"{answer}: {self.instead}" if self.instead else answer


def depends_on_operands(
    caller: FunctionCaller, guess: ShapeGuess, bias: Array | None
) -> tuple[bool, bool]:
    """Whether the output depends on the input, and whether on the kernel."""
    random = np.random.default_rng(SEED)
    (x, other_x), (w, other_w) = (
        [random_integers(shape, random, 4) for _ in range(2)]
        for shape in (guess.input_shape, guess.kernel_shape)
    )
    output = caller.call(x, w, bias).output
    on_input = _differ(output, caller.call(other_x, w, bias).output)
    on_kernel = _differ(output, caller.call(x, other_w, bias).output)
    return on_input, on_kernel


def function_properties(
    caller: FunctionCaller, guess: ShapeGuess, bias: Array | None
) -> FunctionProperties:
    """The properties that calls with random arrays, with zeros and with sums show."""
    random = np.random.default_rng(SEED + 1)
    x, y = (random_integers(guess.input_shape, random, 4) for _ in range(2))
    w, v = (random_integers(guess.kernel_shape, random, 3) for _ in range(2))
    zero_input, zero_kernel = np.zeros(guess.input_shape), np.zeros(guess.kernel_shape)
    first = caller.call(x, w, bias, repeat=3)
    on_input, on_kernel = depends_on_operands(caller, guess, bias)
    texts = {"called with": f"input {_dims(guess.input_shape)}, kernel {_dims(guess.kernel_shape)}"}
    linear: dict[str, Linearity] = {}
    if first.output is not None:
        texts["output"] = _dims(first.output.shape)
    if not first.deterministic:
        texts["deterministic"] = "no: repeated calls differ"
    of_zero_input = caller.call(zero_input, w, bias).output
    texts["depends on the input"] = "yes" if on_input else "no"
    if on_input:
        linear["input"] = _linear(
            caller, [(x, w), (y, w), (x + y, w), (2 * x, w), (-x, w)], of_zero_input, bias
        )
        texts["linear in the input"] = linear["input"].text
    texts["depends on the kernel"] = "yes" if on_kernel else "no"
    if on_kernel:
        of_zero_kernel = caller.call(x, zero_kernel, bias).output
        linear["kernel"] = _linear(
            caller, [(x, w), (x, v), (x, w + v), (x, 2 * w), (x, -w)], of_zero_kernel, bias
        )
        texts["linear in the kernel"] = linear["kernel"].text
    of_zeros = caller.call(zero_input, zero_kernel, bias).output
    padding_shows = of_zero_input is not None and _differ(of_zero_input, of_zeros)
    if padding_shows:
        texts["an input of zeros"] = OF_ZEROS_BY_KERNEL
    elif of_zero_input is not None and np.any(of_zero_input):
        texts["an input of zeros"] = "gives something other than 0: a bias?"
    reasons = (
        (not first.deterministic, "repeated calls differ"),
        (not on_kernel, "it does not depend on the kernel"),
        (not on_input, "it does not depend on the input"),
        (padding_shows, f"an input of zeros {OF_ZEROS_BY_KERNEL}"),
        *(
            (linear[operand].holds is False, _not_linear(operand, linear[operand]))
            for operand in ("input", "kernel")
            if operand in linear
        ),
    )
    return FunctionProperties(texts, next((reason for shown, reason in reasons if shown), None))


def _not_linear(operand: str, linearity: Linearity) -> str:
    instead = f": {linearity.instead}" if linearity.instead else ""
    return f"it is not linear in the {operand}{instead}"


def _linear(
    caller: FunctionCaller,
    calls: list[tuple[Array, Array]],
    of_zeros: Array | None,
    bias: Array | None,
) -> Linearity:
    """Whether the function is linear in one operand.

    `calls` are those with a, b, a + b, 2a and -a for the operand, `of_zeros` is the output for 0.
    """
    outputs = [caller.call(x, w, bias).output for x, w in calls]
    shapes = {output.shape for output in [*outputs, of_zeros] if output is not None}
    if of_zeros is None or any(output is None for output in outputs) or len(shapes) > 1:
        return Linearity(None, "not every such array is accepted and gives an output of one shape")
    of_a, of_b, of_sum, of_double, of_negative = (
        np.asarray(output, np.float64) - of_zeros for output in outputs
    )
    homogeneous = _near(of_double, 2 * of_a)
    if homogeneous and _near(of_sum, of_a + of_b) and _near(of_negative, -of_a):
        return Linearity(True)
    if _near(of_double, of_a):
        return Linearity(False, "twice as much gives the same (normalized?)")
    if _near(of_negative, of_a):
        return Linearity(False, "its negative gives the same")
    output_a, output_double = of_a + of_zeros, of_double + of_zeros
    if float(output_a.min()) >= 0 and homogeneous:
        return Linearity(False, "never negative (relu?)")
    low = float(min(output_a.min(), output_double.min()))
    high = float(max(output_a.max(), output_double.max()))
    if high <= 1 and low >= -1:
        return Linearity(False, f"stays between {low:.3g} and {high:.3g} (sigmoid, tanh?)")
    if homogeneous:
        return Linearity(False, "twice as much gives twice as much, but sums do not add up")
    return Linearity(False)


def _near(a: Array, b: Array) -> bool:
    scale = max(1.0, float(np.abs(b).max(initial=0)))
    return bool(np.abs(a - b).max(initial=0) <= 1e-3 * scale)


def _differ(a: Array | None, b: Array | None) -> bool:
    return a is None or b is None or a.shape != b.shape or not np.array_equal(a, b, equal_nan=True)


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
