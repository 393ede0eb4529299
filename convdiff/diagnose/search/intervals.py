"""What the obtained values say of the convolution's values, for several output forms at once.

At a point each form says where the convolution's value must lie: in an interval (plain values,
activations undone), in one of several (counts, channels or items in any order), or only how two
values relate (an unknown constant, an unknown factor).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convdiff.diagnose.core.activations import ACTIVATIONS, undone
from convdiff.diagnose.core.array_view import ArrayViews
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.relations import MODULI, MOST_COUNTED, RELATIONS
from convdiff.diagnose.search.windows import SamplePoint
from convdiff.spec.layout import Array

# How often a turn of an integer type may be lost where everything meets everything.
TURNS = np.arange(-128.0, 129.0)
COUNTS = np.arange(1.0, MOST_COUNTED + 1)
# Kinds of which the sums may have been stored before, and what was made of them again.
STORED_TWICE = ("factor", "offset", "counts", "lines", "line")
# What any precision does to a bias, at most.
ANY_ROUNDING = 2.0**-8
# Channels, or items, of which one is always near if they are looked for roughly.
MOST_ROUGHLY = 64
ANY_ORDER = {"channels": 1, "items": 0}


class ObtainedIntervals:
    """The obtained values under some output forms of one shape, at some points; `bias` is one value
    per channel.

    `values`, `added` (the bias that each form believes in them), `written` (what writing them down
    may have cost), `rounded` (what adding the bias may have cost), `low` and `high` are (points,
    forms).  The convolution's value lies between the last two, give or take its own rounding;
    anywhere, where a form says only how values relate, or the value is not finite.
    """

    def __init__(
        self,
        forms: Sequence[OutputForm],
        bundle: ArrayViews,
        points: Sequence[SamplePoint],
        bias: Array,
        precision: PrecisionModel,
    ) -> None:
        self.space = bundle.shape[2:]
        self.kinds = np.array([form.values for form in forms])
        self.rectified = np.array([form.rectified for form in forms])
        names, self.numbers = np.unique(self.kinds, return_inverse=True)
        # Kinds that say only how values relate, by number: numbers compare faster than names.
        self.relating = [
            (number, kind)
            for number, kind in enumerate(names.tolist())
            if kind in RELATIONS or kind in ANY_ORDER
        ]
        self.exact = ~np.isin(self.numbers, [number for number, _ in self.relating])
        self._index = [
            np.array(each)
            for each in zip(*((p.item, p.channel, *p.place) for p in points), strict=True)
        ]
        self.values = bundle.look_up(*self._index).T
        known = np.append(bias, np.zeros(max(bundle.shape[1] - bias.size, 0)))[self._index[1]]
        factors = np.array([form.bias_factor for form in forms], float)
        kept = np.array([form.bias_kept for form in forms])
        # A form that believes in no bias believes in no NaN of it either.
        self.added = np.where(factors == 0, 0.0, known[:, None] * factors)
        self.rounding = rounding = precision.rounding
        # What was done to a sum that was stored before is stored again.
        self.written = self._written(self.values) * np.where(
            np.isin(self.kinds, STORED_TWICE), 2, 1
        )
        self.values = self.values - np.where(kept, known[:, None], 0.0)
        # A bias that was added last, and is taken off again, leaves its rounding in what remains,
        # however small that is.
        self.written = self.written + np.where(
            kept, rounding.unit_roundoff * rounding.bound_units * np.abs(known[:, None]), 0.0
        )
        self.rounded = (
            rounding.unit_roundoff * rounding.bound_units
            + (ANY_ROUNDING if precision.operand_format else 0)
        ) * np.abs(self.added)
        self.low, self.high = self._intervals()
        self.orders = {
            kind: self._any_order(kind, forms) for kind in ANY_ORDER if (self.kinds == kind).any()
        }
        self.possible = self._possible(precision)

    def _written(self, values: Array) -> Array:
        return np.broadcast_to(np.multiply(self.rounding.storage_error(values), 1.01), values.shape)

    def _intervals(self) -> tuple[Array, Array]:
        slack = self.written + 8 * self.rounding.unit_roundoff * (self.kinds != "plain")
        low, high = self.values - slack, self.values + slack
        with np.errstate(all="ignore"):
            for kind in set(self.kinds[self.exact].tolist()) - {"plain"}:
                at = self.kinds == kind
                below, above = undone(kind, self.values[:, at], low[:, at], high[:, at])
                if kind in ACTIVATIONS:
                    # What it was applied to may have been stored before.
                    below, above = below - self._written(below), above + self._written(above)
                low[:, at], high[:, at] = below, above
        silent = ~self.exact | ~np.isfinite(self.values)
        low, high = low - self.added - self.rounded, high - self.added + self.rounded
        return np.where(silent, -np.inf, low), np.where(silent, np.inf, high)

    def _any_order(self, kind: str, forms: Sequence[OutputForm]) -> tuple[Array, Array, Array]:
        """(points, forms, channels or items): the values that may be the point's if their order
        along that axis is unknown.

        With what writing them may have cost; forms of that kind only, and the place of each form
        among them.
        """
        chosen = [form for form in forms if form.values == kind]
        bundle = ArrayViews([form.array for form in chosen])
        index = [each[:, None] for each in self._index]
        index[ANY_ORDER[kind]] = np.arange(bundle.shape[ANY_ORDER[kind]])[None]
        values = bundle.look_up(*index).swapaxes(0, 1)
        return values, self._written(values), np.cumsum(self.kinds == kind) - 1

    def _possible(self, precision: PrecisionModel) -> Intervals:
        """The intervals that the convolution's value at the first point may lie in, with the form
        each is of.
        """
        found = [(self.low[0, self.exact], self.high[0, self.exact], np.flatnonzero(self.exact))]
        for kind in ("counts", *self.orders, *MODULI):
            forms = np.flatnonzero(self.kinds == kind)
            if not forms.size or (
                precision.uses_kernel_max
                and kind in self.orders
                and self.orders[kind][0].shape[2] > MOST_ROUGHLY
            ):
                continue
            if kind == "counts" or kind in MODULI:
                value = self.values[0, forms, None]
                several = value / COUNTS if kind == "counts" else value + MODULI[kind] * TURNS
                written = self._written(several) * (2 if kind in STORED_TWICE else 1)
            else:
                several, written = (each[0] for each in self.orders[kind][:2])
            slack = written + self.rounded[0, forms, None]
            shifted = several - self.added[0, forms, None]
            low, high = shifted - slack, shifted + slack
            # Anything below 0 was 0 before: of several zeros one says it.
            nothing = (several == 0) & self.rectified[forms, None]
            low = np.where(nothing, np.where(np.cumsum(nothing, axis=1) == 1, -np.inf, np.inf), low)
            found.append((low.reshape(-1), high.reshape(-1), np.repeat(forms, several.shape[1])))
        return Intervals(*(np.concatenate(each) for each in zip(*found, strict=True)))


# From so many values on the table is worth its making.
MANY = 512
BUCKETS = 1 << 14


class Intervals:
    """A few intervals, each of some form, that many values are looked for in."""

    def __init__(self, low: Array, high: Array, forms: Array) -> None:
        proper = low <= high
        bounded = np.isfinite(low) & np.isfinite(high)
        self._open = [
            (float(low[i]), float(high[i]), int(forms[i]))
            for i in np.flatnonzero(proper & ~bounded).tolist()
        ]
        self._half = float((high - low)[proper & bounded].max(initial=0)) / 2
        narrow = np.flatnonzero(proper & bounded)
        middle = (low[narrow] + high[narrow]) / 2
        order = np.argsort(middle)
        self._middle, self._forms = middle[order], forms[narrow[order]]

    def matched_by(self, values: Array, slack: Array) -> tuple[Array, Array]:
        """Which values (flat; each give or take its slack, or one slack for all) lie in which
        intervals: their numbers, and the forms.
        """
        found = [(np.zeros(0, int), np.zeros(0, int))]
        for low, high, form in self._open:
            at = np.flatnonzero((values + slack >= low) & (values - slack <= high))
            found.append((at, np.full(len(at), form)))
        if self._middle.size:
            at = (
                self._near(values, float(np.max(slack, initial=0)) + self._half)
                if len(values) > MANY
                else np.arange(len(values))
            )
            reach = (slack[at] if np.ndim(slack) else slack) + self._half
            first = np.searchsorted(self._middle, values[at] - reach)
            count = np.maximum(
                np.searchsorted(self._middle, values[at] + reach, "right") - first, 0
            )
            hit = np.flatnonzero(count)
            repeats = count[hit]
            within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            found.append(
                (np.repeat(at[hit], repeats), self._forms[np.repeat(first[hit], repeats) + within])
            )
        rows, forms = (np.concatenate(each) for each in zip(*found, strict=True))
        return rows, forms

    def _near(self, values: Array, reach: float) -> Array:
        """The numbers of the values that may lie within `reach` of a middle, and a few others: a
        table says where any is.
        """
        if not np.isfinite(reach):
            return np.arange(len(values))
        step = max(2 * reach, float(np.abs(self._middle).max()) * 2.0**-40, 1e-300)
        table = np.zeros(BUCKETS, bool)
        places = np.floor(self._middle / step).astype(np.int64)
        for neighbour in (-1, 0, 1):
            table[(places + neighbour) & (BUCKETS - 1)] = True
        with np.errstate(invalid="ignore", over="ignore"):
            return np.flatnonzero(
                table[np.floor(values * (1 / step)).astype(np.int64) & (BUCKETS - 1)]
            )
