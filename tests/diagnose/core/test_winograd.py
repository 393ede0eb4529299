"""Float16 Winograd of float32 arrays, emulated, and faults of the size of its errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convdiff.api import diff
from convdiff.diagnose.core.winograd import POINTS
from convdiff.numerics.reference import correlate
from convdiff.spec.conv_spec import Correlation

NAMES = ("F(2x2, 3x3)", "F(4x4, 3x3)", "F(4x4, 3x3)", "F(6x6, 3x3)")


def rounded(values: Any) -> Any:
    return values.astype(np.float16).astype(np.float64)


def transforms(points: tuple[float, ...]) -> tuple[Any, Any, Any]:
    """A^T, G and B^T for three taps."""
    n = len(points) + 1
    outputs, kernel, inputs = np.zeros((n - 2, n)), np.zeros((n, 3)), np.zeros((n, n))
    for number, point in enumerate(points):
        others = [other for other in points if other != point]
        outputs[:, number] = np.power(float(point), np.arange(n - 2))
        kernel[number] = np.power(float(point), np.arange(3))
        kernel[number] /= math.prod(point - other for other in others)
        inputs[number, :-1] = np.poly(others)[::-1]
    outputs[-1, -1] = kernel[-1, -1] = 1
    inputs[-1] = np.poly(points)[::-1]
    return outputs, kernel, inputs


def applied(matrix: Any, tiles: Any, rank: int) -> Any:
    """The matrix times the last `rank` axes, every step of every sum in float16."""
    for axis in range(-rank, 0):
        lines = np.moveaxis(tiles, axis, -1)
        sums = np.zeros((*lines.shape[:-1], len(matrix)))
        for column, values in zip(matrix.T, np.moveaxis(lines, -1, 0), strict=True):
            sums = rounded(sums + rounded(values[..., None] * column))
        tiles = np.moveaxis(sums, -1, axis)
    return tiles


def winograd(x: Any, w: Any, points: tuple[float, ...]) -> Any:
    """The convolution with padding 1 of x (N, C, *space) and w (O, C, 3, ...), in float16."""
    outputs, kernel, inputs = transforms(points)
    m, n = outputs.shape
    space = x.shape[2:]
    rank = len(space)
    count = [-(-size // m) for size in space]
    widths = [(1, tiles * m + 1 - size) for tiles, size in zip(count, space, strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *widths])
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (n,) * rank, tuple(range(2, 2 + rank))
    )
    tiles = rounded(windows[(..., *(slice(None, None, m),) * rank, *(slice(None),) * rank)])
    d, g = applied(inputs, tiles, rank), applied(kernel, rounded(w), rank)
    sums = 0.0
    for channel in range(x.shape[1]):
        taps = g[:, channel].reshape(1, len(w), *(1,) * rank, *(n,) * rank)
        sums = rounded(sums + rounded(taps * d[:, channel, None]))
    y = applied(outputs, sums, rank)
    order = [0, 1, *(axis for i in range(rank) for axis in (2 + i, 2 + rank + i))]
    whole = y.transpose(order).reshape(len(x), len(w), *(tiles * m for tiles in count))
    return whole[(..., *(slice(size) for size in space))].astype(np.float32)


def exact(x: Any, w: Any) -> Any:
    rank = x.ndim - 2
    ones = (1,) * rank
    geometry = Correlation(ones, ((1, 1),) * rank, ones, ones, "constant")
    return correlate(x, w, geometry, 1, x.shape[2:])


def arrays(shape: tuple[int, ...], out_channels: int, *, relu: bool = False) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    x = rng.standard_normal(shape).astype(np.float32)
    w = rng.standard_normal((out_channels, shape[1], *(3,) * (len(shape) - 2)))
    return np.maximum(x, 0) if relu else x, (w / math.sqrt(9 * shape[1])).astype(np.float32)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("channels", [3, 16, 64])
@pytest.mark.parametrize(("points", "name"), list(zip(POINTS, NAMES, strict=True)))
def test_winograd_in_float16(
    points: tuple[float, ...], name: str, channels: int, relu: bool
) -> None:
    x, w = arrays((1, channels, 17, 20), 8, relu=relu)
    result = diff(x, w, winograd(x, w, points), padding=1)
    assert result.verdict == "reduced-precision"
    (edit,) = result.findings[0].edits
    assert (edit["obtained"], edit["where"]) == ("fp16", "accumulator")
    # Small errors are those of plain sums, too.
    assert edit.get("algorithm") in (None, f"Winograd {name}")


@pytest.mark.parametrize("shape", [(2, 6, 60), (1, 4, 9, 8, 10)])
def test_other_ranks(shape: tuple[int, ...]) -> None:
    x, w = arrays(shape, 6)
    result = diff(x, w, winograd(x, w, POINTS[1]), padding=1)
    assert result.verdict == "reduced-precision"
    assert result.findings[0].edits[0]["obtained"] == "fp16"


def test_channels_last_and_float16_arrays() -> None:
    x, w = arrays((1, 3, 24, 24), 8)
    y = winograd(x, w, POINTS[3])
    last = diff(
        np.moveaxis(x, 1, -1),
        np.transpose(w, (2, 3, 1, 0)),
        np.moveaxis(y, 1, -1),
        padding=1,
        input_layout="NHWC",
        kernel_layout="HWIO",
    )
    assert last.findings[0].edits[0]["algorithm"] == "Winograd F(6x6, 3x3)"
    narrow = diff(x.astype(np.float16), w.astype(np.float16), y.astype(np.float16), padding=1)
    assert narrow.verdict == "reduced-precision"


def test_the_sentence_names_the_algorithm() -> None:
    x, w = arrays((1, 3, 24, 24), 8)
    result = diff(x, w, winograd(x, w, POINTS[1]), padding=1)
    assert "Winograd F(4x4, 3x3) was computed in fp16" in result.findings[0].summary


@pytest.mark.parametrize("fault", ["corner", "bias", "weights", "noise", "tile"])
def test_faults_of_that_size_are_not_winograd(fault: str) -> None:
    x, w = arrays((1, 16, 24, 24), 8)
    rng = np.random.default_rng(4)
    y = exact(x, w)
    error = 0.02 * rng.standard_normal(y.shape)
    if fault == "corner":
        y[..., :6, :6] += error[..., :6, :6]
    elif fault == "bias":
        y = winograd(x, w, POINTS[1]) + 0.02
    elif fault == "weights":
        y = exact(x, np.round(w, 2))
    elif fault == "noise":
        y += error
    else:
        y[..., 3::4, 3::4] += error[..., 3::4, 3::4]
    result = diff(x, w, rounded(y).astype(np.float32), padding=1)
    assert not any("algorithm" in edit for found in result.findings for edit in found.edits)
