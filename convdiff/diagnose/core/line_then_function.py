"""A straight line over the sums, then a known function: a normalization before an activation.

Through the function each obtained value limits the line's value to an interval; where the function
cuts off, to a half-open one.  The factor and the constants must bring every sum into its interval.
For a given factor the constants of a channel form an interval, whose length is concave in the
factor: it is largest at the best factor, and where it reaches zero the possible factors end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.activation_change import Activated
from convdiff.diagnose.core.fitted_numbers import shortest_between
from convdiff.diagnose.core.line_fit import (
    MIN_EVIDENCE_BITS,
    MIN_FACTOR_DIFFERENCE,
    MIN_VALUES_ON_A_LINE,
    evidence_bits,
)
from convdiff.diagnose.core.output_change import OutputChange, WholeOutput
from convdiff.spec.layout import Array

# Steps of the search for the best factor, and for the ends of the possible ones.
SEARCH_STEPS, BISECTIONS = 60, 40
INVERSE_GOLDEN_RATIO = (np.sqrt(5) - 1) / 2
# The share of the known values that the sums themselves do not explain, at least.
MIN_SHARE_OUTSIDE = 0.25
# Elements that a line is fitted to, at most; fewer of those that went through an activation, whose
# inverse takes its time.
MAX_ELEMENTS, MAX_ACTIVATED_ELEMENTS = 1 << 20, 1 << 15


class Lines(NamedTuple):
    """A factor and a constant for each channel, (O,) each."""

    factors: Array
    constants: Array


@dataclass(frozen=True)
class LineIntervals:
    """Sums, and the intervals in which the values of the lines over them lie, (rows, elements).

    `low` and `high`, between which rounding is allowed for, are infinite where the function cut
    values off.
    """

    sums: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, whole: WholeOutput, then: OutputChange) -> LineIntervals | None:
        """Those of elements of an output (N, O, *space), one row for each channel.

        None where the function could not have given these values.
        """
        most = MAX_ACTIVATED_ELEMENTS if isinstance(then, Activated) else MAX_ELEMENTS
        step = -(-whole.obtained.size // most)
        obtained, sums, scale = (_rows(each)[:, ::step] for each in (whole.obtained, *whole.sums))
        rounding = whole.twice_stored
        error = np.asarray(rounding.storage_error(obtained)) + rounding.decimal_error
        error = error + 2 * rounding.unit_roundoff * np.abs(obtained)
        with np.errstate(all="ignore"):
            low, high = then.sum_interval(obtained, obtained - error, obtained + error)
        known = np.isfinite(low) & np.isfinite(high)
        if np.isnan(low).any() or np.isnan(high).any() or not known.any():
            return None
        factor = _slope(sums[known], ((low + high) / 2)[known])
        slack = rounding.bound_units * rounding.unit_roundoff * scale * abs(factor)
        return cls(sums, low - slack, high + slack)

    @property
    def known(self) -> Array:
        """Where the interval has both ends."""
        return np.asarray(np.isfinite(self.low) & np.isfinite(self.high))

    @property
    def middle(self) -> Array:
        """The middles of the intervals, 0 where they are not known."""
        return np.where(self.known, self.low / 2 + self.high / 2, 0)

    @property
    def in_one_row(self) -> LineIntervals:
        """The same with all elements in one row."""
        rows = (each.reshape(1, -1) for each in (self.sums, self.low, self.high))
        return LineIntervals(*rows)

    def constants(self, factors: Array) -> tuple[Array, Array]:
        """The ends of the interval of each row's constant for one factor of each row, (rows,)."""
        line = factors[:, None] * self.sums
        return (self.low - line).max(axis=1), (self.high - line).min(axis=1)

    def lengths(self, factors: Array) -> Array:
        """The lengths of the intervals of the constants, (rows,): negative where there is none."""
        lowest, highest = self.constants(factors)
        return np.asarray(highest - lowest)

    def factor_range(self) -> tuple[Array, Array]:
        """Factors between which the best one of each row lies, (rows,) each."""
        known, counts = self.known, self.known.sum(axis=1)
        means = [
            np.where(known, values, 0).sum(axis=1, keepdims=True) / np.maximum(counts, 1)[:, None]
            for values in (self.sums, self.middle)
        ]
        sums, middle = (
            np.where(known, values - mean, 0)
            for values, mean in zip((self.sums, self.middle), means, strict=True)
        )
        squares = np.maximum(np.square(sums).sum(axis=1), 1e-300)
        fitted = (sums * middle).sum(axis=1) / squares
        widest = np.where(known, self.high - self.low, 0).max(axis=1)
        reach = 4 * widest / np.maximum(np.abs(sums).max(axis=1), 1e-300)
        reach = reach + 1e-9 * np.abs(fitted)
        return fitted - reach, fitted + reach

    @property
    def need_a_line(self) -> bool:
        """Whether the sums themselves lie outside of many of their intervals."""
        outside = (self.sums < self.low) | (self.sums > self.high)
        return bool(outside.sum() >= MIN_SHARE_OUTSIDE * self.known.sum())

    def is_evidence(self, numbers: int) -> bool:
        """Whether the known values say more than so many numbers for each row, read off them."""
        counts = self.known.sum(axis=1)
        if counts.max() < MIN_VALUES_ON_A_LINE or (counts < 3).mean() > 0.5:
            return False
        width = np.where(self.known, self.high - self.low, np.inf)
        bits = evidence_bits(self.middle, width, self.known, numbers_used=numbers)
        return bits >= MIN_EVIDENCE_BITS


def line_for_each_channel(intervals: LineIntervals) -> Lines | None:
    """A factor and a constant for each channel, where they differ; None if none fit."""
    if not intervals.is_evidence(numbers=2) or len(intervals.sums) < 2:
        return None
    factors = _best(intervals.lengths, *intervals.factor_range())
    lowest, highest = intervals.constants(factors)
    if (lowest > highest).any() or not np.isfinite(factors).all():
        return None
    if np.ptp(factors) < MIN_FACTOR_DIFFERENCE * np.abs(factors).max() or not factors.all():
        return None
    return Lines(factors, (lowest + highest) / 2)


def one_factor_for_all(intervals: LineIntervals, usual: tuple[float, ...]) -> Iterator[Lines]:
    """One factor with one constant for all channels; then with a constant for each channel.

    A factor among the `usual` ones is preferred.  None where the factor is 1 or no constant needed.
    """
    channels = len(intervals.sums)
    for rows in (intervals.in_one_row, intervals):
        if not rows.is_evidence(numbers=2 if len(rows.sums) == 1 else 1):
            continue
        count = len(rows.sums)

        def shortest(factors: Array, rows: LineIntervals = rows, count: int = count) -> Array:
            """The length of the shortest interval of a constant, for one factor, (1,)."""
            return np.asarray(rows.lengths(np.repeat(factors, count)).min(keepdims=True))

        low, high = rows.factor_range()
        best = _best(shortest, low.min(keepdims=True), high.max(keepdims=True))
        if shortest(best)[0] < 0:
            continue
        factor = _tidy(shortest, best, usual)
        lows, highs = rows.constants(np.full(count, factor))
        constants = [
            shortest_between(*pair) for pair in zip(lows.tolist(), highs.tolist(), strict=True)
        ]
        if abs(factor - 1) > MIN_FACTOR_DIFFERENCE and (lows * highs > 0).any():
            yield Lines(np.full(channels, factor), np.broadcast_to(constants, (channels,)))


def factor_alone(intervals: LineIntervals, usual: tuple[float, ...]) -> float | None:
    """One factor for everything, without constants; None where it is 1 or none fits."""
    rows = intervals.in_one_row
    sums, low, high = (each[0][rows.sums[0] != 0] for each in (rows.sums, rows.low, rows.high))
    if not rows.is_evidence(numbers=1):
        return None
    ends = low / sums, high / sums
    least, most = float(np.minimum(*ends).max()), float(np.maximum(*ends).min())
    if not least <= most or not np.isfinite([least, most]).all():
        return None
    near = [each for each in usual if least <= each <= most]
    middle = (least + most) / 2
    factor = min(near, key=lambda f: abs(f - middle), default=shortest_between(least, most))
    return factor if abs(factor - 1) > MIN_FACTOR_DIFFERENCE else None


def _slope(sums: Array, values: Array) -> float:
    """The slope of the least squares line through the values over the sums."""
    centered = sums - sums.mean()
    squares = float(np.vdot(centered, centered))
    return float(np.vdot(centered, values)) / squares if squares else 0.0


def _rows(values: Array) -> Array:
    """An array (N, O, *space) as (O, elements), float64."""
    return np.moveaxis(values, 1, 0).reshape(values.shape[1], -1).astype(np.float64)


def _best(length: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Where a concave function of each row is largest between two ends, by golden sections."""
    first, second = (high - INVERSE_GOLDEN_RATIO * (high - low),) * 2
    second = low + INVERSE_GOLDEN_RATIO * (high - low)
    at_first, at_second = length(first), length(second)
    for _ in range(SEARCH_STEPS):
        left = at_first >= at_second
        low, high = np.where(left, low, first), np.where(left, second, high)
        new_first = high - INVERSE_GOLDEN_RATIO * (high - low)
        new_second = low + INVERSE_GOLDEN_RATIO * (high - low)
        tried = length(np.where(left, new_first, new_second))
        first, second, at_first, at_second = (
            np.where(left, new_first, second),
            np.where(left, first, new_second),
            np.where(left, tried, at_second),
            np.where(left, at_first, tried),
        )
    return np.asarray(np.where(at_first >= at_second, first, second))


def _tidy(length: Callable[[Array], Array], best: Array, usual: tuple[float, ...]) -> float:
    """A factor near the best one where `length` is not negative: a usual one, or a short one."""
    middle = float(best[0])
    near = [each for each in usual if length(np.array([each]))[0] >= 0]
    if near:
        return min(near, key=lambda factor: abs(factor - middle))
    ends = []
    for sign in (-1, 1):
        inside, outside = middle, middle + sign * 0.1 * abs(middle)
        for _ in range(BISECTIONS):
            tried = (inside + outside) / 2
            fits = length(np.array([tried]))[0] >= 0
            inside, outside = (tried, outside) if fits else (inside, tried)
        ends.append(inside)
    return shortest_between(*ends)
