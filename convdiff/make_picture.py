"""A differing output as a `Picture`: one more pass over it, in pieces, and (where asked) the kernel
that it was made with.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np

from convdiff.diagnose import Problem
from convdiff.diagnose.fit.linear_system import ungrouped_kernel
from convdiff.diagnose.fit.other_weights import solve_weights
from convdiff.diagnose.search.engine import Search
from convdiff.numerics.arithmetic import rounding_as_asked, stored_dtype
from convdiff.numerics.error_bound import CHUNK_ELEMENTS, Rounding
from convdiff.picture import NONE, WORST, ChannelMap, Grid, KernelPair, Picture
from convdiff.records import Row
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.verdict.judge import Judge, with_unit_axes

SHOWN = ("different", "reduced-precision")
CELLS, SMALL = (48, 64), (16, 16)
MAPS, BARS, PLANES = 8, 128, 4
# Findings after which the kernel may have been another.
OF_THE_KERNEL = (
    "kernel",
    "wrong-groups",
    "groups",
    "wrong-transposed",
    "input-channels",
    "scaled",
    "channels",
)
# Half-decades of units, from a hundredth on.
FIRST, LAST, STEP = -2.0, 12.0, 0.5


def pictured(row: Row, judge: Judge, *, kernels: bool = False) -> Row:
    """`row` with a picture, where it differs and has the asked shape; with `kernels`, the kernel is
    solved for too.
    """
    output, spec = row.answer.output, judge.case.spec
    if row.verdict not in SHOWN or output is None or output.dtype.kind not in "fiub":
        return row
    output = output if output.shape == spec.shape("output") else with_unit_axes(output, spec)
    if output.shape != spec.shape("output"):
        return row
    operands = judge.operands(spec.dtype)
    stored = stored_dtype(output, row.answer.stored)
    rounding = rounding_as_asked(spec, stored, operands)
    with np.errstate(all="ignore"):
        made = _picture(normal_output(spec, output), judge, rounding)
        if kernels:
            problem = Problem(
                spec,
                operands.input,
                operands.kernel,
                operands.bias,
                np.asarray(output, np.float64),
                rounding,
            )
            made = replace(made, kernels=_kernels(problem, row))
    return replace(row, picture=made)


def _picture(obtained: Array, judge: Judge, rounding: Rounding) -> Picture:
    reference, spec = judge.reference(), judge.case.spec
    items, count = obtained.shape[:2]
    size = _flat(obtained[0, :1]).shape[1:]
    worst, shares = np.zeros(size), np.zeros(count)
    grids = np.zeros((count, *_binned(np.zeros((1, *size)), SMALL).shape[1:]))
    edges = np.arange(FIRST, LAST + STEP, STEP)
    histogram, exact = np.zeros(len(edges) - 1, np.int64), 0
    together = max(1, CHUNK_ELEMENTS // math.prod(obtained.shape[2:]))
    for item, start in itertools.product(range(items), range(0, count, together)):
        some = slice(start, start + together)
        place = item, some
        got = np.asarray(obtained[place], np.float64)
        units = rounding.excess_units(
            got.reshape(-1), reference.output[place].reshape(-1), reference.scale[place].reshape(-1)
        )
        units = np.nan_to_num(units, nan=np.inf, posinf=np.inf)
        some_error = units[units > 0]
        exact += units.size - some_error.size
        bins = (
            (np.log10(np.clip(some_error, 10**FIRST, 10 ** (LAST - STEP / 2))) - FIRST) / STEP
        ).astype(np.intp)
        histogram += np.bincount(bins, minlength=len(edges) - 1)
        units = units.reshape(got.shape)
        shares[some] += (units > rounding.bound_units).mean(
            axis=tuple(range(1, units.ndim))
        ) / items
        flat = _flat(units)
        worst = np.maximum(worst, flat.max(axis=0))
        grids[some] = np.maximum(grids[some], _binned(flat, SMALL))
    chosen = _chosen(shares)
    maps = (
        tuple(
            ChannelMap(channel, _levels(grids[channel], rounding.bound_units)) for channel in chosen
        )
        if count > 1
        else ()
    )
    bars = tuple(float(part.mean()) for part in np.array_split(shares, min(BARS, count)))
    axes = ("", spec.axes[0]) if spec.rank == 1 else (spec.axes[-2], spec.axes[-1])
    bins = tuple((float(edge), int(n)) for edge, n in zip(edges[:-1], histogram, strict=True))
    return Picture(
        axes,
        (size[0], size[1]),
        _levels(_binned(worst[np.newaxis], CELLS)[0], rounding.bound_units),
        maps,
        bars,
        count,
        bins,
        math.log10(max(rounding.bound_units, 1e-9)),
        exact,
    )


def _chosen(shares: Array) -> list[int]:
    """The channels to show: of those that differ and those that do not, the first ones, in their
    order.
    """
    wrong, right = np.flatnonzero(shares > 0), np.flatnonzero(shares == 0)
    few = min(len(right), MAPS // 4)
    return sorted([*wrong[: MAPS - few].tolist(), *right[:few].tolist()])


def _flat(array: Array) -> Array:
    """(channels, *space) as (channels, rows, columns): a single axis is one row, of three the first
    is looked through.
    """
    return (
        array[:, np.newaxis] if array.ndim == 2 else array.max(axis=1) if array.ndim == 4 else array
    )


def _binned(array: Array, most: tuple[int, int]) -> Array:
    """The largest of each cell of a grid no finer than `most`, of (channels, rows, columns)."""
    for axis in (1, 2):
        length, cells = array.shape[axis], min(array.shape[axis], most[axis - 1])
        starts = np.arange(cells) * length // cells
        array = np.maximum.reduceat(array, starts, axis=axis)
    return array


def _levels(units: Array, bound: float) -> Grid:
    levels = np.where(units > 0, np.clip(np.log10(units / bound), NONE, WORST), NONE)
    return tuple(map(tuple, np.round(levels, 2).tolist()))


def _kernels(problem: Problem, row: Row) -> tuple[KernelPair, ...]:
    """Some planes of the kernel beside those that the output was made with: solved for, or as asked
    where the finding says so.
    """
    spec = problem.spec
    solved = solve_weights(Search(problem))
    given = ungrouped_kernel(problem.w.astype(np.float64), spec.groups, spec.in_channels)
    if (
        solved is None
        and row.findings
        and not any(code.startswith(OF_THE_KERNEL) for code in row.findings[0].codes)
    ):
        solved = given
    pairs = []
    inner = spec.in_channels // spec.groups
    for output in range(min(spec.out_channels, PLANES)):
        input = output * spec.groups // spec.out_channels * inner
        obtained = None if solved is None else _plane(solved[output, input], spec)
        pairs.append(KernelPair(output, input, _plane(given[output, input], spec), obtained))
    return tuple(pairs)


def _plane(taps: Array, spec: ConvSpec) -> Grid:
    """A tap plane as the user's kernel has it; of three axes the middle of the first."""
    if spec.flip != spec.transposed:
        taps = taps[(slice(None, None, -1),) * taps.ndim]
    taps = (
        taps.reshape(1, -1)
        if taps.ndim == 1
        else taps[taps.shape[0] // 2]
        if taps.ndim == 3
        else taps
    )
    return tuple(tuple(float(f"{tap:.4g}") for tap in line) for line in taps[:24, :24])
