"""The diagnosis: its search, the whole of it, and random problems of several classes.

The search is compared with one convolution by torch and with the search on small arrays; the whole
diagnosis with the reference that it needs in any case.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import convdiff
from benchmarks.timing import alternate, call_seconds
from convdiff.diagnose import PrecisionModel, Problem
from convdiff.diagnose.search.engine import Search
from convdiff.numerics.arithmetic import Operands, rounding_as_asked
from convdiff.numerics.reference import compute_reference, correlate
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.layout import Array
from convdiff.spec.settings import Settings
from tests.diagnose.faults import Drawn, draw, plant
from tests.diagnose.naive import convolve

LAYER = (8, 64, 56, 56), (64, 64, 3, 3)
SMALL = (1, 4, 8, 8), (4, 4, 3, 3)
SEED = 20


def measure(runs: int = 15) -> str:
    """Lines on the search and the diagnosis of a flipped kernel, then one per class of problems."""
    return "\n".join([*_layer_lines(runs), *_problem_class_lines()])


def _layer_lines(runs: int) -> Iterator[str]:
    import torch

    (x, w), (small_x, small_w) = _arrays(*LAYER), _arrays(*SMALL)
    flipped, small = (
        _problem(x, w, np.flip(w, (2, 3))),
        _problem(small_x, small_w, np.flip(small_w, (2, 3))),
    )
    # Two faults: a search with two edits finds one pair at least.
    two_faults = _problem(x, w, np.flip(w, (0, 2, 3)))
    tensors = torch.from_numpy(x), torch.from_numpy(w)

    def convolution() -> float:
        return call_seconds(lambda: torch.conv2d(*tensors, padding=1))

    for problem, edits, name in ((flipped, 1, "one edit"), (two_faults, 2, "up to two edits")):
        seconds, torch_seconds, ratio = alternate(
            lambda p=problem, e=edits: call_seconds(lambda: _search(p, e)), convolution, runs
        )
        yield (
            f"search, {name + ', ResNet layer':<28}{seconds * 1e3:7.1f} ms  torch float32 "
            f"{torch_seconds * 1e3:.1f} ms   ratio {ratio:.1f}"
        )
    yield _diagnosis_line(
        "correlate",
        flipped,
        lambda: correlate(x, w, flipped.spec.correlation(), 1, (56, 56)),
        max(runs // 5, 1),
    )
    yield _diagnosis_line(
        "reference", flipped, lambda: compute_reference(flipped.spec, x, w), max(runs // 5, 1)
    )
    layer_seconds, small_seconds, ratio = alternate(
        lambda: call_seconds(lambda: _search(flipped, 1)),
        lambda: call_seconds(lambda: _search(small, 1)),
        runs,
    )
    yield (
        f"search, ResNet layer                {layer_seconds * 1e3:7.1f} ms  1x4x8x8 "
        f"{small_seconds * 1e3:.1f} ms   ratio {ratio:.1f}"
    )


def _diagnosis_line(name: str, problem: Problem, other: Callable[[], object], runs: int) -> str:
    """The whole diagnosis of a problem against another call."""
    arrays = problem.input, problem.kernel, problem.obtained
    seconds, other_seconds, ratio = alternate(
        lambda: call_seconds(lambda: convdiff.diff(*arrays, padding=1)),
        lambda: call_seconds(other),
        runs,
    )
    return (
        f"convdiff.diff, ResNet layer         {seconds * 1e3:7.1f} ms  {name} "
        f"{other_seconds * 1e3:.1f} ms   ratio {ratio:.1f}"
    )


def _arrays(input_size: tuple[int, ...], kernel_size: tuple[int, ...]) -> tuple[Array, Array]:
    generator = np.random.default_rng(0)
    x = generator.standard_normal(input_size, dtype=np.float32)
    return x, generator.standard_normal(kernel_size, dtype=np.float32)


def _problem(x: Array, w: Array, used: Array) -> Problem:
    """The problem of an output, with padding 1, that comes from the kernel `used` in place of w."""
    import torch

    obtained = torch.conv2d(torch.from_numpy(x), torch.from_numpy(used.copy()), padding=1).numpy()
    spec, _ = read_spec(
        x.shape, w.shape, Settings.from_mapping({"padding": 1}), bias=False, dtype="float32"
    )
    rounding = rounding_as_asked(spec, "float32", Operands("float32", x, w, None))
    return Problem(spec, x, w, None, obtained, rounding)


def _search(problem: Problem, edits: int) -> None:
    """A search from a new problem, whose caches are empty, to candidates of that many edits."""
    fresh = Problem(
        problem.spec,
        problem.input,
        problem.kernel,
        problem.bias,
        problem.obtained,
        problem.rounding,
    )
    search, precisions = Search(fresh), [PrecisionModel(fresh.rounding)]
    found = [search.level(level, precisions) for level in range(1, edits + 1)]
    assert found[-1], "the planted fault is among the candidates"


def _problem_class_lines() -> Iterator[str]:
    """A line for each class of random problems: few channels, sizes of 5 to 10, 1-D to 3-D."""
    generator = np.random.default_rng(SEED)
    classes: list[tuple[str, int, Callable[[int], tuple[Drawn, Array] | None]]] = [
        ("one fault", 60, lambda _: _planted(generator, 1)),
        ("two faults", 60, lambda _: _planted(generator, 2)),
        ("three faults", 40, lambda _: _planted(generator, 3)),
        ("nothing explains", 30, lambda number: _inexplicable(generator, number)),
        ("nothing wrong", 30, lambda _: _right(generator)),
    ]
    all_times: list[tuple[float, float]] = []
    for name, count, make in classes:
        times: list[tuple[float, float]] = []
        explained = 0
        while len(times) < count:
            problem = make(len(times))
            if problem is None:
                continue
            if not all_times and not times:
                _diagnose(*problem)  # a warm-up
            seconds, reference_seconds, found = _diagnose(*problem)
            times.append((seconds, reference_seconds))
            explained += found
        all_times += times
        yield _class_line(name, times, f"   {explained} of {count} explained")
    yield _class_line("all of these", all_times, "")


def _diagnose(drawn: Drawn, obtained: Array) -> tuple[float, float, bool]:
    """The seconds of convdiff.diff and of its reference alone, and whether it found something."""
    results: list[Any] = []
    seconds = call_seconds(
        lambda: results.append(
            convdiff.diff(drawn.x, drawn.w, obtained, bias=drawn.bias, **drawn.options())
        )
    )
    spec = results[0].case.spec
    return (
        seconds,
        call_seconds(lambda: compute_reference(spec, drawn.x, drawn.w, drawn.bias)),
        bool(results[0].findings),
    )


def _class_line(name: str, times: list[tuple[float, float]], more: str) -> str:
    milliseconds = np.array([seconds for seconds, _ in times]) * 1e3
    ratio = statistics.median(seconds / reference for seconds, reference in times)
    return (
        f"convdiff.diff, {name:<20} {np.median(milliseconds):7.1f} ms  99 of 100 within "
        f"{np.percentile(milliseconds, 99):6.1f} ms   ratio to reference {ratio:.0f}{more}"
    )


def _planted(generator: np.random.Generator, faults: int) -> tuple[Drawn, Array] | None:
    planted = plant(generator, faults)
    return None if planted is None else planted[:2]


def _right(generator: np.random.Generator) -> tuple[Drawn, Array]:
    drawn = draw(generator)
    return drawn, _convolved(drawn, drawn.w)


def _inexplicable(generator: np.random.Generator, number: int) -> tuple[Drawn, Array]:
    """An output that nothing explains: noise, or that of other weights, in turn."""
    drawn = draw(generator)
    output = _convolved(drawn, generator.standard_normal(drawn.w.shape))
    if number % 2:
        return drawn, output
    return drawn, generator.standard_normal(output.shape).astype(np.float32)


def _convolved(drawn: Drawn, kernel: Array) -> Array:
    output = convolve(drawn.x, kernel, drawn.geometry)
    if drawn.bias is not None:
        output = output + drawn.bias.reshape(1, -1, *(1,) * len(drawn.axes))
    return np.ascontiguousarray(output).astype(np.float32)
