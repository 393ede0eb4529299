"""Outputs whose change is undone before the search: shuffled pixels, missing filters, dilation 0.

Each change has few variants that the shapes or the padding allow.  It is undone, or the asked
convolution is replaced by the one that was run, and the search then runs on that problem.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.geometry import WrongDilation
from convdiff.diagnose.hypotheses.output_part import (
    DepthToSpace,
    MultiplierIgnored,
    SpaceToDepth,
)
from convdiff.records import Edit
from convdiff.spec.canonical import normal_output, user_output
from convdiff.spec.layout import Array
from convdiff.spec.pad_value import PadValue

# The orders of the channels that a block of pixels becomes: block first, or channel first.
ORDERS = ("DCR", "CRD")
# Elements of the input and kernel of a convolution whose taps are channels, at most.
MAX_REPEATED = 1 << 22


@dataclass(frozen=True)
class Restored:
    """A problem in which a change of the output is undone, and the edits that say which."""

    problem: Problem
    edits: Edits

    def full_edits(self, edits: Edits) -> Edits | None:
        """The edits of the changed output, given those of the restored one; None if they clash."""
        return (*edits, *self.edits)


def restored_outputs(problem: Problem) -> Iterator[Restored]:
    """The outputs restored in every way that the shapes allow; mostly none."""
    spec = problem.spec
    if problem.obtained.ndim != len(spec.output_layout) or not problem.obtained.size:
        return
    y = normal_output(spec, problem.obtained)
    if y.shape[1] != spec.out_channels:
        yield from _without_multiplier(problem, y)
        yield from _shuffled_pixels(problem, y)
    elif not spec.transposed:
        yield from _without_dilation(problem, y)


def _shuffled_pixels(problem: Problem, y: Array) -> Iterator[Restored]:
    """The output before blocks of pixels became channels, or channels blocks of pixels."""
    spec, rank = problem.spec, problem.spec.rank
    asked, channels = spec.out_channels, y.shape[1]
    few, many = sorted((asked, channels))
    block = round((many / few) ** (1 / rank))
    if block < 2 or few * block**rank != many or not {"N", "C"} <= {*spec.output_layout}:
        return
    for order in ORDERS:
        if channels < asked:
            if any(size % block for size in y.shape[2:]):
                return
            code, restored = DepthToSpace.code, pixels_to_channels(y, block, order)
        else:
            code, restored = SpaceToDepth.code, channels_to_pixels(y, block, order)
        edit: Edit = {"code": code, "block": block, "order": order}
        obtained = user_output(spec, np.ascontiguousarray(restored))
        yield Restored(replace(problem, obtained=obtained), (edit,))


def pixels_to_channels(y: Array, block: int, order: str) -> Array:
    """(N, C, *space) with each block of pixels as channels: before them ("DCR") or after."""
    batch, channels, *size = y.shape
    rank = len(size)
    split = y.reshape(batch, channels, *(n for m in size for n in (m // block, block)))
    outer, inner = [2 + 2 * axis for axis in range(rank)], [3 + 2 * axis for axis in range(rank)]
    first = [*inner, 1] if order == "DCR" else [1, *inner]
    return np.asarray(split.transpose(0, *first, *outer)).reshape(
        batch, channels * block**rank, *(m // block for m in size)
    )


def channels_to_pixels(y: Array, block: int, order: str) -> Array:
    """The inverse of `pixels_to_channels`."""
    batch, channels, *size = y.shape
    rank = len(size)
    fewer, blocks = channels // block**rank, (block,) * rank
    parts = (*blocks, fewer) if order == "DCR" else (fewer, *blocks)
    split = y.reshape(batch, *parts, *size)
    channel, first = (1 + rank, 1) if order == "DCR" else (1, 2)
    pairs = [axis for i in range(rank) for axis in (2 + rank + i, first + i)]
    return np.asarray(split.transpose(0, channel, *pairs)).reshape(
        batch, fewer, *(m * block for m in size)
    )


def _without_multiplier(problem: Problem, y: Array) -> Iterator[Restored]:
    """The depthwise convolution with the first filter of each channel, where that many came."""
    spec = problem.spec
    channels = spec.in_channels
    if spec.transposed or spec.groups != channels or y.shape[1] != channels:
        return
    multiplier = spec.out_channels // channels
    layout = spec.kernel_layout
    if "M" in layout:
        kernel = np.take(problem.kernel, [0], axis=layout.index("M"))
    elif "O" in layout:
        first = np.arange(0, spec.out_channels, multiplier)
        kernel = np.take(problem.kernel, first, axis=layout.index("O"))
    else:
        return
    bias = None if problem.bias is None else problem.bias.reshape(-1)[::multiplier]
    restored = replace(problem, spec=replace(spec, out_channels=channels), kernel=kernel, bias=bias)
    yield Restored(restored, ({"code": MultiplierIgnored.code},))


def _without_dilation(problem: Problem, y: Array) -> Iterator[Restored]:
    """The convolution whose taps all read the same element, where the size is that of a 1x1 kernel.

    Each tap becomes an input channel, so that the error bound is that of all taps.
    """
    spec = problem.spec
    taps = math.prod(spec.kernel_size)
    if taps == 1 or max(spec.input_dilation) > 1 or problem.x.size * taps > MAX_REPEATED:
        return
    ones = (1,) * spec.rank
    size = tuple(
        (n + lo + hi - 1) // stride + 1
        for n, (lo, hi), stride in zip(spec.input_size, spec.padding, spec.stride, strict=True)
    )
    if size == spec.output_size or y.shape != (spec.batch, spec.out_channels, *size):
        return
    kernel = np.ascontiguousarray(problem.w).reshape(spec.out_channels, -1, *ones)
    one_tap = replace(
        spec,
        input_layout="NC" + spec.axes,
        kernel_layout="OI" + spec.axes,
        in_channels=spec.in_channels * taps,
        pad_value=_repeated(spec.pad_value, taps),
        kernel_size=ones,
        dilation=ones,
        flip=False,
    )
    edit: Edit = {
        "code": WrongDilation.code,
        "asked": list(spec.dilation),
        "obtained": [0] * spec.rank,
    }
    x = np.repeat(problem.x, taps, axis=1)
    yield Restored(replace(problem, spec=one_tap, input=x, kernel=kernel), (edit,))


def _repeated(pad_value: PadValue, times: int) -> PadValue:
    """The pad value of channels that are each repeated."""
    if not isinstance(pad_value, tuple):
        return pad_value
    return tuple(number for number in pad_value for _ in range(times))
