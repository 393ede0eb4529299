"""Output changes that apply an activation, or cut values off between two limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.activations import (
    SIGMOID,
    TANH,
    Activation,
    Function,
    clamp_argument_between,
)
from convdiff.diagnose.core.fitted_numbers import shortest_between
from convdiff.diagnose.core.output_change import (
    Fields,
    OpenChange,
    OutputChange,
    PartialSums,
    SumPair,
    WholeOutput,
)
from convdiff.numerics.reference import Reference
from convdiff.spec.layout import Array

# What rounding may amount to, as a share of the spread of the obtained values, for an agreement to
# be evidence: an activation may hide much.  Of outputs stored in 16 bits it may be more.
MAX_SLACK_SHARE, MAX_SLACK_SHARE_IF_NARROW = 0.01, 0.05
# Bits that the obtained values must hold for limits that are read off them: alone, and for each
# edit beside these.
MIN_BITS, MIN_BITS_PER_EDIT = 16.0, 8.0
# Negative sums from which a slope is read off, at least, and by how much it must differ from 1.
MIN_NEGATIVE_SUMS, MIN_SLOPE_DIFFERENCE = 4, 1e-3


@dataclass(frozen=True)
class Activated(OutputChange):
    """An activation was applied to the sums."""

    activation: Activation
    acts_on_stored_sum: ClassVar[bool] = True

    def sum_interval(self, obtained: Array, low: Array, high: Array) -> tuple[Array, Array]:
        return self.activation.argument_between(low, high)

    def verify(self, whole: WholeOutput) -> Fields | None:
        return {} if function_explains(self.activation.function, whole) else None

    def partial_sums(self, values: Array) -> PartialSums | None:
        """Of the sigmoid and tanh, whose inverse keeps what it needs."""
        if self.activation not in (SIGMOID, TANH):
            return None
        sums = self.activation.argument_between(values, values)[0]
        finite = np.isfinite(sums)
        cut = None if finite.all() else np.where(finite, 0, np.sign(sums).astype(int))
        return PartialSums(np.where(finite, sums, 0.0), cut, as_obtained=False)


@dataclass(frozen=True)
class Clamped(OutputChange):
    """Values below `low` and above `high` were set to these limits.

    `read_off` says that the limits are not known ones, but the extremes of the obtained values.
    """

    low: float
    high: float
    read_off: bool = False

    def sum_interval(self, obtained: Array, low: Array, high: Array) -> tuple[Array, Array]:
        return clamp_argument_between((self.low, self.high), obtained, low, high)

    def verify(self, whole: WholeOutput) -> Fields | None:
        clip = lambda values: np.clip(values, self.low, self.high)  # noqa: E731
        if self.read_off and not self._is_evidence(whole):
            return None
        return {} if function_explains(clip, whole, computes=False) else None

    def _is_evidence(self, whole: WholeOutput) -> bool:
        """Whether sums lie beyond each limit, and the values hold enough bits for the edits.

        Values at a limit hold little, as do whole numbers that are all alike.
        """
        sums, scale = whole.sums
        slack = whole.rounding.allowed_error(sums, scale)
        bits = entropy(whole.obtained)
        return bool(
            (np.isinf(self.low) or (sums < self.low - slack).any())
            and (np.isinf(self.high) or (sums > self.high + slack).any())
            and bits >= MIN_BITS + MIN_BITS_PER_EDIT * (whole.edits - 1)
        )

    def partial_sums(self, values: Array) -> PartialSums:
        cut = (values >= self.high).astype(int) - (values <= self.low)
        return PartialSums(values, cut, as_obtained=False)


@dataclass(frozen=True)
class Magnitude(OpenChange):
    """The signs of the sums were dropped, so that each sum may have had either."""

    def possible_sums(self, obtained: Array) -> Array:
        return np.stack([obtained, -obtained], axis=1)

    def relates(self, pair: SumPair) -> Array:
        error = np.abs(np.abs(pair.sums) - pair.obtained)
        return np.asarray((error <= pair.slack + pair.storage_error).all(axis=0))

    def verify(self, whole: WholeOutput) -> Fields | None:
        sums, scale = whole.sums
        slack = whole.rounding.allowed_error(sums, scale)
        # Of one sign, the output is the sums themselves, or the sums times -1.
        if not ((sums > slack).any() and (sums < -slack).any()):
            return None
        if not whole.rounding.explains_all(whole.obtained, np.abs(sums), scale):
            return None
        # Where rounding is as large as the values, any magnitude agrees.
        return {} if np.median(slack) < MAX_SLACK_SHARE_IF_NARROW * np.std(sums) else None


@dataclass(frozen=True)
class MagnitudeThen(OpenChange):
    """The signs of the sums were dropped; then they were changed as `then`, a known function, says.

    Each sum may have had either sign.
    """

    then: OutputChange

    def possible_intervals(self, obtained: Array) -> tuple[Array, Array]:
        low, high = self.then.sum_interval(obtained, obtained, obtained)
        return np.stack([low, -high], axis=1), np.stack([high, -low], axis=1)

    def relates(self, pair: SumPair) -> Array:
        low, high = self.then.sum_interval(pair.obtained, pair.obtained, pair.obtained)
        magnitude, slack = np.abs(pair.sums), pair.slack + pair.storage_error
        return np.asarray(((magnitude + slack >= low) & (magnitude - slack <= high)).all(axis=0))

    def verify(self, whole: WholeOutput) -> Fields | None:
        sums, scale = whole.sums
        # Of one sign, the output is the sums themselves, or the sums times -1.
        if not ((sums > 1).any() and (sums < -1).any()):
            return None
        magnitudes = Reference(np.abs(sums), scale)
        return self.then.verify(replace(whole, sums=magnitudes))


@dataclass(frozen=True)
class UnknownSlopes(OutputChange):
    """Negative sums were multiplied by an unknown slope: one for all, or one for each channel."""

    code: str

    def sum_interval(self, obtained: Array, low: Array, high: Array) -> tuple[Array, Array]:
        """Nothing is known of a negative sum but its sign."""
        negative = obtained < 0
        return np.where(negative, -np.inf, low), np.where(negative, 0.0, high)

    def verify(self, whole: WholeOutput) -> Fields | None:
        sums, scale = whole.sums
        negative = sums < 0
        if not (~negative).any() or negative.sum() < MIN_NEGATIVE_SUMS:
            return None
        space = (0, *range(2, sums.ndim))
        products = np.where(negative, sums * whole.obtained, 0)
        squares = np.where(negative, np.square(sums), 0)
        one = products.sum() / squares.sum()
        counts = negative.sum(axis=space, keepdims=True)
        each = products.sum(axis=space, keepdims=True) / np.maximum(
            squares.sum(axis=space, keepdims=True), 1e-300
        )
        relative = whole.rounding.bound_units * whole.rounding.unit_roundoff
        for slopes in (np.full_like(each, one), each):
            low, high = slopes.min(), slopes.max()
            if not 0 < low <= high < np.inf or (np.abs(slopes - 1) < MIN_SLOPE_DIFFERENCE).all():
                continue
            expected = np.where(negative, slopes * sums, sums)
            # Slopes that were read off are as far off as the values they were read off.
            sizes = scale * np.where(negative, 2 * slopes, 1)
            if not whole.rounding.explains_all(whole.obtained, expected, sizes):
                continue
            if np.ptp(slopes) == 0:
                slack = 2 * relative * one
                slope = shortest_between(one - slack, one + slack)
                return {self.code: {"obtained": "leaky_relu", "slope": slope}}
            if (counts >= MIN_NEGATIVE_SUMS).mean() > 0.5:
                return {self.code: {"obtained": "prelu", "slopes": slopes.ravel().tolist()}}
        return None


RELU = Clamped(0.0, np.inf)
RELU6 = Clamped(0.0, 6.0)


def entropy(values: Array) -> float:
    """The entropy of the values in bits: how unlikely it is that others agree with them all."""
    counts = np.unique(values, return_counts=True)[1]
    return float(-(counts * np.log2(counts / values.size)).sum())


def function_explains(function: Function, whole: WholeOutput, *, computes: bool = True) -> bool:
    """Whether the function of every sum, give or take the sum's rounding, is the obtained value.

    A function that `computes` rounds its own results; one that only selects values does not.
    Where rounding could move a value across much of the range, or all values are alike, agreement
    is no evidence.
    """
    rounding, sums = whole.rounding, whole.sums.output
    expected = function(sums)
    # Decimals, or steps, are those of the results.
    slack = rounding.allowed_error(sums, whole.sums.scale) - rounding.decimal_error
    below, above = function(sums - slack), function(sums + slack)
    moved = np.maximum(np.abs(above - expected), np.abs(below - expected))
    own = rounding.allowed_error(expected, np.zeros_like(expected))
    if computes:
        # GELU takes a number near 1 from 1, and multiplies what is left, as exact as the 1, by the
        # sum.  Sums beyond 8 are kept as they are, or give 0.
        size = np.minimum(np.abs(sums), 8)
        own = own + 8 * rounding.unit_roundoff * (1 + size + (1 + np.abs(sums)) * np.abs(expected))
    else:
        own = own + rounding.unit_roundoff * np.abs(expected)
    if not (np.abs(whole.obtained - rounding.within_limits(expected)) <= moved + own).all():
        return False
    if not np.ptp(whole.obtained):
        # All came out alike, as zeros do: a sign each is enough evidence for an activation, but for
        # nothing beside it.
        return whole.edits == 1
    is_narrow = rounding.stored_narrower or rounding.decimal_error > 0
    share = MAX_SLACK_SHARE_IF_NARROW if is_narrow else MAX_SLACK_SHARE
    spread = float(np.std(whole.obtained.astype(np.float64)))
    return float(np.median(moved + own)) < share * spread
