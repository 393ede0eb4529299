"""The grid of evenly spaced numbers that an output lies on, if it was quantized."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from convdiff.diagnose.core.integer_storage import DOWN
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import half_ulp
from convdiff.records import Edit
from convdiff.spec.layout import Array

# The code of the hypothesis `Quantized`.
QUANTIZED = "quantized"
# Values that are looked at, evenly spaced, and the most different ones of 8 bits.
GRID_SAMPLE, LEVELS_OF_8_BITS = 4096, 256
# The widths that a type of integers may have.
BITS = (4, 8, 16)
EIGHT_BITS = 8
# Fewer different values lie on a grid by chance or by nature, as those of a mask do.
MIN_LEVELS = 6
# Values lie on a grid on purpose if by chance they would with a probability below 10^this.
MAX_LOG10_CHANCE = -8.0
# The smallest difference of two values may be this many steps.
MAX_STEPS_OF_DIFFERENCE = 4
# What dequantizing in float32 may add, relative to a value.
DEQUANTIZING_ERROR = 2.0**-22
# The step of a grid, in steps of the natural one of such sums, above which it is none of theirs,
# and the parts of such a step: sums may be scaled.
MAX_NATURAL_STEPS, MAX_PARTS_OF_NATURAL_STEP = 4.5, 64
# How far a rounded value is from the sum, in steps: fixed-point multipliers add a little to a half.
HALF_STEP, HALF_FITTED_STEP = 0.505, 0.56
# How far the whole numbers of a grid are from a line over the sums, root mean square and at most,
# in steps; and how far the line's value at 0 is from a whole number.
MAX_RMS_STEPS, MAX_STEPS, MAX_FRACTION = 1.0, 6.0, 0.25
# The standard deviation of the errors of rounding, in steps.
ROUNDING_DEVIATION = 12**-0.5
# How near a factor, or its inverse, is to a whole number that somebody scaled by.
USUAL_FACTOR_ERROR = 0.003
# The least factor between sums and whole numbers, or its inverse: nearer to 1 nothing was scaled.
MIN_FACTOR = 1.05
# How near to an end of the grid, in steps, a value counts as that end.
END_MARGIN = 1e-3
# How near to a number of the grid, in steps, exact sums count as that number.
NEAR_A_NUMBER = 0.02


@dataclass(frozen=True)
class OutputGrid:
    """Evenly spaced numbers, the multiples of `step` between `low` and `high` of them.

    `offset` is what is added to all of them, as a share of the step: 0 if 0 is on the grid.  Of
    numbers that were saved as they are, in the integer type `raw_type`, the step and `raw_zero`,
    their zero point, were fitted to the sums.  Values were rounded to the nearest number, or down.
    """

    step: float
    low: int
    high: int
    offset: float = 0.0
    raw_type: str | None = None
    raw_zero: int = 0
    rounded_down: bool = False

    @property
    def bits(self) -> int:
        """The narrowest type of integers that holds the grid."""
        return next(bits for bits in BITS if self.high - self.low < 1 << bits)

    @property
    def zero_point(self) -> float:
        """The number that stands for 0, by `zero_point_of`; a fraction if 0 is not on the grid."""
        if self.raw_type is not None:
            return self.raw_zero
        if self.offset:
            return float(f"{-self.low - self.offset:.6g}")
        return zero_point_of(self.low, self.high, self.bits)

    @property
    def edit(self) -> Edit:
        """The edit "the output was rounded to this grid"."""
        edit: Edit = {
            "code": QUANTIZED,
            "where": "output",
            "bits": self.bits,
            "per": "tensor",
            "scale": float(f"{self.step:.{6 if self.raw_type is None else 4}g}"),
            "zero_point": self.zero_point,
        }
        if self.rounded_down:
            edit["rounding"] = DOWN
        return edit if self.raw_type is None else edit | {"type": self.raw_type}

    def holds(self, values: Array) -> bool:
        """Whether the values are numbers of the grid, within or beyond its ends."""
        numbers = values / self.step - self.offset
        return bool((np.abs(numbers - np.rint(numbers)) < NEAR_A_NUMBER).all())

    def rounding(self, rounding: Rounding) -> Rounding:
        """The rounding of sums that were then rounded to this grid.

        Those beyond its ends were set to them; but where nothing is negative, that was a ReLU.
        """
        # A little within, since the values are rounded themselves.
        low = (self.low + self.offset + END_MARGIN) * self.step
        high = (self.high + self.offset - END_MARGIN) * self.step
        limits = -np.inf if self.low == 0 else low, high
        error = HALF_STEP if self.raw_type is None else HALF_FITTED_STEP
        shift = -self.step / 2 if self.rounded_down else 0.0
        return replace(rounding, decimal_error=error * self.step, limits=limits, shift=shift)


def raw_grid(numbers: Array, sums: Array, integer_type: str) -> OutputGrid | None:
    """The grid whose whole numbers were saved for these sums; None if they do not fit.

    Without a zero point only in int8, and with a step that is no usual factor: sums of pictures
    that were scaled, and then stored as integers, look alike.
    """
    flat, sums = numbers.reshape(-1).astype(np.float64), sums.reshape(-1)
    low, high = float(flat.min()), float(flat.max())
    inside = (flat > low) & (flat < high)
    if high - low >= LEVELS_OF_8_BITS or inside.sum() < MIN_LEVELS or not np.ptp(sums[inside]):
        return None
    slope, zero = np.polyfit(sums[inside], flat[inside], 1)
    zero_point = round(float(zero))
    # The standard error of where the line meets 0, for errors of rounding.
    spread = np.sqrt(1 + np.square(sums[inside].mean()) / sums[inside].var())
    error = ROUNDING_DEVIATION * float(spread) / np.sqrt(int(inside.sum()))
    if slope <= 0 or abs(zero - zero_point) > min(MAX_FRACTION, 4 * error):
        return None
    slope = float((sums * (flat - zero_point))[inside].sum() / np.square(sums[inside]).sum())
    error = np.abs(np.clip(sums * slope + zero_point, low, high) - flat)
    if np.sqrt(np.square(error).mean()) > MAX_RMS_STEPS or error.max() > MAX_STEPS:
        return None
    factor = max(slope, 1 / slope)
    if factor < MIN_FACTOR or (
        zero_point == 0
        and (integer_type != "int8" or abs(factor - round(factor)) < USUAL_FACTOR_ERROR * factor)
    ):
        return None
    ends = int(low) - zero_point, int(high) - zero_point
    return OutputGrid(1 / slope, *ends, raw_type=integer_type, raw_zero=zero_point)


def zero_point_of(low: float, high: float, bits: int = 8) -> float:
    """The integer that stands for 0 on a grid from `low` to `high` steps, unsigned if it has one.

    0 where a signed or an unsigned type without a zero point holds the grid.
    """
    half = 1 << (bits - 1)
    has_none = (low >= 0 and high < 2 * half) or (low >= -half and high < half)
    return 0 if has_none else -low


def output_grid(values: Array, operands: Iterable[Array]) -> OutputGrid | None:
    """The grid that the values lie on on purpose; None if there is none.

    `operands` are input, kernel and bias (if any): sums of whole numbers lie on a grid anyway.
    """
    sample = _different(values)
    if sample is None or sample.size < MIN_LEVELS:
        return None
    slack = half_ulp(sample, values.dtype.name) if values.dtype.itemsize < 4 else 0.0
    slack = slack + DEQUANTIZING_ERROR * np.abs(sample)
    spacing = float(np.diff(sample).min())
    for steps in range(1, MAX_STEPS_OF_DIFFERENCE + 1):
        grid = _fitted(sample, slack, spacing / steps)
        if grid is None:
            continue
        if grid.bits > EIGHT_BITS and (grid.offset or values.dtype.itemsize < 4):
            # Large numbers of a 16-bit type lie on a grid of its own.
            return None
        if is_power_of_ten(grid.step) and not grid.offset:
            # Printed in decimals, or stored as whole numbers.
            return None
        return None if _is_multiple(grid.step, natural_step(operands)) else grid
    return None


def _is_multiple(step: float, natural: float) -> bool:
    """Whether a step is a small multiple of the natural one, or a part of it; not if that is 0."""
    if not natural:
        return False
    ratio = max(step, natural) / min(step, natural)
    most = MAX_NATURAL_STEPS if step > natural else MAX_PARTS_OF_NATURAL_STEP
    return ratio < most and abs(ratio - round(ratio)) < 1e-3


def is_power_of_ten(step: float) -> bool:
    """Whether a step is 1, 0.1, 0.01, ... or 10."""
    exponent = float(np.log10(step))
    return abs(exponent - round(exponent)) < 1e-6


def _different(values: Array) -> Array | None:
    """The different finite values in order; None if they are too many for a grid."""
    flat = values.reshape(-1)
    flat = flat[np.isfinite(flat)]
    sample = np.unique(flat[:: max(1, flat.size // GRID_SAMPLE)]).astype(np.float64)
    if sample.size < 2:
        return None
    if (sample[-1] - sample[0]) > (1 << BITS[-1]) * np.diff(sample).min():
        return None
    if flat.size > 2 * GRID_SAMPLE:
        sample = np.unique(flat).astype(np.float64)
    return sample


def _fitted(sample: Array, slack: Array, step: float) -> OutputGrid | None:
    """The grid of about this step that the values in order lie on; None if one does not."""
    distance = sample - sample[0]
    # A step that is known from near values is made more exact with farther ones.
    reach = 16
    while True:
        near = distance <= reach * step
        steps = np.rint(distance[near] / step)
        if steps.any():
            step = float((steps * distance[near]).sum() / np.square(steps).sum())
        if near.all():
            break
        reach *= 8
    error = np.abs(distance - steps * step)
    if (error > slack + slack[0] + DEQUANTIZING_ERROR * step).any():
        return None
    first = float(np.mean(sample / step - steps))
    offset = first - round(first)
    numbers = steps + round(first)
    if not numbers.any():
        return None
    if (np.abs(sample - numbers * step) <= 2 * slack + 1e-4 * step).all():
        offset = 0.0
        step = float((numbers * sample).sum() / np.square(numbers).sum())
    chances = np.log10(np.clip(2 * slack[numbers != 0] / step, 1e-12, 1))
    # The step and the offset were fitted to two of the values.
    if chances.sum() - 2 * chances.min() > MAX_LOG10_CHANCE:
        return None
    low, high = int(numbers[0]), int(numbers[-1])
    return OutputGrid(step, low, high, offset) if high - low < 1 << BITS[-1] else None


def natural_step(operands: Iterable[Array]) -> float:
    """The step of the grid that sums of products of these operands lie on anyway; 0 if none."""
    x, w, *bias = (_common_step(array) for array in operands)
    natural = x * w
    if not 0 < natural < np.inf:
        return 0.0
    shifts = [step / natural for step in bias if step != np.inf]
    return natural if all(n > 0.5 and abs(n - round(n)) < 1e-3 * n for n in shifts) else 0.0


def _common_step(values: Array) -> float:
    """The largest number of which all values are multiples; 0 if none is found.

    Infinity for zeros, which are multiples of anything.
    """
    sample = values.reshape(-1)[:: max(1, values.size // GRID_SAMPLE)].astype(np.float64)
    sample = np.unique(np.abs(sample[np.isfinite(sample) & (sample != 0)]))
    if not sample.size:
        return float(np.inf)
    spacing = float(np.diff(sample, prepend=0).min())
    if sample[-1] > (1 << BITS[-1]) * spacing:
        return 0.0
    for steps in range(1, MAX_STEPS_OF_DIFFERENCE + 1):
        step = spacing / steps
        error = np.abs(sample - np.rint(sample / step) * step)
        if (error <= 1e-3 * step).all():
            return step
    return 0.0
