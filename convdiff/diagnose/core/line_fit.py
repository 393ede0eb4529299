"""A straight line through the obtained values over the computed ones, in every channel.

Each channel may have a factor and a constant of its own (a normalization), or all share one factor
and have constants of their own.  The numbers are read off some of the values and tested on the
rest.  Numbers that are read off explain as many values whatever they are, so the values that are
left must be evidence enough (`evidence_bits`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.spec.layout import Array

# Bits that the values left over must hold: more than it takes to number all that is tried.
MIN_EVIDENCE_BITS = 40
# Values that a channel must have for a line of its own.
MIN_VALUES_ON_A_LINE = 6
# By how much, relative, factors must differ from 1, or from each other, to be reported.
MIN_FACTOR_DIFFERENCE = 1e-4


class ChannelValues(NamedTuple):
    """Obtained values, the computed ones and their scale S, as (O, elements)."""

    obtained: Array
    computed: Array
    scale: Array

    @classmethod
    def of(cls, obtained: Array, computed: Reference) -> ChannelValues:
        """From arrays (N, O, *space)."""
        rows = (
            np.moveaxis(array, 1, 0).reshape(array.shape[1], -1).astype(np.float64)
            for array in (obtained, *computed)
        )
        return cls(*rows)


def evidence_bits(obtained: Array, slack: Array, known: Array, numbers_used: int) -> float:
    """The bits by which the known values of all channels are finer than what they may be off by.

    `numbers_used` values of each channel do not count: as many numbers were read off.  All arrays
    are (O, elements).
    """
    counts = known.sum(axis=1)
    mean = np.where(known, obtained, 0).sum(axis=1) / np.maximum(counts, 1)
    squares = np.where(known, np.square(obtained - mean[:, None]), 0)
    spread = np.sqrt(squares.sum(axis=1) / np.maximum(counts, 1))
    with np.errstate(divide="ignore"):
        finer = np.log2(spread[:, None] / np.maximum(slack, 1e-300))
        bits = np.where(known, np.maximum(finer, 0), 0)
    left = np.maximum(counts - numbers_used, 0) / np.maximum(counts, 1)
    return float((bits.sum(axis=1) * left).sum())


def line_per_channel(rounding: Rounding, values: ChannelValues) -> tuple[Array, Array] | None:
    """A factor and a constant for each channel, (O,) each, if they explain every value.

    They are read off the outermost values of each channel, or off all of them where storing made
    the values rough.
    """
    obtained, computed, scale = values
    if obtained.shape[1] < MIN_VALUES_ON_A_LINE:
        return None
    rows = np.arange(len(computed))
    lowest, highest = computed.argmin(axis=1), computed.argmax(axis=1)
    span = computed[rows, highest] - computed[rows, lowest]
    with np.errstate(all="ignore"):
        rise = obtained[rows, highest] - obtained[rows, lowest]
        factors = np.where(span > 0, rise / np.where(span > 0, span, 1), 0)
    constants = obtained[rows, lowest] - factors * computed[rows, lowest]
    if rounding.stored_narrower:
        factors, constants = _least_squares(values)
        # The sums may have been stored as well, without the constants.
        largest = float(np.abs(constants).max())
        rounding = replace(rounding, bias_size=max(rounding.bias_size, largest))
    # Any two values lie on a line: there must be others between them.
    middle = (computed[rows, lowest] + span / 2)[:, None]
    between = np.abs(computed - middle) < 0.4 * span[:, None]
    if between.any(axis=1).mean() < 0.75 or not _is_normalization(factors, constants):
        return None
    # Both ends are off by their own rounding, which a line carries to every element.
    size = np.abs(factors)[:, None]
    ends = 3 * size * scale.max(axis=1, keepdims=True)
    ends = ends + np.abs(constants)[:, None]
    expected = factors[:, None] * computed + constants[:, None]
    sizes = np.maximum(np.broadcast_to(ends, obtained.shape), size * scale)
    slack = rounding.allowed_error(expected, sizes)
    if not (np.abs(expected - obtained) <= slack).all():
        return None
    everything = np.ones(obtained.shape, bool)
    if evidence_bits(obtained, slack, everything, numbers_used=2) < MIN_EVIDENCE_BITS:
        return None
    return factors, constants


def _least_squares(values: ChannelValues) -> tuple[Array, Array]:
    """Factors and constants, (O,) each, of the least squares lines through the values."""
    obtained, computed, _ = values
    centered = computed - computed.mean(axis=1, keepdims=True)
    squares = np.maximum(np.square(centered).sum(axis=1), 1e-300)
    factors = (centered * obtained).sum(axis=1) / squares
    return factors, obtained.mean(axis=1) - factors * computed.mean(axis=1)


def _is_normalization(factors: Array, constants: Array) -> bool:
    """Whether most channels were scaled, and not all by one factor; a few are other weights."""
    if not np.isfinite(factors).all() or not np.isfinite(constants).all() or (factors == 0).any():
        return False
    scaled = (np.abs(factors - 1) > MIN_FACTOR_DIFFERENCE).mean() >= 0.75
    apart = np.ptp(factors) >= MIN_FACTOR_DIFFERENCE * np.abs(factors).max()
    return bool(scaled and apart)


def one_factor(
    rounding: Rounding, values: ChannelValues, usual: tuple[float, ...]
) -> tuple[float, Array, Array] | None:
    """One factor for all channels, and the interval of each channel's constant, (O,) twice.

    A factor among the `usual` ones is preferred where it explains the values.  None where no factor
    does, or where the factor is 1 or no constant is needed: others say that more simply.
    """
    obtained, computed, scale = values
    means = [array.mean(axis=1, keepdims=True) for array in (obtained, computed)]
    centered = computed - means[1]
    norm = float(np.square(centered).sum())
    fitted = float((centered * obtained).sum() / norm) if norm else 0.0
    if not np.isfinite(fitted) or abs(fitted) < 1e-30 or obtained.shape[1] < 2:
        return None
    everything = np.ones(obtained.shape, bool)
    near = [each for each in usual if abs(each - fitted) <= MIN_FACTOR_DIFFERENCE * abs(fitted)]
    for factor in (*near, fitted):
        shift = means[0] - factor * means[1]
        size = np.abs(obtained) + np.abs(shift)
        slack = rounding.allowed_error(obtained, abs(factor) * scale + np.abs(shift))
        slack = slack + 2 * rounding.unit_roundoff * size + rounding.storage_error(size)
        # A factor that was read off is as far off as the values are.
        slack = slack if factor in near else 2 * slack
        rest = obtained - factor * computed
        lows, highs = (rest - slack).max(axis=1), (rest + slack).min(axis=1)
        enough = evidence_bits(obtained, slack, everything, numbers_used=1) >= MIN_EVIDENCE_BITS
        if (lows <= highs).all() and enough:
            nonzero = np.minimum(np.abs(lows), np.abs(highs)) * np.sign(lows * highs) > 0
            needed = abs(factor - 1) > MIN_FACTOR_DIFFERENCE and bool(nonzero.any())
            return (factor, lows, highs) if needed else None
    return None
