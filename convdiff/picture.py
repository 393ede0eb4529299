"""What an output's difference looks like, in grids small enough to draw: plain numbers, made by
`convdiff.make_picture`.

A level is log10 of the largest error of a cell's elements over its bound: above 0 differs, below is
rounding, `NONE` is no error.
"""

from __future__ import annotations

from dataclasses import dataclass

Grid = tuple[tuple[float, ...], ...]

# The level of a cell without any error, and of one with NaN or an infinity that should not be
# there.
NONE, WORST = -9.0, 12.0


@dataclass(frozen=True)
class ChannelMap:
    """One output channel: its number, and its levels over space."""

    channel: int
    levels: Grid


@dataclass(frozen=True)
class KernelPair:
    """One tap plane of the kernel, as asked and as the output has it; `obtained` None where it
    cannot be told.
    """

    output: int
    input: int
    asked: Grid
    obtained: Grid | None


@dataclass(frozen=True)
class Picture:
    """Levels over space (all channels together, then some channels alone), per channel, the errors'
    histogram, the kernels.

    `axes` name the grids' rows and columns (H, W), `size` how many elements these are.  `channels`
    is the share of elements that differ, for up to 128 (groups of) channels of `channel_count`.
    `histogram` counts elements by units of rounding: (log10 of a bin's lower edge, count); `bound`
    is log10 of the units allowed, `exact` how many elements have no error at all.
    """

    axes: tuple[str, str]
    size: tuple[int, int]
    levels: Grid
    maps: tuple[ChannelMap, ...]
    channels: tuple[float, ...]
    channel_count: int
    histogram: tuple[tuple[float, int], ...]
    bound: float
    exact: int
    kernels: tuple[KernelPair, ...] = ()
