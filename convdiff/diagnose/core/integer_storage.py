"""The output change that stores sums as whole numbers, and the edit that says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.activation_change import entropy
from convdiff.diagnose.core.output_change import (
    Fields,
    OpenChange,
    OutputChange,
    SumPair,
    WholeOutput,
)
from convdiff.records import Edit
from convdiff.spec.layout import Array

# The code of the hypothesis `StoredAsInteger`.
STORED_AS_INTEGER = "stored-as-integer"
NEAREST, TOWARD_ZERO, DOWN = ROUNDINGS = ("nearest", "toward-zero", "down")
# The type of whole numbers in an array of floats: that of a Python integer in NumPy.
TYPE_OF_WHOLE_FLOATS = "int64"
# How far a value rounded to the nearest whole number is from the sum, at most.  Filters of 8-bit
# images work with weights in fixed point, which adds a little.
HALF, HALF_OF_8_BITS = 0.5, 0.6
EIGHT_BIT_TYPES = ("uint8", "int8")
# Bits that the obtained values must hold: for this edit alone, and for each edit beside it.
MIN_BITS, MIN_BITS_PER_EDIT = 8.0, 8.0
# The share of the modulus that rounding may amount to; above it, any sum is near some multiple.
MAX_SLACK_OF_MODULUS = 1 / 64
# Sums that are no whole numbers, at least: others show no rounding.
MIN_FRACTIONAL_SUMS = 3


def integer_edit(integer_type: str, rounding: str) -> Edit:
    """The edit "the output was stored as `integer_type`, rounded in this way"."""
    return {"code": STORED_AS_INTEGER, "type": integer_type, "rounding": rounding}


def largest_error(integer_type: str | None) -> float:
    """How far a value rounded to the nearest whole number may be from the sum."""
    return HALF_OF_8_BITS if integer_type in EIGHT_BIT_TYPES else HALF


def type_limits(integer_type: str) -> tuple[float, float]:
    """The least and the largest value of an integer type, as its name in NumPy says it."""
    limits = np.iinfo(integer_type)
    return float(limits.min), float(limits.max)


@dataclass(frozen=True)
class RoundedToInteger(OutputChange):
    """Sums were rounded to whole numbers, and those beyond `low` and `high` set to these limits.

    The limits are those of the integer type, or narrower ones of a clipping before it.
    """

    integer_type: str
    rounding: str
    low: float
    high: float

    def sum_interval(self, obtained: Array, low: Array, high: Array) -> tuple[Array, Array]:
        if self.rounding == NEAREST:
            error = largest_error(self.integer_type)
            low, high = low - error, high + error
        elif self.rounding == DOWN:
            high = high + 1
        else:
            low = low - (obtained <= 0)
            high = high + (obtained >= 0)
        low = np.where(obtained <= self.low, -np.inf, low)
        high = np.where(obtained >= self.high, np.inf, high)
        impossible = (obtained < self.low) | (obtained > self.high)
        return np.where(impossible, np.inf, low), np.where(impossible, -np.inf, high)

    def verify(self, whole: WholeOutput) -> Fields | None:
        sums, scale = whole.sums
        obtained = whole.obtained
        slack = whole.rounding.allowed_error(sums, scale)
        low, high = self.sum_interval(obtained, obtained, obtained)
        if not ((sums + slack >= low) & (sums - slack <= high)).all():
            return None
        if (obtained != np.rint(obtained)).any():
            return None
        beyond = (sums < self.low - 1) | (sums > self.high + 1)
        fractional = ~beyond & (np.abs(sums - np.rint(sums)) > slack)
        needed = MIN_BITS + MIN_BITS_PER_EDIT * (whole.edits - 1)
        if fractional.sum() < MIN_FRACTIONAL_SUMS or entropy(obtained) < needed:
            return None
        least, most = type_limits(self.integer_type)
        saturated = (self.low >= least and (sums < least - 1).any()) or (
            self.high <= most and (sums > most + 1).any()
        )
        return {STORED_AS_INTEGER: {"saturated": True} if saturated else {}}


@dataclass(frozen=True)
class RoundedAndWrapped(OpenChange):
    """Sums were rounded to whole numbers, which then lost an unknown multiple of `modulus`."""

    rounded: RoundedToInteger
    modulus: float

    # The multiples by which the first sum may have wrapped; a sum that lost more is missed.
    multiples: ClassVar[Array] = np.arange(-16.0, 17.0)

    def possible_intervals(self, obtained: Array) -> tuple[Array, Array]:
        whole_numbers = obtained[:, None] + self.modulus * self.multiples
        return self.rounded.sum_interval(whole_numbers, whole_numbers, whole_numbers)

    def relates(self, pair: SumPair) -> Array:
        whole_numbers = self._unwrapped(pair.obtained, pair.sums)
        low, high = self.rounded.sum_interval(whole_numbers, whole_numbers, whole_numbers)
        slack = pair.slack + pair.storage_error
        return np.asarray(((pair.sums + slack >= low) & (pair.sums - slack <= high)).all(axis=0))

    def verify(self, whole: WholeOutput) -> Fields | None:
        unwrapped = self._unwrapped(whole.obtained, whole.sums.output)
        slack = whole.rounding.allowed_error(*whole.sums).max()
        wrapped = unwrapped != whole.obtained
        if not wrapped.any() or slack > self.modulus * MAX_SLACK_OF_MODULUS:
            return None
        return self.rounded.verify(replace(whole, obtained=unwrapped))

    def _unwrapped(self, obtained: Array, sums: Array) -> Array:
        """The whole numbers near the sums that wrapped to the obtained values."""
        return np.asarray(obtained + self.modulus * np.rint((sums - obtained) / self.modulus))
