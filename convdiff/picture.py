"""A `Picture`: an output's errors as grids small enough to draw.

`convdiff.make_picture` makes it, `convdiff.report` draws it.  The level of a cell is the base-10
logarithm of the largest error in it over the error bound: above 0 the cell differs, up to 0 it is
rounding, and `NO_ERROR` is no error at all.
"""

from __future__ import annotations

from dataclasses import dataclass

Grid = tuple[tuple[float, ...], ...]

NO_ERROR = -9.0
# The highest level, which NaN or infinity has where the reference has a finite value.
HIGHEST = 12.0


@dataclass(frozen=True)
class ChannelMap:
    """The levels of one output channel over space."""

    channel: int
    levels: Grid


@dataclass(frozen=True)
class KernelPair:
    """The taps of one (output channel, input channel) pair: as asked, and as the output has them.

    `obtained` is None where the output does not determine them.
    """

    output: int
    input: int
    asked: Grid
    obtained: Grid | None


@dataclass(frozen=True)
class Picture:
    """Where and by how much an output differs.

    `axes` name the rows and columns of the grids ("H", "W"), and `size` counts the elements along
    them.  `levels` is the map over space with all channels together, `maps` has some channels
    alone.  `channels` are the shares of elements that differ, for each of the `channel_count`
    channels or, beyond 128 of them, for runs of channels.  `histogram` has (log10 of a bin's lower
    edge in rounding units, number of elements); `bound` is log10 of the units that rounding
    explains, and `exact` counts the elements without any error.
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
