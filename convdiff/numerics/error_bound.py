"""The error bound: how far rounding may move each element, and whether that explains an output.

Errors are measured in units of u S per element: u is the unit roundoff of the type computed in,
S = |input| corr |kernel| + |bias|.  The package's docstring derives the bound and gives measured
values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from convdiff.numerics.precision import (
    MAX_FINITE,
    MIN_NORMAL,
    MIN_SUBNORMAL,
    UNIT_ROUNDOFF,
    cast,
    half_ulp,
    significand_bits,
)
from convdiff.numerics.reference import Reference
from convdiff.records import ErrorStats
from convdiff.spec.layout import Array

# Elements compared at once, so that temporaries stay small beside the arrays.
CHUNK_ELEMENTS = 1 << 18
# The largest S of a channel counts at most as this many times the channel's median S.
MAX_TO_MEDIAN = 8.0
# Sums this close to the largest finite number, as a share of it, may already have overflowed.
NEAR_OVERFLOW = 0.999


@dataclass(frozen=True)
class Rounding:
    """How an output was computed and stored, and the errors that this explains.

    compute_dtype: the type that products and sums are rounded to.
    stored_dtype: the type that the output was stored in.
    terms: the number n of products in one element's sum.
    operand_reach: 1 + max|input| + max|kernel|, the most that a subnormal operand is multiplied by.
    decimal_error: half a unit of the last digit where the output was printed in decimals, else 0.
    bias_size: the size of the bias where sums may have been stored without it and again with it.
    stored_twice: whether sums were stored before an operation on them whose result was stored too.
    limits: the smallest and the largest number that were stored, to which those beyond were set.
    shift: the mean of what storing adds: minus half a step where values were rounded down.
    """

    compute_dtype: str
    stored_dtype: str
    terms: int
    operand_reach: float = 3.0
    decimal_error: float = 0.0
    bias_size: float = 0.0
    stored_twice: bool = False
    limits: tuple[float, float] = (-math.inf, math.inf)
    shift: float = 0.0

    @property
    def unit_roundoff(self) -> float:
        """The unit roundoff u of the type computed in."""
        return UNIT_ROUNDOFF[self.compute_dtype]

    @property
    def bound_units(self) -> float:
        """The most units of u S that summation may move an element by: gamma_n / u, and 1 more.

        In float64 the reference is rounded as much as the output, so the bound is doubled.
        """
        relative = self.terms * self.unit_roundoff
        gamma = self.terms / (1 - relative) if relative < 0.5 else 2.0 * self.terms
        return gamma * (2 if self.compute_dtype == "float64" else 1) + 1

    @property
    def typical_max_units(self) -> float:
        """The most units that sums of n terms show in practice: errors add up as a random walk."""
        return 4 * float(np.sqrt(self.terms)) + 4

    @property
    def fault_units(self) -> float:
        """The least units that a fault usually causes: the size of a sum of n signed terms."""
        return 1 / (self.unit_roundoff * float(np.sqrt(self.terms)))

    @property
    def distinguishes_faults(self) -> bool:
        """Whether typical rounding errors are far smaller than those of a fault."""
        return self.typical_max_units < 0.5 * self.fault_units

    def is_typical_max(self, units: float) -> bool:
        """Whether a largest error of `units` is typical of rounding, and far below a fault's."""
        return units <= self.typical_max_units and self.distinguishes_faults

    def is_typical_rms(self, units: float) -> bool:
        """Whether a root mean square error of `units` is typical of rounding.

        For signed data it is below 1 however long the sums are.
        """
        return units <= min(1 + float(np.sqrt(self.terms)) / 2, 0.25 * self.fault_units)

    @property
    def underflow_error(self) -> float:
        """The most that rounding among subnormal numbers may move an element by (absolute)."""
        return self.terms * MIN_SUBNORMAL[
            self.compute_dtype
        ] * self.operand_reach + MIN_SUBNORMAL.get(self.stored_dtype, 0.0)

    @property
    def flush_error(self) -> float:
        """The most that an element loses where subnormal numbers are flushed to zero (absolute)."""
        if self.compute_dtype == "float16":
            return self.underflow_error
        return self.terms * MIN_NORMAL[self.compute_dtype] * self.operand_reach

    @property
    def stored_narrower(self) -> bool:
        """Whether results are stored in a narrower type than they are computed in."""
        return significand_bits(self.stored_dtype) < significand_bits(self.compute_dtype)

    @property
    def with_second_storage(self) -> Rounding:
        """This rounding of sums that were stored, operated on, and stored again."""
        return replace(self, stored_twice=True)

    def storage_error(self, values: Array) -> Array | float:
        """The most that storing moves each of `values` by (absolute); 0 if stored as computed."""
        if not self.stored_narrower:
            return 0.0
        # Half an ulp, relative to the value, varies by a factor of 2: carried through the operation
        # in between, the first storage's error is at most twice the second's.
        error = half_ulp(values, self.stored_dtype) * (3 if self.stored_twice else 1)
        if not self.bias_size:
            return error
        return error + half_ulp(np.abs(values) + self.bias_size, self.stored_dtype)

    def within_limits(self, expected: Array) -> Array:
        """The expected values with their shift, those beyond the limits set to them."""
        low, high = self.limits
        expected = expected + self.shift if self.shift else expected
        return expected if low == -math.inf and high == math.inf else np.clip(expected, low, high)

    def allowed_error(self, expected: Array, scale: Array) -> Array:
        """The most that all kinds of rounding together may move each element by (absolute)."""
        return (
            self.bound_units * self.unit_roundoff * scale.astype(np.float64)
            + self.underflow_error
            + self.decimal_error
            + self.storage_error(expected)
        )

    def rms_exceeds_allowed(self, obtained: Array, expected: Array, scale: Array) -> bool:
        """Whether errors are larger, root mean square, than `allowed_error` is."""
        mean_square = np.square(obtained - expected).mean()
        return bool(mean_square > np.square(self.allowed_error(expected, scale)).mean())

    def explains_all(self, obtained: Array, expected: Array, scale: Array) -> bool:
        """Whether rounding explains every element: one by one, or `within_normwise_bound`.

        The normwise bound needs arrays of shape (N, C, *space).
        """
        suspect = self.suspect_mask(obtained, expected, scale)
        if not suspect.any():
            return True
        units = self.excess_units(obtained[suspect], expected[suspect], scale[suspect])
        if bool((units <= self.bound_units).all()):
            return True
        return obtained.ndim > 2 and within_normwise_bound(
            obtained, Reference(expected, scale), self
        )

    def suspect_mask(self, obtained: Array, expected: Array, scale: Array) -> Array:
        """True for elements beyond the summation bound, which storing or underflow may yet explain.

        Takes a third of the time of `excess_units`.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.abs(obtained - self.within_limits(expected))
            # Negated, so that NaN is suspect; so is an infinite error under an infinite bound.
            return np.asarray(
                ~((error <= (self.bound_units * self.unit_roundoff) * scale) & (error < np.inf))
            )

    def excess_units(self, obtained: Array, expected: Array, scale: Array) -> Array:
        """Units of u S that each element is off by, less what storing and underflow explain.

        Never NaN.  A non-finite element counts 0 where it agrees in kind or its sum overflows,
        else infinity.
        """
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            error = np.abs(obtained.astype(np.float64) - self.within_limits(expected))
            error = error - self.storage_error(expected) - self.decimal_error
            # A subnormal result shows that nothing was flushed: only the smaller error is allowed.
            unflushed = (np.abs(obtained) < MIN_NORMAL[self.compute_dtype]) & (obtained != 0)
            units = np.where(
                error <= np.where(unflushed, self.underflow_error, self.flush_error),
                0.0,
                error / (self.unit_roundoff * scale.astype(np.float64)),
            )
        nonfinite = ~np.isfinite(units)
        if nonfinite.any():
            units[nonfinite] = self._nonfinite_units(
                obtained[nonfinite], expected[nonfinite], scale[nonfinite], units[nonfinite]
            )
        return units

    def _nonfinite_units(
        self, obtained: Array, expected: Array, scale: Array, units: Array
    ) -> Array:
        """0 where values agree in kind or overflow explains the element, else infinity."""
        largest = min(MAX_FINITE[self.compute_dtype], MAX_FINITE.get(self.stored_dtype, np.inf))
        with np.errstate(invalid="ignore"):
            same = (np.isnan(obtained) & np.isnan(expected)) | (obtained == expected)
            # A partial sum that overflows may end as an infinity of either sign or as NaN.
            partial_overflow = (
                ~np.isfinite(obtained)
                & np.isfinite(scale)
                & (scale >= largest * NEAR_OVERFLOW)
                & (np.abs(expected) <= largest)
            )
            # A result that overflows is an infinity of its sign, or NaN from partial sums.
            result_overflow = (
                np.isfinite(expected)
                & (np.abs(expected) >= largest * NEAR_OVERFLOW)
                & (np.isnan(obtained) | (obtained == np.copysign(np.inf, expected)))
            )
        explained = same | partial_overflow | result_overflow
        remaining: Array = np.where(explained, 0.0, np.where(np.isnan(units), np.inf, units))
        return remaining


@dataclass(frozen=True)
class Comparison:
    """An output compared with the reference.

    stats: the error figures that reports show.
    identical: whether every element is the reference rounded to the output's type.
    within_bound: whether rounding explains every element.
    mean_square_units: the mean of the squared units of u S.
    """

    stats: ErrorStats
    identical: bool
    within_bound: bool
    mean_square_units: float

    @property
    def agrees(self) -> bool:
        """Whether no more than rounding separates the output from the reference."""
        return self.identical or self.within_bound


def fast_algorithm_units(elements: float) -> float:
    """Units of u max(S) that FFT or Winograd may move an element of so large a channel by."""
    return float(4 + 2 * np.log2(max(elements, 2.0)))


def within_normwise_bound(obtained: Array, reference: Reference, rounding: Rounding) -> bool:
    """Whether the errors may be a fast algorithm's: small beside the channel's largest S.

    Arrays are (N, C, *space); each batch item and channel has its own bound.  A fault is far
    larger, unless one S is far larger than all others, beside which any error is small: the largest
    S therefore counts as at most `MAX_TO_MEDIAN` times the median.
    """
    space = tuple(range(2, obtained.ndim))
    if (
        not np.isfinite(obtained).all()
        or not np.isfinite(reference.output).all()
        or not reference.scale.any(axis=space).all()
    ):
        return False
    elements = float(np.prod(obtained.shape[2:]))
    largest = reference.scale.max(axis=space, keepdims=True).astype(np.float64)
    # Storing is still a matter of each element alone.
    error = (np.abs(obtained - reference.output) - rounding.storage_error(reference.output)).max(
        axis=space, keepdims=True
    )
    relative = fast_algorithm_units(elements) * rounding.unit_roundoff
    absolute = rounding.underflow_error + rounding.decimal_error
    # Most outputs fail this check already, and the median below is slow.
    if (error > relative * largest + absolute).any():
        return False
    median = np.nanmedian(
        np.where(reference.scale > 0, reference.scale, np.nan), axis=space, keepdims=True
    ).astype(np.float64)
    limited = np.minimum(largest, MAX_TO_MEDIAN * np.nan_to_num(median))
    return bool((error <= relative * limited + absolute).all())


def transform_noise(obtained: Array, reference: Reference, rounding: Rounding) -> Array | None:
    """True where an error may be what a Fourier transform leaves, small beside the channel's S.

    None where the output shows no such noise, which is seen where all products are zero: there a
    sum is exactly 0.  Arrays are (N, C, *space).
    """
    on_zeros = (reference.scale == 0) & (obtained != 0) & np.isfinite(obtained)
    if not on_zeros.any():
        return None
    space = tuple(range(2, obtained.ndim))
    largest = reference.scale.max(axis=space, keepdims=True).astype(np.float64)
    elements = float(np.prod(obtained.shape[2:]))
    allowed = fast_algorithm_units(elements) * rounding.unit_roundoff * largest
    noise = np.abs(obtained - reference.output) <= allowed
    return noise if (noise & on_zeros).any() else None


def compare(obtained: Array, reference: Reference, rounding: Rounding) -> Comparison:
    """Compares `obtained` with `reference`, both (N, C, *space) of one shape.

    Works in chunks, so that memory stays bounded.
    """
    worst = (False, -1.0, 0.0, 0)
    max_abs = largest_units = 0.0
    outside = 0
    squares = 0.0
    identical = True
    for start, got, expected, scale in _chunks(obtained, reference):
        units = rounding.excess_units(got, expected, scale)
        with np.errstate(invalid="ignore", over="ignore"):
            # NumPy has no bfloat16: such an output is held in a wider type, and counts as bfloat16
            # only if all its values are.
            is_bfloat16 = rounding.stored_dtype == "bfloat16" and np.array_equal(
                cast(got, "bfloat16"), got, equal_nan=True
            )
            rounded = cast(expected, "bfloat16") if is_bfloat16 else expected.astype(got.dtype)
            equal = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
            error = np.where(equal, 0.0, np.abs(got.astype(np.float64) - rounded))
        max_abs = max(max_abs, float(np.nan_to_num(error, nan=np.inf).max(initial=0.0)))
        identical = identical and bool(equal.all())
        outside += int((units > rounding.bound_units).sum())
        squares += float(np.square(np.minimum(units, 1e150)).sum())
        largest_units = max(largest_units, float(units.max(initial=0.0)))
        # Of faults the largest error is worth showing, not the one at the smallest terms.
        error = np.nan_to_num(error, nan=np.inf)
        is_outside = units > rounding.bound_units
        if is_outside.any():
            at = int(np.where(is_outside, error, -1.0).argmax())
            largest_here = (True, float(error[at]), float(units[at]), start + at)
        else:
            at = int(units.argmax())
            largest_here = (False, float(units[at]), float(error[at]), start + at)
        if largest_here[:3] > worst[:3]:
            worst = largest_here
    place = tuple(int(i) for i in np.unravel_index(worst[3], obtained.shape))
    stats = ErrorStats(
        max_abs=max_abs,
        units=largest_units,
        terms=rounding.terms,
        differing=outside,
        elements=obtained.size,
        worst=place,
        obtained=float(obtained[place]),
        reference=float(reference.output[place]),
    )
    return Comparison(stats, identical, outside == 0, squares / max(obtained.size, 1))


def _chunks(obtained: Array, reference: Reference) -> Iterator[tuple[int, Array, Array, Array]]:
    """Yields (offset, obtained, expected, scale): flat pieces in the order of (N, C, *space)."""
    rows = obtained.shape[0] * obtained.shape[1]
    output, scale = (a.reshape(rows, -1) for a in reference)
    length = output.shape[1]
    if length >= CHUNK_ELEMENTS:
        for row in range(rows):
            flat = np.ascontiguousarray(obtained[divmod(row, obtained.shape[1])]).reshape(-1)
            for start in range(0, length, CHUNK_ELEMENTS):
                part = slice(start, start + CHUNK_ELEMENTS)
                yield row * length + start, flat[part], output[row, part], scale[row, part]
        return
    step = max(1, CHUNK_ELEMENTS // length)
    channels = obtained.shape[1]
    for item in range(obtained.shape[0]):
        for start in range(0, channels, step):
            block = np.ascontiguousarray(obtained[item, start : start + step]).reshape(-1)
            part = slice(item * channels + start, item * channels + min(start + step, channels))
            yield (
                (item * channels + start) * length,
                block,
                output[part].reshape(-1),
                scale[part].reshape(-1),
            )
