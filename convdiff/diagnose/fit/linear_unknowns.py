"""A few unknown numbers in which the output is linear: y = sum over k of theta_k B_k.

With the geometry, the kernel and the input known up to some numbers theta, each output element is
one linear equation in them.  A kind of numbers (`Unknowns`) says what its B_k are at some elements
(`columns`): the sum of one input channel alone for a factor on that channel, the sum of the weights
inside the input for an offset that is not added to the padding.  This module gathers what the sums
consist of (`Terms`), draws elements, and solves (`solve`).

Numbers that are read off explain as much whatever they are.  So there are more distinct equations
than numbers, every equation must hold within rounding, and those left over must be evidence.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from convdiff.spec.layout import Array

# Elements per block of unknowns: so many for each number, and so many more.
ROWS_PER_NUMBER, MORE_ROWS = 3, 24
# Distinct equations that a block must have beyond its numbers.
MIN_SPARE_ROWS = 3
# Bits that the equations left over must hold.
MIN_EVIDENCE_BITS = 40
# The smallest singular value, as a share of the largest, with which numbers are determined.
MIN_SINGULAR_VALUE = 1e-5
# The least error of a value that is taken into account, as a share of the largest.
MIN_ERROR_SHARE = 1e-3
# By how much numbers that were fitted may be farther off than the values are.
FITTED_MARGIN = 4
# What keeps the normal equations of columns of norm 1 solvable where they are dependent.
SCREENING_RIDGE = 1e-12
# Digits that numbers are rounded to at most, before they are left as they were fitted.
MAX_DIGITS = 7


class Terms(NamedTuple):
    """What the sums at some elements consist of.

    `windows` and `kernel` are (batch, rows, I, *taps), or broadcast to that; `inside`, of 0 and 1,
    is (batch, rows, 1, *taps) and says which taps lie inside the input, where the window is not 0.
    """

    windows: Array
    kernel: Array
    inside: Array

    @property
    def products(self) -> Array:
        """(batch, rows, I, *taps): what the sums are the sums of."""
        return np.asarray(self.windows * self.kernel)

    @property
    def magnitudes(self) -> Terms:
        """The same of absolute values."""
        return Terms(np.abs(self.windows), np.abs(self.kernel), self.inside)


class Unknowns(Protocol):
    """One kind of unknown numbers: what the sums are linear in."""

    def columns(self, terms: Terms) -> Array:
        """(batch, rows, numbers): by what each number is multiplied."""

    def known_part(self, terms: Terms) -> Array:
        """(batch, rows): what the sums are if all numbers are 0."""


class Equations(NamedTuple):
    """Blocks of equations with unknowns of their own.

    `columns` and `magnitudes`, those of absolute values, are (blocks, rows, numbers); `target`, by
    how much it may be off (`slack`), and whether the row counts (`known`) are (blocks, rows).
    `relative` is the relative error of a sum.
    """

    columns: Array
    magnitudes: Array
    target: Array
    slack: Array
    known: Array
    relative: float

    @classmethod
    def of(
        cls, unknowns: Unknowns, terms: Terms, values: Array, slack: Array, relative: float
    ) -> Equations:
        """The equations of sums within `slack` of `values`, (blocks, rows); NaN is unknown."""
        known = np.isfinite(values) & np.isfinite(slack)
        target = np.where(known, values - unknowns.known_part(terms), 0.0)
        slack = np.where(known, slack, 0.0)
        absolute = terms.magnitudes
        slack = slack + relative * np.abs(unknowns.known_part(absolute))
        columns = np.where(known[..., None], unknowns.columns(terms), 0.0)
        magnitudes = np.abs(unknowns.columns(absolute))
        return cls(columns, magnitudes, target, slack, known, relative)

    def hold(self, numbers: Array, margin: float = 1) -> bool:
        """Whether every equation holds with these numbers, (blocks, numbers), times a margin."""
        given = (self.columns @ numbers[..., None])[..., 0]
        sizes = (self.magnitudes @ np.abs(numbers)[..., None])[..., 0]
        error = np.abs(given - self.target)
        allowed = margin * (self.slack + self.relative * sizes)
        return bool((error <= allowed)[self.known].all())

    def are_evidence(self, numbers: Array) -> bool:
        """Whether equations that hold with these numbers say more than the numbers themselves."""
        width = self.columns.shape[-1]
        norms = np.abs(self.columns).max(axis=1, keepdims=True)
        weights = np.random.default_rng(19).uniform(0.5, 1.5, width)
        labels = ((self.columns / np.maximum(norms, 1e-300)) @ weights).round(9)
        bits = 0.0
        sizes = (self.magnitudes @ np.abs(numbers)[..., None])[..., 0]
        allowed = self.slack + self.relative * sizes
        for label, target, slack, known in zip(
            labels, self.target, allowed, self.known, strict=True
        ):
            distinct = len(np.unique(label[known]))
            if distinct < width + MIN_SPARE_ROWS:
                return False
            values = target[known]
            spread = np.abs(values - np.median(values))
            each = np.log2(np.maximum(spread / np.maximum(slack[known], 1e-300), 1))
            bits += float(each.mean()) * (distinct - width)
        return bits >= MIN_EVIDENCE_BITS


def solve(equations: Equations) -> Array | None:
    """(blocks, numbers): the least squares solution; None if it is not determined."""
    error = equations.slack + equations.relative * np.abs(equations.target)
    smallest = max(float(error.max()) * MIN_ERROR_SHARE, 1e-300)
    weights = 1 / np.maximum(error, smallest)
    columns, target = equations.columns * weights[..., None], equations.target * weights
    norms = np.sqrt(np.square(columns).sum(axis=1, keepdims=True))
    if not np.isfinite(norms).all() or not norms.all() or columns.shape[1] <= columns.shape[2]:
        return None
    left, singular, right = np.linalg.svd(columns / norms, full_matrices=False)
    if (singular[:, -1] <= MIN_SINGULAR_VALUE * singular[:, 0]).any():
        return None
    rotated = np.einsum("bru,br->bu", left, target) / singular
    return np.asarray(np.einsum("buv,bu->bv", right, rotated) / norms[:, 0])


class Targets:
    """Values that are to be fitted, (rows, forms), of which those that are NaN do not count."""

    def __init__(self, values: Array) -> None:
        self.forms = values.shape[1]
        patterns: dict[bytes, list[int]] = {}
        known = np.isfinite(values)
        for form, pattern in enumerate(known.T):
            patterns.setdefault(pattern.tobytes(), []).append(form)
        # For each set of known rows: the rows, the forms, and their values.
        self._parts = [
            (rows := np.flatnonzero(known[:, forms[0]]), forms, values[rows][:, forms])
            for forms in patterns.values()
        ]

    def residuals(self, columns: Array) -> Array:
        """(batch, forms): the largest residuals of least squares fits, as shares of the values.

        `columns` is (batch, rows, numbers).  By the normal equations, which is fast and good enough
        to dismiss what does not fit.
        """
        found = np.full((len(columns), self.forms), np.inf)
        numbers = columns.shape[2]
        for rows, forms, wanted in self._parts:
            if len(rows) < numbers + MIN_SPARE_ROWS:
                continue
            part = columns if len(rows) == columns.shape[1] else columns[:, rows]
            norms = np.sqrt(np.square(part).sum(axis=1, keepdims=True))
            part = part / np.where(norms > 0, norms, 1)
            flipped = part.swapaxes(1, 2)
            normal = flipped @ part + SCREENING_RIDGE * np.eye(numbers)
            fitted = np.linalg.solve(normal, flipped @ wanted)
            error = np.abs(part @ fitted - wanted).max(axis=1)
            found[:, forms] = error / np.maximum(np.abs(wanted).max(axis=0), 1e-300)
        return found


def rounded(numbers: Array, digits: int) -> Array:
    """The numbers rounded to a common decimal, with so many digits for the largest of them."""
    largest = float(np.abs(numbers).max(initial=0))
    if not 0 < largest < np.inf:
        return numbers
    decimals = digits - 1 - int(np.floor(np.log10(largest)))
    return np.array([round(number, decimals) for number in numbers.ravel().tolist()]).reshape(
        numbers.shape
    )
