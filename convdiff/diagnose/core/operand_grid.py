"""The grids of a few bits that an input or a kernel is usually rounded to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from convdiff.spec.layout import Array


class FloatFormat(NamedTuple):
    """A float format of 8 bits: bits of its fraction, least normal exponent, largest number."""

    fraction_bits: int
    least_exponent: int
    largest: float


# 8-bit float formats, and how the largest magnitude is scaled to the format's largest number.
FLOAT_FORMATS = {"e4m3": FloatFormat(3, -6, 448.0), "e5m2": FloatFormat(2, -14, 57344.0)}
# Scales that people choose for inputs, and fixed-point formats.
CHOSEN_SCALES = (1 / 255, 1 / 127, 1 / 100, 0.02, 0.025, 0.05, 0.1)
CHOSEN_EXPONENTS = range(-10, 1)


@dataclass(frozen=True)
class ValueGrid:
    """Numbers `scale` times the whole numbers from `low` to `high`, or times those of a format.

    `scale` and `zero_point` broadcast with the values: one for all, or one for each index of an
    axis.
    """

    scale: Array
    zero_point: Array
    low: Array
    high: Array
    float_format: str | None = None

    def round(self, values: Array) -> Array:
        """The values on the grid, in float64, computed in float32 as such code does."""
        values = values.astype(np.float32)
        if self.float_format is not None:
            return self._to_float_format(values)
        numbers = np.clip(np.rint(values / self.scale), self.low, self.high)
        return np.asarray((numbers * self.scale).astype(np.float64))

    def only(self, index: int) -> ValueGrid:
        """The grid for one index of the first axis of the values, which it drops."""
        scale, zero_point, low, high = (
            array[index if array.shape[0] > 1 else 0] if array.ndim else array
            for array in (self.scale, self.zero_point, self.low, self.high)
        )
        return ValueGrid(scale, zero_point, low, high, self.float_format)

    def _to_float_format(self, values: Array) -> Array:
        assert self.float_format is not None
        fraction_bits, least_exponent, largest = FLOAT_FORMATS[self.float_format]
        scaled = (values / self.scale).astype(np.float64)
        exponent = np.maximum(np.frexp(scaled)[1] - 1, least_exponent)
        step = 2.0 ** (exponent - fraction_bits)
        numbers = np.clip(np.rint(scaled / step) * step, -largest, largest)
        return np.asarray(numbers * self.scale)


@dataclass(frozen=True)
class GridRule:
    """How a grid follows from the values that are rounded to it.

    bits: the width of its numbers.
    divisor: the scale is the largest magnitude divided by this; None: the range from the smallest
        to the largest value is divided into all steps, and 0 is kept by a zero point.
    power_of_two: whether the scale is rounded up to a power of two.
    axis: the axis whose indices have scales of their own; None for one scale.
    float_format: the float format of its numbers, if they are not whole numbers.
    scale: the scale, if it does not follow from the values.
    """

    bits: int
    divisor: float | None = None
    power_of_two: bool = False
    axis: int | None = None
    float_format: str | None = None
    scale: float | None = None

    @property
    def step_of_largest(self) -> float:
        """The largest step as a share of the largest magnitude, about."""
        if self.float_format is not None:
            return 2.0 ** -FLOAT_FORMATS[self.float_format].fraction_bits / 2
        share = 2.0 / ((1 << self.bits) - 2)
        return 2 * share if self.power_of_two else share

    def grid(self, values: Array) -> ValueGrid:
        """The grid for these values."""
        others = None
        if self.axis is not None:
            others = tuple(axis for axis in range(values.ndim) if axis != self.axis)
        values = values.astype(np.float32)
        most = values.max(axis=others, keepdims=self.axis is not None, initial=0)
        least = values.min(axis=others, keepdims=self.axis is not None, initial=0)
        half = 1 << (self.bits - 1)
        zero = np.zeros_like(most)
        low, high = zero - half, zero + (half - 1)
        if self.scale is not None:
            scale = zero + np.float32(self.scale)
            if least >= 0 and most > (half - 1) * self.scale:
                low, high = zero, zero + (2 * half - 1)
            return ValueGrid(scale, zero, low, high, self.float_format)
        if self.divisor is None:
            scale = _positive((most - least) / np.float32(2 * half - 1))
            zero_point = np.rint(-least / scale)
            return ValueGrid(scale, zero_point, -zero_point, 2 * half - 1 - zero_point)
        scale = _positive(np.maximum(most, -least) / np.float32(self.divisor))
        if self.power_of_two:
            scale = (2.0 ** np.ceil(np.log2(scale.astype(np.float64)))).astype(np.float32)
        return ValueGrid(scale, zero, low, high, self.float_format)


def _positive(scale: Array) -> Array:
    """The scale, 1 where all values are 0."""
    return np.where(scale > 0, scale, 1).astype(np.float32)


EIGHT_BITS = (
    GridRule(8, 127.0),
    GridRule(8, 127.5),
    GridRule(8, 128.0),
    GridRule(8),
)
POWER_OF_TWO = GridRule(8, 127.0, power_of_two=True)
# Fixed point, such as Q7 and Q15, whose step is a power of two whatever the weights are.
FIXED_POINT_KERNEL_RULES = tuple(
    GridRule(8 if exponent <= 7 else 16, scale=2.0**-exponent) for exponent in range(4, 16)
)
FEWER_BITS = (
    GridRule(7, 63.0),
    GridRule(7, 64.0),
    GridRule(7),
    GridRule(6, 31.0),
    GridRule(5, 15.0),
    GridRule(4, 7.0),
    GridRule(4, 7.5),
    GridRule(4, 8.0),
    GridRule(4),
)
FLOATS = tuple(
    rule
    for name, float_format in FLOAT_FORMATS.items()
    for rule in (
        GridRule(8, None, float_format=name, scale=1.0),
        GridRule(8, float_format.largest, float_format=name),
    )
)
CHOSEN = tuple(
    GridRule(8, scale=scale) for scale in (*CHOSEN_SCALES, *(2.0**n for n in CHOSEN_EXPONENTS))
)


# The rules for a kernel with many small steps, and with few, the commonest first.
FINE_KERNEL_RULES = (*EIGHT_BITS, POWER_OF_TWO)
COARSE_KERNEL_RULES = (*FEWER_BITS, *FLOATS)
# The rules for an input.
COMMON_INPUT_RULES = (GridRule(8), *EIGHT_BITS[:3], GridRule(7))
INPUT_RULES = (
    *COMMON_INPUT_RULES,
    POWER_OF_TWO,
    *CHOSEN,
    GridRule(4),
    GridRule(4, 7.0),
    *FLOATS,
)


def along_axes(rules: Iterable[GridRule], shape: tuple[int, ...]) -> Iterator[GridRule]:
    """The rules with one scale, and with one for each output or input channel of a kernel."""
    for rule in rules:
        for axis in (None, 0, 1):
            if axis is None or (shape[axis] > 1 and rule.scale is None):
                yield replace(rule, axis=axis)
