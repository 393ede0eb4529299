"""Factors and constants that make an obtained output of a convolution: read off some of its values,
and tested on the others.

Each channel may have a factor and a constant of its own, or all have one factor and each its own
constant.  Numbers that are read off explain as many values whatever they are: what is left must say
enough.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.spec.layout import Array

# Bits that must be left: more than it takes to number what is tried.
LEAST_EVIDENCE = 40
# Values of a channel that a line of its own may be laid through, at the least; where some are cut
# off, as many in most channels.
LEAST_ON_A_LINE = 6
# How far factors must be from 1, or from each other, to be told.
TOLD = 1e-4


class ChannelSamples(NamedTuple):
    """Obtained values, a convolution's and their S, (O, elements), and which were not cut off, but
    stand as they were made.
    """

    got: Array
    made: Array
    scale: Array
    known: Array

    @classmethod
    def of(cls, obtained: Array, reference: Reference, cut: bool) -> ChannelSamples:
        """Those of arrays (N, O, *space); where `cut`, no obtained value is below 0."""
        got, made, scale = (
            np.moveaxis(a, 1, 0).reshape(a.shape[1], -1).astype(np.float64)
            for a in (obtained, *reference)
        )
        return cls(got, made, scale, got > 0 if cut else np.ones(got.shape, bool))

    @property
    def counts(self) -> Array:
        """How many of each channel are known."""
        return np.asarray(self.known.sum(axis=1))

    def agree(self, expected: Array, slack: Array) -> bool:
        """Whether the obtained values are these, cut off as they were, give or take `slack`."""
        apart = expected - self.got
        return bool((np.where(self.known, np.abs(apart), apart) <= slack).all())

    def means(self, values: Array) -> Array:
        """(O, 1): of those known."""
        return np.asarray(
            np.where(self.known, values, 0).sum(axis=1, keepdims=True)
            / np.maximum(self.counts, 1)[:, None]
        )


def evidence(got: Array, slack: Array, known: Array, used: int) -> float:
    """The bits by which the known values of each channel are finer than what they may be off by,
    but for `used` that numbers were read off.

    So surely others would not have agreed.
    """
    counts = known.sum(axis=1)
    middle = np.where(known, got, 0).sum(axis=1) / np.maximum(counts, 1)
    spread = np.sqrt(
        np.where(known, np.square(got - middle[:, None]), 0).sum(axis=1) / np.maximum(counts, 1)
    )
    with np.errstate(divide="ignore"):
        bits = np.where(
            known, np.maximum(np.log2(spread[:, None] / np.maximum(slack, 1e-300)), 0), 0
        )
    return float((bits.sum(axis=1) * np.maximum(counts - used, 0) / np.maximum(counts, 1)).sum())


def channel_lines(rounding: Rounding, lines: ChannelSamples) -> tuple[Array, Array] | None:
    """A factor and a constant for each channel, from its outermost values, if they explain the
    others; two are used up.
    """
    got, made, scale, known = lines
    enough = lines.counts >= LEAST_ON_A_LINE
    if lines.counts.min() < 3 or not (enough.all() if known.all() else enough.mean() >= 0.5):
        return None
    rows = np.arange(len(made))
    low, high = (
        np.where(known, made, np.inf).argmin(axis=1),
        np.where(known, made, -np.inf).argmax(axis=1),
    )
    span = made[rows, high] - made[rows, low]
    with np.errstate(all="ignore"):
        factors = np.where(
            span > 0, (got[rows, high] - got[rows, low]) / np.where(span > 0, span, 1), 0
        )
    values = got[rows, low] - factors * made[rows, low]
    if rounding.stored_narrower:
        # Two values are too rough to lay a line through: all of them.
        apart = np.where(known, made - lines.means(made), 0)
        factors = (apart * got).sum(axis=1) / np.maximum(np.square(apart).sum(axis=1), 1e-300)
        values = (lines.means(got) - factors[:, None] * lines.means(made))[:, 0]
        # The sums may have been stored as well, without the constants.
        rounding = replace(rounding, bias_size=max(rounding.bias_size, float(np.abs(values).max())))
    # Two values lie on a line, whatever they are: there must be others between.
    between = known & (np.abs(made - (made[rows, low] + span / 2)[:, None]) < 0.4 * span[:, None])
    if between.any(axis=1).mean() < 0.75:
        return None
    if not np.isfinite(factors).all() or not np.isfinite(values).all() or (factors == 0).any():
        return None
    # A channel or two are other weights, not a normalisation.
    if (np.abs(factors - 1) > TOLD).mean() < 0.75 or np.ptp(factors) < TOLD * np.abs(factors).max():
        return None
    # Both ends are off by their own rounding, which a line carries to every element.
    expected = factors[:, None] * made + values[:, None]
    sizes = (
        3 * np.abs(factors)[:, None] * np.where(known, scale, 0).max(axis=1, keepdims=True)
        + np.abs(values)[:, None]
    )
    slack = rounding.allowed_error(
        expected, np.maximum(np.broadcast_to(sizes, got.shape), np.abs(factors)[:, None] * scale)
    )
    if not lines.agree(expected, slack) or evidence(got, slack, known, used=2) < LEAST_EVIDENCE:
        return None
    return factors, values


def one_line(
    rounding: Rounding, lines: ChannelSamples, plain: tuple[float, ...]
) -> tuple[float, Array, Array] | None:
    """One factor for all channels, and between what the constant of each lies, if they explain all
    values; a `plain` one where one does.
    """
    got, made, scale, known = lines
    apart = np.where(known, made - lines.means(made), 0)
    norm = float(np.square(apart).sum())
    factor = float((apart * got).sum() / norm) if norm else 0.0
    if not np.isfinite(factor) or abs(factor) < 1e-30 or lines.counts.min() < 2:
        return None
    near = [usual for usual in plain if abs(usual - factor) <= TOLD * abs(factor)]
    for tried in (*near, factor):
        shift = lines.means(got) - tried * lines.means(made)
        sizes = abs(tried) * scale + np.abs(shift)
        written = rounding.storage_error(np.abs(got) + np.abs(shift))
        slack = (
            rounding.allowed_error(got, sizes)
            + 2 * rounding.unit_roundoff * (np.abs(got) + np.abs(shift))
            + written
        )
        # A factor that was read off is as far off as the values are.
        slack = slack if tried in near else 2 * slack
        rest = got - tried * made
        lows, highs = np.where(known, rest - slack, -np.inf).max(axis=1), (rest + slack).min(axis=1)
        if (lows <= highs).all() and evidence(got, slack, known, used=1) >= LEAST_EVIDENCE:
            told = abs(tried - 1) > TOLD and bool(
                (np.minimum(np.abs(lows), np.abs(highs)) * np.sign(lows * highs) > 0).any()
            )
            return (tried, lows, highs) if told else None
    return None
