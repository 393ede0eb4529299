"""The verdict by error bound: what rounding may do to each element, and whether that is all that
happened.

An element is measured in units of u S: u the unit roundoff of the type that was computed in, S =
|input| corr |kernel| + |bias|.  A sum of n products, in any order, with or without fused
multiply-adds, is off by at most n u S / (1 - n u) (Higham, Accuracy and Stability of Numerical
Algorithms, ch. 3), and by half an ulp more where the output is stored in a narrower type.  Numbers
too small for the type's normal range may be flushed to zero by some hardware; that is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from convdiff.numerics.precision import LARGEST, NORMAL, SUBNORMAL, UNIT, cast, half_ulp, width
from convdiff.numerics.reference import Truth
from convdiff.records import ErrorStats
from convdiff.spec.layout import Array

# Elements compared at once: temporaries stay small beside any array worth the name.
CHUNK = 1 << 18


@dataclass(frozen=True)
class Rounding:
    """What an output may be off by: computed in `dtype` from `terms` products, stored as `stored`.

    `reach` is 1 + max|input| + max|kernel|, what an operand flushed to zero is multiplied by at
    most; `bias` is how large a bias is: a sum may have been stored once without it and again with
    it; `again` says that what was made of a stored sum was stored too.
    """

    dtype: str
    stored: str
    terms: int
    reach: float = 3.0
    extra: float = 0.0
    bias: float = 0.0
    again: bool = False

    @property
    def unit(self) -> float:
        """The unit roundoff of the type computed in."""
        return UNIT[self.dtype]

    @property
    def bound(self) -> float:
        """Units an element may be off by.  The float64 reference rounds as much itself, so there it
        is doubled.
        """
        steps = self.terms * self.unit
        gamma = self.terms / (1 - steps) if steps < 0.5 else 2.0 * self.terms
        return gamma * (2 if self.dtype == "float64" else 1) + 1

    @property
    def usual(self) -> float:
        """Units that sums of so many terms are off by at most, in practice: errors add up like a
        random walk.
        """
        return 4 * float(np.sqrt(self.terms)) + 4

    def tells(self, units: float) -> bool:
        """Whether errors no larger than these units, everywhere, are rounding's: as small as usual,
        where a fault's would be far larger.
        """
        return units <= self.usual < 0.5 * self.fault

    def tells_by(self, root_mean_square: float) -> bool:
        """As `tells`, by the root mean square of all errors, which for signed data is below 1
        however many terms there are.
        """
        return root_mean_square <= min(1 + float(np.sqrt(self.terms)) / 2, 0.25 * self.fault)

    @property
    def fault(self) -> float:
        """Units that a fault usually is off by, at the least: as much as signed terms sum to."""
        return 1 / (self.unit * float(np.sqrt(self.terms)))

    @property
    def floor(self) -> float:
        """What rounding among subnormal numbers may cost an element, in its own unit."""
        return self.terms * SUBNORMAL[self.dtype] * self.reach + SUBNORMAL.get(self.stored, 0.0)

    @property
    def flushed(self) -> float:
        """What an element may lose where subnormal operands and results are taken for zero."""
        return (
            self.terms * NORMAL[self.dtype] * self.reach if self.dtype != "float16" else self.floor
        )

    def allowed(self, reference: Array, scale: Array) -> Array:
        """What each element may be off by in all, in its own unit."""
        return (
            self.bound * self.unit * scale.astype(np.float64)
            + self.floor
            + self.extra
            + self.written(reference)
        )

    @property
    def twice(self) -> Rounding:
        """The same where a sum may have been stored before something was made of it, and stored
        again.
        """
        return replace(self, again=True)

    @property
    def narrow(self) -> bool:
        """Whether results are stored in a narrower type than they are computed in."""
        return width(self.stored) < width(self.dtype)

    def written(self, values: Array) -> Array | float:
        """What storing values like these may cost each."""
        if not self.narrow:
            return 0.0
        # The first rounding, multiplied with the sum, is less than two of the second.
        own = half_ulp(values, self.stored) * (3 if self.again else 1)
        return own + half_ulp(np.abs(values) + self.bias, self.stored) if self.bias else own

    def explains(self, obtained: Array, reference: Array, scale: Array) -> bool:
        """Whether rounding explains every element: `excess` is nowhere beyond the bound, or
        `normwise` of (N, C, *space) holds.
        """
        rest = self.doubtful(obtained, reference, scale)
        if not rest.any() or bool(
            (self.excess(obtained[rest], reference[rest], scale[rest]) <= self.bound).all()
        ):
            return True
        return obtained.ndim > 2 and normwise(obtained, Truth(reference, scale), self)

    def doubtful(self, obtained: Array, reference: Array, scale: Array) -> Array:
        """The elements that rounding may not explain: those beyond the bound, and some that storing
        or underflow do.

        A third of the work of `excess`.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.abs(obtained - reference)
            # Written so that NaN is among them, and what is infinitely far off a sum whose bound is
            # infinite.
            return np.asarray(~((error <= (self.bound * self.unit) * scale) & (error < np.inf)))

    def excess(self, obtained: Array, reference: Array, scale: Array) -> Array:
        """Units of u S that each element is off by, beyond what storing and underflow explain; NaN
        never.

        Non-finite elements are 0 where they agree in kind or where the type overflows, infinite
        elsewhere.
        """
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            error = np.abs(obtained.astype(np.float64) - reference)
            error = error - self.written(reference) - self.extra
            # Who flushes gives no subnormal results: those are held to the finer floor.
            kept = (np.abs(obtained) < NORMAL[self.dtype]) & (obtained != 0)
            units = np.where(
                error <= np.where(kept, self.floor, self.flushed),
                0.0,
                error / (self.unit * scale.astype(np.float64)),
            )
        strange = ~np.isfinite(units)
        if strange.any():
            units[strange] = self._strange(
                obtained[strange], reference[strange], scale[strange], units[strange]
            )
        return units

    def _strange(self, obtained: Array, reference: Array, scale: Array, units: Array) -> Array:
        largest = min(LARGEST[self.dtype], LARGEST.get(self.stored, np.inf))
        with np.errstate(invalid="ignore"):
            same = (np.isnan(obtained) & np.isnan(reference)) | (obtained == reference)
            # Sums that overflow on the way may end anywhere not finite; a result that overflows has
            # its sign, unless lost on the way.
            partial = (
                ~np.isfinite(obtained)
                & np.isfinite(scale)
                & (scale >= largest * 0.999)
                & (np.abs(reference) <= largest)
            )
            whole = np.isfinite(reference) & (np.abs(reference) >= largest * 0.999)
            overflow = partial | (
                whole & (np.isnan(obtained) | (obtained == np.copysign(np.inf, reference)))
            )
        left: Array = np.where(same | overflow, 0.0, np.where(np.isnan(units), np.inf, units))
        return left


@dataclass(frozen=True)
class Comparison:
    """An output held against the truth: the contract's error numbers, and whether rounding explains
    every element.
    """

    stats: ErrorStats
    identical: bool
    within: bool
    mean_square: float


# How much larger than the median an S may be to count as part of the same picture.
LARGER = 8.0


def fast_units(size: float) -> float:
    """Units of u S, S the largest of a channel of so many elements, that a fast algorithm may be
    off by in any of them.
    """
    return float(4 + 2 * np.log2(max(size, 2.0)))


def normwise(obtained: Array, truth: Truth, rounding: Rounding) -> bool:
    """Whether the errors are those of a fast algorithm: small beside the largest S of their batch
    item and channel.

    FFT and Winograd mix all elements of a tile, so that small ones carry the rounding of large
    ones: their error is bounded by a few u log2 of the tile's size times the norm (Higham, ch. 24),
    not element by element.  A fault is far larger; but beside one element far larger than all
    others anything is small, so that the largest S counts no more than `LARGER` times the median.
    """
    space = tuple(range(2, obtained.ndim))
    if (
        not np.isfinite(obtained).all()
        or not np.isfinite(truth.output).all()
        or not truth.scale.any(axis=space).all()
    ):
        return False
    size = float(np.prod(obtained.shape[2:]))
    largest = truth.scale.max(axis=space, keepdims=True).astype(np.float64)
    # Each element was stored by itself, whatever it was mixed with before.
    error = (np.abs(obtained - truth.output) - rounding.written(truth.output)).max(
        axis=space, keepdims=True
    )
    units = fast_units(size) * rounding.unit
    spared = rounding.floor + rounding.extra
    if (error > units * largest + spared).any():
        return False
    usual = np.nanmedian(
        np.where(truth.scale > 0, truth.scale, np.nan), axis=space, keepdims=True
    ).astype(np.float64)
    return bool(
        (error <= units * np.minimum(largest, LARGER * np.nan_to_num(usual)) + spared).all()
    )


def compare(obtained: Array, truth: Truth, rounding: Rounding) -> Comparison:
    """Hold `obtained` against `truth` (both (N, C, *space), of one shape), in chunks of bounded
    memory.
    """
    worst = (-1.0, 0.0, 0)
    largest = 0.0
    outside = 0
    squares = 0.0
    identical = True
    for first, got, expected, scale in _chunks(obtained, truth):
        units = rounding.excess(got, expected, scale)
        with np.errstate(invalid="ignore", over="ignore"):
            # A bfloat16 output lies in a wider array, and is one only where its numbers are.
            narrow = rounding.stored == "bfloat16" and np.array_equal(
                cast(got, "bfloat16"), got, equal_nan=True
            )
            rounded = cast(expected, "bfloat16") if narrow else expected.astype(got.dtype)
            equal = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
            error = np.where(equal, 0.0, np.abs(got.astype(np.float64) - rounded))
        largest = max(largest, float(np.nan_to_num(error, nan=np.inf).max(initial=0.0)))
        identical = identical and bool(equal.all())
        beyond = units > rounding.bound
        outside += int(beyond.sum())
        squares += float(np.square(np.minimum(units, 1e150)).sum())
        at = int(units.argmax())
        key = (float(units[at]), float(np.nan_to_num(error[at], nan=np.inf)), first + at)
        if key[:2] > worst[:2]:
            worst = key
    place = tuple(int(i) for i in np.unravel_index(worst[2], obtained.shape))
    stats = ErrorStats(
        max_abs=largest,
        units=worst[0],
        terms=rounding.terms,
        differing=outside,
        elements=obtained.size,
        worst=place,
        obtained=float(obtained[place]),
        reference=float(truth.output[place]),
    )
    return Comparison(stats, identical, outside == 0, squares / max(obtained.size, 1))


def _chunks(obtained: Array, truth: Truth) -> Iterator[tuple[int, Array, Array, Array]]:
    """Flat pieces of the three arrays, in the order of (N, C, *space)."""
    rows = obtained.shape[0] * obtained.shape[1]
    output, scale = (a.reshape(rows, -1) for a in truth)
    length = output.shape[1]
    if length >= CHUNK:
        for row in range(rows):
            flat = np.ascontiguousarray(obtained[divmod(row, obtained.shape[1])]).reshape(-1)
            for start in range(0, length, CHUNK):
                part = slice(start, start + CHUNK)
                yield row * length + start, flat[part], output[row, part], scale[row, part]
        return
    step = max(1, CHUNK // length)
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
