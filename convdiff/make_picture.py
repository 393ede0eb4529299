"""The `Picture` of an output that differs: maps, shares per channel, a histogram, the kernel.

The output is compared with the reference once more, in pieces of bounded size.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from convdiff.diagnose import Problem
from convdiff.diagnose.fit.linear_system import ungrouped_kernel
from convdiff.diagnose.fit.other_weights import solve_weights
from convdiff.diagnose.hypotheses.registry import by_code
from convdiff.diagnose.search.engine import Search
from convdiff.numerics.arithmetic import rounding_as_asked, stored_dtype
from convdiff.numerics.complex_parts import output_parts, with_whole_nonfinite
from convdiff.numerics.error_bound import CHUNK_ELEMENTS, Rounding, transform_noise
from convdiff.picture import HIGHEST, NO_ERROR, ChannelMap, Grid, KernelPair, Picture
from convdiff.records import Row
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.verdict.judge import Judge, with_unit_axes

PICTURED_VERDICTS = ("different", "reduced-precision")

# The largest number of cells (rows, columns) of the map of all channels, and of a single channel's.
MAP_CELLS, CHANNEL_MAP_CELLS = (48, 64), (16, 16)
MAX_CHANNEL_MAPS, MAX_BARS, MAX_KERNEL_PAIRS, MAX_TAPS = 8, 128, 4, 24

# The edges of the histogram, in log10 of rounding units.
FIRST_EDGE, LAST_EDGE, BIN_WIDTH = -2.0, 12.0, 0.5


def with_picture(row: Row, judge: Judge, *, kernels: bool = False) -> Row:
    """`row` with a picture, if its output differs in values only; else `row` itself.

    With `kernels` the picture shows the kernel that made the output too, which costs a solution of
    linear equations.
    """
    output, spec = row.answer.output, judge.case.spec
    if row.verdict not in PICTURED_VERDICTS or output is None or output.dtype.kind not in "fiubc":
        return row
    if output.shape != spec.shape("output"):
        output = with_unit_axes(output, spec)
    if output.shape != spec.shape("output"):
        return row
    if judge.is_complex(output):
        parts = judge.complex_judge.parts
        obtained = with_whole_nonfinite(output_parts(spec, output))
        rounding = parts.rounding_of(output)
        with np.errstate(all="ignore"):
            return replace(row, picture=_picture(obtained, parts, rounding, channel_parts=2))
    operands = judge.operands(spec.dtype)
    rounding = rounding_as_asked(spec, stored_dtype(output, row.answer.stored), operands)
    with np.errstate(all="ignore"):
        picture = _picture(normal_output(spec, output), judge, rounding)
        if kernels:
            problem = Problem(
                spec,
                operands.input,
                operands.kernel,
                operands.bias,
                np.asarray(output, np.float64),
                rounding,
            )
            picture = replace(picture, kernels=_kernel_pairs(problem, row))
    return replace(row, picture=picture)


def _picture(
    obtained: Array, judge: Judge, rounding: Rounding, *, channel_parts: int = 1
) -> Picture:
    """The picture of `obtained`, an output of shape (batch, channels, *space).

    Of complex outputs each channel has two `channel_parts`.
    """
    spec = judge.case.spec
    errors = _measure(obtained, judge, rounding, channel_parts)
    channel_count, bound = obtained.shape[1] // channel_parts, rounding.bound_units
    maps = tuple(
        ChannelMap(channel, _levels(errors.channel_maps[channel], bound))
        for channel in (_pictured_channels(errors.shares) if channel_count > 1 else ())
    )
    bars = np.array_split(errors.shares, min(MAX_BARS, channel_count))
    histogram = zip(_edges()[:-1], errors.histogram, strict=True)
    return Picture(
        axes=("", spec.axes[0]) if spec.rank == 1 else (spec.axes[-2], spec.axes[-1]),
        size=(errors.worst.shape[0], errors.worst.shape[1]),
        levels=_levels(_coarse(errors.worst[np.newaxis], MAP_CELLS)[0], bound),
        maps=maps,
        channels=tuple(float(bar.mean()) for bar in bars),
        channel_count=channel_count,
        histogram=tuple((float(edge), int(count)) for edge, count in histogram),
        bound=math.log10(max(bound, 1e-9)),
        exact=errors.exact,
    )


@dataclass
class _Errors:
    """Errors in rounding units, gathered over the pieces of an output.

    `worst` is the largest at each (row, column) of all channels, `channel_maps` the largest in each
    cell of each channel; `shares` of the channels' elements differ, and `exact` elements have no
    error.
    """

    worst: Array
    channel_maps: Array
    shares: Array
    histogram: Array
    exact: int = 0


def _measure(obtained: Array, judge: Judge, rounding: Rounding, channel_parts: int) -> _Errors:
    """The errors of all elements; of those of two parts, the length of the difference."""
    reference = judge.reference()
    noise = transform_noise(obtained, reference, rounding) if channel_parts == 1 else None
    items, channel_count = obtained.shape[0], obtained.shape[1] // channel_parts
    size = _as_images(obtained[0, :1]).shape[1:]
    cells = _coarse(np.zeros((1, *size)), CHANNEL_MAP_CELLS).shape[1:]
    errors = _Errors(
        worst=np.zeros(size),
        channel_maps=np.zeros((channel_count, *cells)),
        shares=np.zeros(channel_count),
        histogram=np.zeros(len(_edges()) - 1, np.int64),
    )
    step = max(1, CHUNK_ELEMENTS // math.prod(obtained.shape[2:]))
    for item, start in itertools.product(range(items), range(0, channel_count, step)):
        channels = slice(start, start + step)
        parts = slice(start * channel_parts, (start + step) * channel_parts)
        piece = np.asarray(obtained[item, parts], np.float64)
        units = rounding.excess_units(
            piece.reshape(-1),
            reference.output[item, parts].reshape(-1),
            reference.scale[item, parts].reshape(-1),
        )
        if noise is not None:
            units[noise[item, parts].reshape(-1)] = 0
        if channel_parts == 2:
            units = units.reshape(piece.shape)
            units, piece = np.hypot(units[0::2], units[1::2]), piece[0::2]
            units = units.reshape(-1)
        units = np.nan_to_num(units, nan=np.inf, posinf=np.inf)
        inexact = units[units > 0]
        errors.exact += units.size - inexact.size
        errors.histogram += _histogram(inexact)
        units = units.reshape(piece.shape)
        differing = (units > rounding.bound_units).mean(axis=tuple(range(1, units.ndim)))
        errors.shares[channels] += differing / items
        images = _as_images(units)
        errors.worst = np.maximum(errors.worst, images.max(axis=0))
        errors.channel_maps[channels] = np.maximum(
            errors.channel_maps[channels], _coarse(images, CHANNEL_MAP_CELLS)
        )
    return errors


def _edges() -> Array:
    return np.arange(FIRST_EDGE, LAST_EDGE + BIN_WIDTH, BIN_WIDTH)


def _histogram(units: Array) -> Array:
    """The number of positive errors in each bin; the outer bins take what is beyond them."""
    exponents = np.log10(np.clip(units, 10**FIRST_EDGE, 10 ** (LAST_EDGE - BIN_WIDTH / 2)))
    bins = ((exponents - FIRST_EDGE) / BIN_WIDTH).astype(np.intp)
    return np.bincount(bins, minlength=len(_edges()) - 1)


def _pictured_channels(shares: Array) -> list[int]:
    """The channels to map: the first ones that differ, and some of the first that do not."""
    wrong, right = np.flatnonzero(shares > 0), np.flatnonzero(shares == 0)
    right_count = min(len(right), MAX_CHANNEL_MAPS // 4)
    wrong_count = MAX_CHANNEL_MAPS - right_count
    return sorted([*wrong[:wrong_count].tolist(), *right[:right_count].tolist()])


def _as_images(array: Array) -> Array:
    """(channels, *space) as (channels, rows, columns).

    One spatial axis becomes a single row; of three the first is reduced to its maximum.
    """
    if array.ndim == 2:
        return array[:, np.newaxis]
    return array.max(axis=1) if array.ndim == 4 else array


def _coarse(array: Array, most: tuple[int, int]) -> Array:
    """(channels, rows, columns) reduced to at most `most` cells, each the maximum in it.

    Where cells hold several rows or columns, the first and the last are by themselves, so that a
    border shows.
    """
    for axis in (1, 2):
        length, cells = array.shape[axis], min(array.shape[axis], most[axis - 1])
        starts = np.arange(cells)
        if length > cells:
            inner = 1 + np.arange(cells - 2) * (length - 2) // (cells - 2)
            starts = np.concatenate([[0], inner, [length - 1]])
        array = np.maximum.reduceat(array, starts, axis=axis)
    return array


def _levels(units: Array, bound: float) -> Grid:
    levels = np.where(units > 0, np.clip(np.log10(units / bound), NO_ERROR, HIGHEST), NO_ERROR)
    return tuple(map(tuple, np.round(levels, 2).tolist()))


def _kernel_pairs(problem: Problem, row: Row) -> tuple[KernelPair, ...]:
    """Some planes of the kernel as asked, beside those that made the output.

    The latter are solved for; where that fails, they are those asked for if the finding leaves the
    kernel alone, and unknown otherwise.
    """
    spec = problem.spec
    solved = solve_weights(Search(problem))
    obtained = None if solved is None else solved.values
    asked = ungrouped_kernel(problem.w.astype(np.float64), spec.groups, spec.in_channels)
    if obtained is None and row.findings and not any(map(_another_kernel, row.findings[0].codes)):
        obtained = asked
    pairs = []
    in_channels_per_group = spec.in_channels // spec.groups
    for output in range(min(spec.out_channels, MAX_KERNEL_PAIRS)):
        input = output * spec.groups // spec.out_channels * in_channels_per_group
        plane = None if obtained is None else _plane(obtained[output, input], spec)
        pairs.append(KernelPair(output, input, _plane(asked[output, input], spec), plane))
    return tuple(pairs)


def _another_kernel(code: str) -> bool:
    return by_code()[code].changes_kernel


def _plane(taps: Array, spec: ConvSpec) -> Grid:
    """The taps of one channel pair in the orientation of the user's kernel array.

    One spatial axis becomes a single row; of three the middle of the first is shown.
    """
    if spec.flip != spec.transposed:
        taps = taps[(slice(None, None, -1),) * taps.ndim]
    if taps.ndim == 1:
        taps = taps.reshape(1, -1)
    elif taps.ndim == 3:
        taps = taps[taps.shape[0] // 2]
    return tuple(tuple(float(f"{tap:.4g}") for tap in line) for line in taps[:MAX_TAPS, :MAX_TAPS])
