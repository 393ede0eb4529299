"""Output changes: what was done to the sums of a convolution before they were saved.

An output hypothesis hands the search the obtained array, read in some order, together with an
`OutputChange`.  The search and the proof know no hypothesis by name; they call these methods:

* `sum_interval`: the interval of sums that give an obtained value.  Of a known function (nothing at
  all, a factor of 0.5, tanh, clipping) it holds for each value alone.
* An `OpenChange` leaves a number open (one constant per channel, one factor, a count per position,
  an order of the channels), so that a single value says little.  It compares pairs of values
  (`relates`).  At the first pair of sample points every combination meets every form; there it
  either lists the sums that the obtained value may come from (`possible_sums`), or gives a quantity
  that does not depend on the open number (`invariant`).  The points of a pair lie in one channel,
  at any items and positions; the very first point may lie in another channel.  So what is open must
  be the same throughout a channel to cancel within a pair, or throughout the output to cancel
  against the first point.
* A `FittedChange` is checked by the proof alone: its candidates come from a search of its own.
* `verify`: whether all elements agree, and the numbers that were fitted to them, as edit fields.
* `partial_sums`: the sums as far as the obtained values give them, for fitting a channel order.

"Sum" here includes the bias as often as the form says that it was added before the change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np

from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.spec.conv_spec import ConvSpec, Correlation
from convdiff.spec.layout import Array

# Fields of edits that a verification read off the output, by the edit's code.
Fields = dict[str, dict[str, object]]


class SumBounds(NamedTuple):
    """Sums, and what rounding may have changed in each: arrays of one shape, or one slack."""

    value: Array
    slack: Array

    def only(self, which: Array) -> SumBounds:
        """The bounds that `which` selects."""
        return SumBounds(self.value[which], self.slack[which])


class FirstPair(NamedTuple):
    """What was obtained at the first two sample points, under forms with the same bias.

    `obtained` and `storage_error`, what storing may have cost, are (2, forms); `bias`, what the
    forms say was added, and `bias_error`, what adding it may have cost, are (2,).
    """

    obtained: Array
    storage_error: Array
    bias: Array
    bias_error: Array
    unit_roundoff: float


class Invariant(NamedTuple):
    """A quantity that does not depend on the open number, such as a difference or a ratio.

    `of_sums` is its value from the sums, for each combination; `low` and `high` are the ends of its
    interval from the obtained values, for each form.
    """

    of_sums: SumBounds
    low: Array
    high: Array


class OrderedValues(NamedTuple):
    """The obtained values along one axis, channels or items, through a pair of sample points.

    `values` and `storage_error` are (2, forms, length of the axis); `form` is the number of the
    form of each combination.
    """

    values: Array
    storage_error: Array
    form: Array


class SumPair(NamedTuple):
    """Sums at a pair of sample points, and what was obtained there.

    `sums`, their `slack`, `obtained` and its `storage_error` are (2, combinations); the `first_`
    ones are those at the first sample point of all, (combinations,).  `along` is there for changes
    with an `axis`.
    """

    sums: Array
    slack: Array
    obtained: Array
    storage_error: Array
    first_sum: Array
    first_slack: Array
    first_obtained: Array
    first_storage_error: Array
    unit_roundoff: float
    along: OrderedValues | None = None


class PartialSums(NamedTuple):
    """The sums (O, positions) as far as the obtained values give them.

    They are known up to one factor and, unless `cut` is set, one constant per channel.  `cut` is 1
    where clipping leaves only a lower bound of the sum, -1 where it leaves only an upper bound, and
    0 elsewhere.  With `counted`, each position may have been added several times.  `as_obtained`
    says that the values are the obtained ones, so that a fit to them serves other forms too.
    """

    values: Array
    cut: Array | None = None
    counted: bool = False
    as_obtained: bool = True


@dataclass(frozen=True)
class WholeOutput:
    """A candidate's convolution, computed in float64, beside the whole obtained array.

    `obtained` is (N, O, *space), without the bias that was added last, whose values `late_bias` has
    (zero where there is none); `sums` has the `bias` that was added before the change.
    `edits` is how many edits the candidate has, `geometry` where its windows lie, `spec` the
    operation that it ran, `kernel` its kernel (O, I per group, *space) in normal form, and
    `input_size` the spatial size of its input.
    """

    obtained: Array
    sums: Reference
    late_bias: Array
    rounding: Rounding
    edits: int
    geometry: Correlation
    spec: ConvSpec
    bias: Array = field(default_factory=lambda: np.zeros(()))
    kernel: Array | None = None
    input_size: tuple[int, ...] = ()

    @property
    def twice_stored(self) -> Rounding:
        """The rounding where the sums were stored before the change, and its results again."""
        return self.rounding.with_second_storage


class OutputChange:
    """What was done to each sum; by default a known function of it.

    Changes are immutable and hashable, and equal ones are evaluated together.
    """

    # A number is left open: see `OpenChange`.
    is_open: ClassVar[bool] = False
    # What computing the change may add, in unit roundoffs, where results are of the order of 1.
    roundings: ClassVar[int] = 8
    # The sum may have been stored, and so rounded, before the change was made, as by a layer after
    # the convolution: its error then passes through the change.
    acts_on_stored_sum: ClassVar[bool] = False
    # An obtained value may have been rounded twice, as sum and again after the change; the sample
    # points allow for one rounding more.
    stored_again: ClassVar[bool] = False

    def sum_interval(self, obtained: Array, low: Array, high: Array) -> tuple[Array, Array]:
        """The interval of sums that give an obtained value between `low` and `high`."""
        return low, high

    def verify(self, whole: WholeOutput) -> Fields | None:
        """The fitted fields of the edits if every element agrees; None if one does not."""
        raise NotImplementedError

    def partial_sums(self, values: Array) -> PartialSums | None:
        """The sums for fitting a channel order; None for a change under which none can be."""
        return None


@dataclass(frozen=True)
class Unchanged(OutputChange):
    """Nothing was done to the sums."""

    roundings: ClassVar[int] = 0

    def verify(self, whole: WholeOutput) -> Fields | None:
        obtained, sums = whole.obtained, whole.sums
        return {} if whole.rounding.explains_all(obtained, sums.output, sums.scale) else None

    def partial_sums(self, values: Array) -> PartialSums:
        return PartialSums(values)


UNCHANGED = Unchanged()


class FittedChange(OutputChange):
    """A change whose candidates a search of its own finds (`fit`): only the proof checks it."""

    def sum_interval(self, obtained: Array, low: Array, high: Array) -> tuple[Array, Array]:
        """Any sum: nothing is said of single values."""
        return np.full_like(low, -np.inf), np.full_like(high, np.inf)


class OpenChange(OutputChange):
    """A change that leaves a number open, so that only pairs of values can be compared."""

    is_open: ClassVar[bool] = True

    @property
    def axis(self) -> int | None:
        """The axis of (N, O, *space) along which elements may be in any order, if there is one."""
        return None

    def possible_sums(self, obtained: Array) -> Array | None:
        """(forms, possibilities): every sum that may have become the obtained values, (forms,).

        None for a change whose first pair is compared by `invariant`, or along its `axis`.
        """
        return None

    def possible_intervals(self, obtained: Array) -> tuple[Array, Array] | None:
        """The ends of the intervals of such sums; by default each holds one of `possible_sums`."""
        sums = self.possible_sums(obtained)
        return None if sums is None else (sums, sums)

    def invariant(self, first: SumBounds, second: SumBounds, pair: FirstPair) -> Invariant | None:
        """The invariant of the first two sample points, whose sums are `first` and `second`.

        None for a change that lists its `possible_sums` or has an `axis`.
        """
        return None

    def relates(self, pair: SumPair) -> Array:
        """(combinations,): whether the sums at the pair may have become the obtained values."""
        raise NotImplementedError
