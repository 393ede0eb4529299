"""Where the sums must lie at the sample points, for several output forms at once.

At each point a form's `OutputChange` gives the interval of the convolution's sum.  An open change
only constrains pairs of points; for the first pair it lists the sums that are possible at its first
point, so that all combinations can be looked up at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.output_change import OpenChange, OrderedValues
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.search.windows import SamplePoint
from convdiff.spec.layout import Array

# The largest relative error that any precision model makes in a bias (bfloat16's).
MAX_BIAS_ERROR = 2.0**-8
# With more channels, or items, some value is near any sum where operands may be rounded and sums
# have a wide slack: their order is then not looked for.
MAX_ROUGHLY_REORDERED = 64
# A factor on the storage error, for the rounding of this module's own numbers.
STORING_MARGIN = 1.01


class ObtainedIntervals:
    """The obtained values under some output forms of one shape, at the sample points.

    `bias` holds one value per channel.  All arrays are (points, forms): the obtained `values`
    without a bias that was added last; `bias`, what the form believes was added to the sums;
    `storage_error`, what storing the value may have cost; `bias_error`, what adding the bias may
    have cost; `low` and `high`, between which the sum without its bias lies, give or take its own
    rounding.  They are infinite where the form leaves a number open or the value is not finite.
    """

    def __init__(
        self,
        forms: Sequence[OutputForm],
        views: ArrayViewStack,
        points: Sequence[SamplePoint],
        bias: Array,
        precision: PrecisionModel,
    ) -> None:
        self.space = views.shape[2:]
        self._forms = forms
        self.changes = list(dict.fromkeys(form.change for form in forms))
        numbers = {change: number for number, change in enumerate(self.changes)}
        # The number of the change of each form.
        self.change_of = np.array([numbers[form.change] for form in forms])
        self.relu_before = np.array([form.relu_before for form in forms])
        self.exact = ~np.array([form.change.is_open for form in forms])
        self._index = [
            np.array(indices)
            for indices in zip(*((p.item, p.channel, *p.position) for p in points), strict=True)
        ]
        self.rounding = rounding = precision.rounding
        obtained = views.gather(*self._index).T
        padded = np.append(bias, np.zeros(max(views.shape[1] - bias.size, 0)))
        channel_bias = padded[self._index[1]][:, None]
        factors = np.array([form.bias_factor for form in forms], float)
        late = np.array([form.late_bias for form in forms])
        # 0 x NaN is NaN: a form without the bias must not get a NaN from it.
        self.bias = np.where(factors == 0, 0.0, channel_bias * factors)
        stored = np.where(self._of_changes("stored_again"), 2, 1)
        self.storage_error = self._storing_error(obtained) * stored
        self.values = obtained - np.where(late, channel_bias, 0.0)
        # A bias that was added last, and is taken off again, leaves its rounding in what remains,
        # however small that is.
        relative = rounding.unit_roundoff * rounding.bound_units
        self.storage_error = self.storage_error + np.where(
            late, relative * np.abs(channel_bias), 0.0
        )
        bias_error = relative + (MAX_BIAS_ERROR if precision.operand_format else 0)
        self.bias_error = bias_error * np.abs(self.bias)
        self.low, self.high = self._sum_intervals()
        self._along = {
            change: self._values_along(change)
            for change in self.changes
            if isinstance(change, OpenChange) and change.axis is not None
        }
        self.possible = self._possible_sums(precision)

    @property
    def open_changes(self) -> list[tuple[int, OpenChange]]:
        """The changes that leave a number open, with their numbers."""
        return [(n, each) for n, each in enumerate(self.changes) if isinstance(each, OpenChange)]

    def ordered_values(self, change: OpenChange, points: slice, forms: Array) -> OrderedValues:
        """The values along the change's axis at a pair of points, for these forms."""
        values, written, place = self._along[change]
        return OrderedValues(values[points], written[points], place[forms])

    def _of_changes(self, attribute: str) -> Array:
        """(forms,): an attribute of each form's change."""
        each = np.array([getattr(change, attribute) for change in self.changes])
        return np.asarray(each[self.change_of])

    def _storing_error(self, values: Array) -> Array:
        error = np.multiply(self.rounding.storage_error(values), STORING_MARGIN)
        return np.broadcast_to(error, values.shape)

    def _sum_intervals(self) -> tuple[Array, Array]:
        slack = self.storage_error + self.rounding.unit_roundoff * self._of_changes("roundings")
        low, high = self.values - slack, self.values + slack
        smallest, largest = self.rounding.limits
        low, high = low - self.rounding.shift, high - self.rounding.shift
        low[self.values <= smallest], high[self.values >= largest] = -np.inf, np.inf
        with np.errstate(all="ignore"):
            for number, change in enumerate(self.changes):
                if change.is_open:
                    continue
                of = self.change_of == number
                least, most = change.sum_interval(self.values[:, of], low[:, of], high[:, of])
                if change.acts_on_stored_sum:
                    least = least - self._storing_error(least)
                    most = most + self._storing_error(most)
                low[:, of], high[:, of] = least, most
        unknown = ~self.exact | ~np.isfinite(self.values)
        low, high = low - self.bias - self.bias_error, high - self.bias + self.bias_error
        return np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)

    def _values_along(self, change: OpenChange) -> tuple[Array, Array, Array]:
        """All values along the change's axis, (points, its forms, length of the axis).

        With what storing each may have cost, and the place of each form among the change's.
        """
        assert change.axis is not None
        views = ArrayViewStack([form.array for form in self._forms if form.change == change])
        index = [indices[:, None] for indices in self._index]
        index[change.axis] = np.arange(views.shape[change.axis])[None]
        values = views.gather(*index).swapaxes(0, 1)
        is_of = self.change_of == self.changes.index(change)
        return values, self._storing_error(values), np.cumsum(is_of) - 1

    def _possible_sums(self, precision: PrecisionModel) -> Intervals:
        """The intervals that the sum at the first point may lie in, with the form of each."""
        exact = np.flatnonzero(self.exact)
        found = [(self.low[0, exact], self.high[0, exact], exact)]
        for number, change in self.open_changes:
            forms = np.flatnonzero(self.change_of == number)
            if change.axis is not None:
                least, written = (array[0] for array in self._along[change][:2])
                most = least
                if precision.uses_kernel_max and least.shape[1] > MAX_ROUGHLY_REORDERED:
                    continue
            else:
                listed = change.possible_intervals(self.values[0, forms])
                if listed is None:
                    continue
                least, most = listed
                sums = np.where(np.isfinite(least), least, most)
                written = self._storing_error(sums) * (2 if change.stored_again else 1)
            slack = written + self.bias_error[0, forms, None]
            bias = self.bias[0, forms, None]
            low, high = least - bias - slack, most - bias + slack
            # With a ReLU before, a 0 may have been any negative sum.  Of several zeros only the
            # first gets that interval, since the others would repeat it.
            zero = (least == 0) & (most == 0) & self.relu_before[forms, None]
            first_zero = np.cumsum(zero, axis=1) == 1
            low = np.where(zero, np.where(first_zero, -np.inf, np.inf), low)
            found.append((low.reshape(-1), high.reshape(-1), np.repeat(forms, least.shape[1])))
        return Intervals(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


# Values from which on a table of buckets saves more than it costs.
MIN_BUCKETED_VALUES = 512
BUCKETS = 1 << 14


class Intervals:
    """Intervals, each of some form, that many values are looked up in.

    `low`, `high` and `forms`, the number of each interval's form, are of one length; an interval
    whose ends are exchanged holds nothing.
    """

    def __init__(self, low: Array, high: Array, forms: Array) -> None:
        proper = low <= high
        bounded = np.isfinite(low) & np.isfinite(high)
        self._unbounded = [
            (float(low[i]), float(high[i]), int(forms[i]))
            for i in np.flatnonzero(proper & ~bounded).tolist()
        ]
        self._half_width = float((high - low)[proper & bounded].max(initial=0)) / 2
        narrow = np.flatnonzero(proper & bounded)
        middle = (low[narrow] + high[narrow]) / 2
        order = np.argsort(middle)
        self._middle, self._forms = middle[order], forms[narrow[order]]

    def matches(self, values: Array, slack: Array) -> tuple[Array, Array]:
        """The numbers of the values that lie in some interval, and the form of that interval.

        `values` is flat; each is known give or take its slack, or one slack for all.  Every
        interval is treated as wide as the widest, so that a few near misses are returned too.
        """
        found = [(np.zeros(0, int), np.zeros(0, int))]
        for low, high, form in self._unbounded:
            inside = np.flatnonzero((values + slack >= low) & (values - slack <= high))
            found.append((inside, np.full(len(inside), form)))
        if self._middle.size:
            candidates = np.arange(len(values))
            if len(values) > MIN_BUCKETED_VALUES:
                reach = float(np.max(slack, initial=0)) + self._half_width
                candidates = self._near_a_middle(values, reach)
            reaches = (slack[candidates] if np.ndim(slack) else slack) + self._half_width
            first = np.searchsorted(self._middle, values[candidates] - reaches)
            last = np.searchsorted(self._middle, values[candidates] + reaches, "right")
            counts = np.maximum(last - first, 0)
            hit = np.flatnonzero(counts)
            counts = counts[hit]
            starts = np.repeat(np.cumsum(counts) - counts, counts)
            intervals = np.repeat(first[hit], counts) + np.arange(counts.sum()) - starts
            found.append((np.repeat(candidates[hit], counts), self._forms[intervals]))
        numbers, forms = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return numbers, forms

    def _near_a_middle(self, values: Array, reach: float) -> Array:
        """The numbers of the values within `reach` of some interval's middle, and a few others.

        Values and middles are hashed to buckets of twice that width: a value is near only if its
        bucket, or a neighbor of it, holds a middle.
        """
        if not np.isfinite(reach):
            return np.arange(len(values))
        step = max(2 * reach, float(np.abs(self._middle).max()) * 2.0**-40, 1e-300)
        occupied = np.zeros(BUCKETS, bool)
        buckets = np.floor(self._middle / step).astype(np.int64)
        for neighbor in (-1, 0, 1):
            occupied[(buckets + neighbor) & (BUCKETS - 1)] = True
        with np.errstate(invalid="ignore", over="ignore"):
            own = np.floor(values * (1 / step)).astype(np.int64) & (BUCKETS - 1)
        return np.flatnonzero(occupied[own])
