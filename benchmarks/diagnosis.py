"""The diagnosis: its search against trying every hypothesis, the whole of it against one reference,
and drawn faults.

A search tells at a few output elements what one convolution for each hypothesis would tell at all
of them.  Every combination is counted that a search looks at; a convolution that is held against
several forms of the output counts once when outputs are set aside.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import convdiff
from benchmarks.measuring import function, paired
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
    """Lines: search, whole diagnosis and flatness on one flipped kernel; then milliseconds for each
    class of drawn faults.
    """
    return "\n".join([*_layer(runs), *_drawn()])


def _layer(runs: int) -> Iterator[str]:
    import torch

    (x, w), (small_x, small_w) = _arrays(*LAYER), _arrays(*SMALL)
    flipped, small = (
        _problem(x, w, np.flip(w, (2, 3))),
        _problem(small_x, small_w, np.flip(small_w, (2, 3))),
    )
    # Two faults, so that what a search with two edits is for is there to be found.
    twice = _problem(x, w, np.flip(w, (0, 2, 3)))
    tensors = torch.from_numpy(x), torch.from_numpy(w)

    def convolution() -> float:
        return function(lambda: torch.conv2d(*tensors, padding=1))

    for problem, edits, named in ((flipped, 1, "one edit"), (twice, 2, "up to two edits")):
        ours, torchs, ratio = paired(
            lambda p=problem, e=edits: function(lambda: _search(p, e)), convolution, runs
        )  # type: ignore[misc]
        combinations, convolutions = Search(problem).size(edits)
        yield (
            f"search, {named + ', ResNet layer':<28}{ours * 1e3:7.1f} ms  torch float32 "
            f"{torchs * 1e3:.1f} ms   ratio {ratio:.1f}"
        )
        yield (
            f"  {combinations:4} combinations, each by torch {combinations * torchs:6.1f} s   "
            f"over search {combinations / ratio:.0f} (at least 50); {convolutions} convolutions, "
            f"outputs aside: {convolutions / ratio:.0f}"
        )
    yield _whole(
        "correlate",
        flipped,
        lambda: correlate(x, w, flipped.spec.correlation(), 1, (56, 56)),
        max(runs // 5, 1),
    )
    yield _whole(
        "reference", flipped, lambda: compute_reference(flipped.spec, x, w), max(runs // 5, 1)
    )
    large, little, ratio = paired(
        lambda: function(lambda: _search(flipped, 1)),
        lambda: function(lambda: _search(small, 1)),
        runs,
    )
    yield (
        f"search, ResNet layer                {large * 1e3:7.1f} ms  1x4x8x8 {little * 1e3:.1f} "
        f"ms   ratio {ratio:.1f}"
    )


def _whole(name: str, problem: Problem, other: Callable[[], object], runs: int) -> str:
    arrays = problem.input, problem.kernel, problem.obtained
    ours, others, ratio = paired(
        lambda: function(lambda: convdiff.diff(*arrays, padding=1)), lambda: function(other), runs
    )
    return (
        f"convdiff.diff, ResNet layer         {ours * 1e3:7.1f} ms  {name} {others * 1e3:.1f} "
        f"ms   ratio {ratio:.1f}"
    )


def _arrays(input_size: tuple[int, ...], kernel_size: tuple[int, ...]) -> tuple[Array, Array]:
    generator = np.random.default_rng(0)
    return generator.standard_normal(input_size, dtype=np.float32), generator.standard_normal(
        kernel_size, dtype=np.float32
    )


def _problem(x: Array, w: Array, used: Array) -> Problem:
    """Padding 1 and the kernel w were asked, `used` was slid."""
    import torch

    obtained = torch.conv2d(torch.from_numpy(x), torch.from_numpy(used.copy()), padding=1).numpy()
    spec, _ = read_spec(
        x.shape, w.shape, Settings.from_mapping({"padding": 1}), bias=False, dtype="float32"
    )
    rounding = rounding_as_asked(spec, "float32", Operands("float32", x, w, None))
    return Problem(spec, x, w, None, obtained, rounding)


def _search(problem: Problem, edits: int) -> None:
    """From nothing to the candidates with at most so many edits."""
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


def _drawn() -> Iterator[str]:
    """A line for each class of drawn problems: a row of channels and sizes of 5 to 10, 1-D to 3-D."""
    generator = np.random.default_rng(SEED)
    classes: list[tuple[str, int, Callable[[int], tuple[Drawn, Array] | None]]] = [
        ("one fault", 60, lambda _: _planted(generator, 1)),
        ("two faults", 60, lambda _: _planted(generator, 2)),
        ("three faults", 40, lambda _: _planted(generator, 3)),
        ("nothing explains", 30, lambda number: _inexplicable(generator, number)),
        ("nothing wrong", 30, lambda _: _right(generator)),
    ]
    everything: list[tuple[float, float]] = []
    warm = False
    for name, count, make in classes:
        times: list[tuple[float, float]] = []
        explained = 0
        while len(times) < count:
            made = make(len(times))
            if made is None:
                continue
            if not warm:
                _judged(*made)
                warm = True
            seconds, reference, found = _judged(*made)
            times.append((seconds, reference))
            explained += found
        everything += times
        yield _line(name, times, f"   {explained} of {count} explained")
    yield _line("all of these", everything, "")


def _judged(drawn: Drawn, obtained: Array) -> tuple[float, float, bool]:
    """Seconds of convdiff.diff, those of its reference alone, and whether there is a finding."""
    results: list[Any] = []
    seconds = function(
        lambda: results.append(
            convdiff.diff(drawn.x, drawn.w, obtained, bias=drawn.bias, **drawn.options())
        )
    )
    spec = results[0].case.spec
    return (
        seconds,
        function(lambda: compute_reference(spec, drawn.x, drawn.w, drawn.bias)),
        bool(results[0].findings),
    )


def _line(name: str, times: list[tuple[float, float]], more: str) -> str:
    seconds = np.array([ours for ours, _ in times]) * 1e3
    ratio = statistics.median(ours / reference for ours, reference in times)
    return (
        f"convdiff.diff, {name:<20} {np.median(seconds):7.1f} ms  99 of 100 within "
        f"{np.percentile(seconds, 99):6.1f} ms   "
        f"ratio to reference {ratio:.0f}{more}"
    )


def _planted(generator: np.random.Generator, faults: int) -> tuple[Drawn, Array] | None:
    made = plant(generator, faults)
    return None if made is None else made[:2]


def _right(generator: np.random.Generator) -> tuple[Drawn, Array]:
    drawn = draw(generator)
    return drawn, _convolved(drawn, drawn.w)


def _inexplicable(generator: np.random.Generator, number: int) -> tuple[Drawn, Array]:
    """Noise, and the same convolution with other weights, in turn."""
    drawn = draw(generator)
    made = _convolved(drawn, generator.standard_normal(drawn.w.shape))
    return drawn, made if number % 2 else generator.standard_normal(made.shape).astype(np.float32)


def _convolved(drawn: Drawn, kernel: Array) -> Array:
    made = convolve(drawn.x, kernel, drawn.geometry)
    if drawn.bias is not None:
        made = made + drawn.bias.reshape(1, -1, *(1,) * len(drawn.axes))
    return np.ascontiguousarray(made).astype(np.float32)
