"""The errors of Winograd's minimal filtering in a narrow type: larger at some places of each tile.

F(m, r) computes m outputs of r taps from tiles of n = m + r - 1 inputs d and the taps g, along each
axis, as A^T [(G g) * (B^T d)] (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
2015).  Every stage rounds.  The variance of an output's error is therefore about u^2 times
(A^T)^2 [sum over channels of (G^2 g^2) * ((B^T)^2 d^2)], with the squares taken element by element:
how the error varies within a tile is that of the algorithm, and of no fault.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.numerics.reference import Reference
from convdiff.spec.layout import Array

# The points at which tiles of each input size are evaluated, beside infinity: those of Lavin and
# Gray, and for 6 also those of ncnn.
ROOT = math.sqrt(2)
POINTS: tuple[tuple[float, ...], ...] = (
    (0, 1, -1),
    (0, 1, -1, 2, -2),
    (0, 1 / ROOT, -1 / ROOT, ROOT, -ROOT),
    (0, 1, -1, 2, -2, 0.5, -0.5),
)
KERNEL_SIZES = (3, 5)
# Fewer outputs than this along an axis are not worth tiles.
MIN_OUTPUTS = 2
# Products that the expected errors may take to compute.
MAX_PRODUCTS = 1 << 28
# Errors relative to the expected ones, root mean square: at most 1 if every stage rounds about
# once, and as much more as sums over channels that are kept in the narrow type lose.
MIN_RELATIVE_RMS = 0.2
MAX_RELATIVE_RMS, MAX_RELATIVE_RMS_OF_SUMS = 1.5, 0.5
# No error is so many times the root mean square of errors relative to the expected ones.
MAX_TIMES_RMS = 8.0
# Logarithm of the likelihood that an error distributed as expected gains over one that is the same
# everywhere or grows with S: for each element, and in all.
MIN_GAIN_PER_ELEMENT, MIN_GAIN = 0.04, 30.0
# The mean error of a channel in standard errors; the errors of a tile depend on each other.
MAX_MEAN_ERROR = 6.0


@dataclass(frozen=True)
class Transforms:
    """The squares of A^T (m, n), G (n, r) and B^T (n, n), element by element, for one axis."""

    outputs: Array
    kernel: Array
    inputs: Array


@lru_cache(maxsize=32)
def squared_transforms(points: tuple[float, ...], taps: int) -> Transforms:
    """Toom and Cook's transforms for these points and infinity.

    Rows may be scaled in practice, which leaves relative errors as they are.
    """
    n = len(points) + 1
    m = n - taps + 1
    outputs, kernel, inputs = np.zeros((m, n)), np.zeros((n, taps)), np.zeros((n, n))
    for number, point in enumerate(points):
        others = [other for other in points if other != point]
        outputs[:, number] = [point**power for power in range(m)]
        kernel[number] = [point**power for power in range(taps)]
        kernel[number] /= math.prod(point - other for other in others)
        inputs[number, :-1] = np.poly(others)[::-1]
    outputs[-1, -1] = kernel[-1, -1] = 1
    inputs[-1] = np.poly(points)[::-1]
    return Transforms(np.square(outputs), np.square(kernel), np.square(inputs))


def winograd_name(
    problem: Problem, obtained: Array, reference: Reference, storage: Array | float, unit: float
) -> str | None:
    """Which Winograd algorithm's errors those of `obtained` resemble: "F(4x4, 3x3)"; else None.

    `obtained` is (N, O, *space); `storage` is what storing may have moved each element by, and
    `unit` the unit roundoff of the type that the transforms are computed in.
    """
    error = obtained - reference.output
    if not _is_possible(problem) or not np.isfinite(error).all():
        return None
    scale = np.square(reference.scale.astype(np.float64))
    stored = np.square(storage) / 3 + np.zeros_like(error)
    rivals = [_log_likelihood(error, each, stored) for each in (scale, np.ones_like(scale))]
    for points in POINTS:
        expected = _expected_squares(problem, points)
        if expected is None:
            continue
        gain = _log_likelihood(error, expected, stored) - max(rivals)
        if gain < max(MIN_GAIN, MIN_GAIN_PER_ELEMENT * error.size):
            continue
        beyond = np.maximum(np.abs(error) - storage, 0)
        if _is_typical(beyond, expected, unit, problem.w.shape[1]) and _has_no_mean(error):
            m, sizes = len(points) + 2, [size for size in problem.w.shape[2:] if size > 1]
            tile = "x".join(str(m - size) for size in sizes)
            return f"F({tile}, {'x'.join(map(str, sizes))})"
    return None


def _is_possible(problem: Problem) -> bool:
    """Whether Winograd's algorithm computes this convolution: stride 1, taps side by side."""
    geometry = problem.spec.correlation()
    sizes = [size for size in problem.w.shape[2:] if size > 1]
    return bool(
        sizes
        and all(size in KERNEL_SIZES for size in sizes)
        and max(geometry.stride + geometry.dilation + geometry.input_dilation) == 1
        and geometry.pad_mode == "constant"
        and min(lo for pair in geometry.padding for lo in pair) >= 0
    )


def _expected_squares(problem: Problem, points: tuple[float, ...]) -> Array | None:
    """The mean square of each output's error in unit roundoffs, (N, O, *space).

    None for tiles larger than the output, or where computing them takes too long.
    """
    x, w, spec = problem.x, problem.w, problem.spec
    axes = [
        squared_transforms(points, size) if size > 1 and len(points) + 1 > size else None
        for size in w.shape[2:]
    ]
    if any(axis is None for axis, size in zip(axes, w.shape[2:], strict=True) if size > 1):
        return None
    tile = [1 if axis is None else len(axis.outputs) for axis in axes]
    span = [1 if axis is None else len(axis.inputs) for axis in axes]
    size = spec.output_size
    if any(m > 1 and n < MIN_OUTPUTS * m for m, n in zip(tile, size, strict=True)):
        return None
    tiles = [-(-n // m) for n, m in zip(size, tile, strict=True)]
    if x.shape[0] * math.prod(tiles) * w.shape[0] * w.shape[1] * math.prod(span) > MAX_PRODUCTS:
        return None
    inputs = np.square(_tiled(x.astype(np.float64), problem, tiles, tile, span))
    kernel = np.square(w.astype(np.float64))
    rank = spec.rank
    for number, axis in enumerate(axes):
        if axis is not None:
            kernel = _applied(axis.kernel, kernel, 2 + number)
            inputs = _applied(axis.inputs, inputs, 2 + rank + number)
    # (N, G, I, tiles, span) and (G, O / G, I, span): one product for each element of the span.
    groups, channels = spec.groups, w.shape[1]
    d = inputs.reshape(x.shape[0], groups, channels, math.prod(tiles), -1)
    g = kernel.reshape(groups, w.shape[0] // groups, channels, -1)
    sums = np.einsum("ngcts,gocs->ngots", d, g, optimize=True)
    squares = sums.reshape(x.shape[0], w.shape[0], *tiles, *span)
    for number, axis in enumerate(axes):
        if axis is not None:
            squares = _applied(axis.outputs, squares, 2 + rank + number)
    order = [0, 1, *(axis for number in range(rank) for axis in (2 + number, 2 + rank + number))]
    whole = squares.transpose(order).reshape(
        x.shape[0], w.shape[0], *(count * m for count, m in zip(tiles, tile, strict=True))
    )
    return np.asarray(whole[(..., *(slice(n) for n in size))])


def _tiled(x: Array, problem: Problem, tiles: list[int], tile: list[int], span: list[int]) -> Array:
    """The overlapping tiles of the padded input: (N, C, *tiles, *span)."""
    geometry, rank = problem.spec.correlation(), problem.spec.rank
    widths = []
    for number, (lo, _) in enumerate(geometry.padding):
        needed = (tiles[number] - 1) * tile[number] + span[number]
        widths.append((lo, max(0, needed - lo - x.shape[2 + number])))
    padded = np.pad(x, [(0, 0), (0, 0), *widths])
    windows = np.lib.stride_tricks.sliding_window_view(padded, span, tuple(range(2, 2 + rank)))
    steps = tuple(slice(None, count * m, m) for count, m in zip(tiles, tile, strict=True))
    return np.asarray(windows[(slice(None), slice(None), *steps)])


def _applied(matrix: Array, array: Array, axis: int) -> Array:
    """The matrix times the array along one axis."""
    return np.asarray(np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis))


def _log_likelihood(error: Array, squares: Array, stored: Array) -> float:
    """The logarithm of the likelihood of normal errors with mean squares in proportion to these.

    `stored` is added to them: the mean square of what storing adds.
    """
    known = squares > 0
    beyond = np.maximum(np.square(error[known]) - stored[known], 0)
    factor = float((beyond / squares[known]).mean()) if known.any() else 0.0
    variance = factor * squares + stored
    if factor <= 0 or not (variance > 0).all():
        return -np.inf
    return -0.5 * float((np.log(variance) + np.square(error) / variance).sum())


def _is_typical(beyond: Array, expected: Array, unit: float, channels: int) -> bool:
    """Whether errors, less what storing explains, have about the expected size everywhere."""
    known = expected > 0
    relative = beyond[known] / (unit * np.sqrt(expected[known]))
    rms = float(np.sqrt(np.square(relative).mean()))
    most = MAX_RELATIVE_RMS + MAX_RELATIVE_RMS_OF_SUMS * math.sqrt(channels)
    return (
        MIN_RELATIVE_RMS <= rms <= most
        and float(relative.max()) <= MAX_TIMES_RMS * rms
        and not beyond[~known].any()
    )


def _has_no_mean(error: Array) -> bool:
    """Whether the mean error of each channel is no larger than chance makes it."""
    rows = np.moveaxis(error, 1, 0).reshape(error.shape[1], -1)
    rms = np.sqrt(np.square(rows).mean(axis=1))
    return bool(
        (np.abs(rows.mean(axis=1)) * math.sqrt(rows.shape[1]) <= MAX_MEAN_ERROR * rms).all()
    )
