"""Whether a convolution's values at a pair of points may be the obtained ones, where a form leaves
a number open.

An unknown constant drops out of a difference, an unknown factor out of a ratio; a count is a whole
number, a wrapped sum is off by whole turns, and channels or items in any order are looked for among
all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from convdiff.spec.layout import Array

# Windows that overlap at one position, at most.
MOST_COUNTED = 64
# Integer types, by what is lost when a value does not fit.
MODULI = {"uint8": 2.0**8, "int8": 2.0**8, "uint16": 2.0**16, "int16": 2.0**16}
# Channels, or items, from which on it pays to look first whether any is near at all.
MANY = 16


class PairOfSums(NamedTuple):
    """Values at a pair of points for some combinations: (2, combinations), those of the first point
    of all (combinations,).

    `conv` is the convolution's with the bias that its form believes in, give or take `slack`;
    `obtained` what was got, give or take `written`; `unit` is the unit roundoff.
    """

    conv: Array
    slack: Array
    obtained: Array
    written: Array
    first_conv: Array
    first_slack: Array
    first_obtained: Array
    first_written: Array
    unit: float


def _offset(pair: PairOfSums) -> Array:
    apart = np.abs((pair.conv[0] - pair.conv[1]) - (pair.obtained[0] - pair.obtained[1]))
    return np.asarray(
        apart <= (pair.slack + pair.written + 2 * pair.unit * np.abs(pair.obtained)).sum(axis=0)
    )


def _factor(pair: PairOfSums) -> Array:
    reference, first = pair.first_obtained, pair.first_conv
    step = pair.first_written + pair.unit * np.abs(reference)
    error = np.abs(reference * pair.conv - pair.obtained * first)
    own = pair.written + pair.unit * np.abs(pair.obtained)
    allowed = (
        np.abs(reference) * pair.slack
        + np.abs(pair.obtained) * pair.first_slack
        + own * np.abs(first)
        + step * np.abs(pair.conv)
    )
    return np.asarray((error <= allowed).all(axis=0) & (reference != 0))


def _counts(pair: PairOfSums) -> Array:
    count = np.clip(
        np.rint(
            np.where(pair.conv == 0, 1, pair.obtained / np.where(pair.conv == 0, 1, pair.conv))
        ),
        1,
        MOST_COUNTED,
    )
    return np.asarray(
        (np.abs(count * pair.conv - pair.obtained) <= count * pair.slack + pair.written).all(axis=0)
    )


def _turns(pair: PairOfSums, modulus: float) -> Array:
    apart = pair.conv - pair.obtained
    near = np.abs(apart - modulus * np.rint(apart / modulus)) <= pair.slack + pair.written
    # Where rounding is no small part of a turn, any number is some turns off.
    return np.asarray((near & (pair.slack < modulus / 8)).all(axis=0))


RELATIONS: dict[str, Callable[[PairOfSums], Array]] = {
    "offset": _offset,
    "factor": _factor,
    "counts": _counts,
    **{name: partial(_turns, modulus=modulus) for name, modulus in MODULI.items()},
}


def in_any_order(
    conv: Array, slack: Array, several: Array, written: Array, place: Array, together: bool
) -> Array:
    """Which of the combinations (2, combinations) give one of several values, (2, forms, values),
    at both points.

    `place` is the form of each.  Where `together`, it must be the same one: a channel stands in one
    channel's place at both points, which may be of different items.
    """
    good = np.ones(conv.shape[1], bool)
    if several.shape[2] > MANY:
        for form in np.unique(place).tolist():
            of = np.flatnonzero(place == form)
            for point in (0, 1):
                good[of] &= _any_near(
                    conv[point, of],
                    slack[point, of] + written[point, form].max(),
                    several[point, form],
                )
    left = np.flatnonzero(good)
    near = (
        np.abs(conv[:, left, None] - several[:, place[left]])
        <= slack[:, left, None] + written[:, place[left]]
    )
    good[left] = near.all(axis=0).any(axis=1) if together else near.any(axis=2).all(axis=0)
    return good


def _any_near(values: Array, reach: Array, among: Array) -> Array:
    """Whether any of `among` lies within reach of each value."""
    ordered = np.sort(among)
    return np.asarray(
        np.searchsorted(ordered, values - reach) < np.searchsorted(ordered, values + reach, "right")
    )
