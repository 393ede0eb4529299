"""The output change that leaves the order of the channels, or of the batch items, open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convdiff.diagnose.core.output_change import (
    Fields,
    OpenChange,
    OrderedValues,
    PartialSums,
    SumPair,
    WholeOutput,
)
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.spec.layout import Array

BATCH_AXIS, CHANNEL_AXIS = 0, 1
# Channels, or items, from which on it pays to sort them and see first whether any is near at all.
MIN_SORTED = 16
# Channels, or items, whose order is looked for at most.
MAX_REORDERED = 4096
# Elements of each channel, or item, that the order is read off; it is verified on all of them.
MAX_COMPARED = 64


@dataclass(frozen=True)
class Reordered(OpenChange):
    """The channels (axis 1) or the batch items (axis 0) came in another order.

    `code` is the edit's whose `permutation` the verification gives.
    """

    code: str
    along: int

    @property
    def axis(self) -> int:
        return self.along

    def relates(self, pair: SumPair) -> Array:
        """Whether some channel, or item, has the sums' values at both points.

        A channel stands in the place of one channel at both points, which may be of different
        items; an item may be another one at each point.
        """
        assert pair.along is not None
        return _any_agrees(pair, pair.along, at_both=self.along == CHANNEL_AXIS)

    def verify(self, whole: WholeOutput) -> Fields | None:
        order = order_along(self.along, whole.rounding, whole.obtained, whole.sums)
        return None if order is None else {self.code: {"permutation": order}}

    def partial_sums(self, values: Array) -> PartialSums | None:
        return PartialSums(values) if self.along == CHANNEL_AXIS else None


def _any_agrees(pair: SumPair, along: OrderedValues, *, at_both: bool) -> Array:
    """(combinations,): whether one of the values along the axis agrees; `at_both`, the same one."""
    agrees = np.ones(pair.sums.shape[1], bool)
    if along.values.shape[2] > MIN_SORTED:
        for form in np.unique(along.form).tolist():
            of = np.flatnonzero(along.form == form)
            for point in (0, 1):
                reach = pair.slack[point, of] + along.storage_error[point, form].max()
                agrees[of] &= _any_near(pair.sums[point, of], reach, along.values[point, form])
    left = np.flatnonzero(agrees)
    error = np.abs(pair.sums[:, left, None] - along.values[:, along.form[left]])
    near = error <= pair.slack[:, left, None] + along.storage_error[:, along.form[left]]
    if at_both:
        agrees[left] = near.all(axis=0).any(axis=1)
    else:
        agrees[left] = near.any(axis=2).all(axis=0)
    return agrees


def _any_near(values: Array, reach: Array, among: Array) -> Array:
    """Whether any of `among` lies within reach of each value."""
    ordered = np.sort(among)
    first = np.searchsorted(ordered, values - reach)
    return np.asarray(first < np.searchsorted(ordered, values + reach, "right"))


def order_along(
    axis: int, rounding: Rounding, obtained: Array, sums: Reference
) -> list[int] | None:
    """The order along an axis in which every element agrees; None for the natural order.

    `obtained[:, c]` is `sums[:, order[c]]`, along axis 1.
    """
    if obtained.shape != sums.output.shape or not 1 < obtained.shape[axis] <= MAX_REORDERED:
        return None
    rows = [
        np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1)
        for a in (obtained, sums.output, sums.scale)
    ]
    # Between the inputs of a strided transposed convolution there are zeros, which show no order.
    compared = np.flatnonzero(rows[2].any(axis=0))
    compared = compared[:: max(1, len(compared) // MAX_COMPARED)]
    if not compared.size:
        return None
    got, expected, scale = (a[:, compared].astype(np.float64) for a in rows)
    order: list[int] = []
    free = np.ones(len(got), bool)
    for place in range(len(got)):
        here = np.broadcast_to(got[place], expected.shape)
        units = rounding.excess_units(here, expected, scale).max(axis=1)
        matching = np.flatnonzero((units <= rounding.bound_units) & free)
        if not matching.size:
            return None
        source = place if place in matching else int(matching[0])
        free[source] = False
        order.append(source)
    if order == sorted(order):
        return None
    ordered = Reference(sums.output.take(order, axis), sums.scale.take(order, axis))
    return order if rounding.explains_all(obtained, ordered.output, ordered.scale) else None
