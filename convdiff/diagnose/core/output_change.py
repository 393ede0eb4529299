"""What happened to a convolution's sums on their way to the output, as objects that are asked.

An output hypothesis hands the search the obtained array, read in some order, together with an
`OutputChange`: what it believes was done to each sum.  The search and the proof know nothing of
single hypotheses; they ask the change:

* `sum_interval`: between what the sum must lie, given the obtained value.  A change that is a known
  function (nothing at all, a factor of 0.5, tanh, clipping) answers for each value alone.
* An `OpenChange` leaves a number open (one constant per channel, one factor, a count per position,
  an order of the channels), so that a single value says little.  It compares a pair of values
  (`relates`), and for the first pair, where everything meets everything, it either lists the sums
  that the obtained value may come from (`possible_sums`) or names a number that the open one drops
  out of (`invariant`).
* `verify`: whether all elements agree, and the numbers that were read off them, as fields of edits.
* `partial_sums`: the sums as far as the obtained values give them, for fitting an order of the
  channels.

"Sum" here includes the bias as often as the form believes it was added before the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

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
        """Some of them."""
        return SumBounds(self.value[which], self.slack[which])


class FirstPair(NamedTuple):
    """What was obtained at the first two sample points, under forms that believe in one bias.

    `obtained` and `written`, what storing may have cost, are (2, forms); `bias`, what the forms
    believe was added, and `bias_slack`, what adding it may have cost, are (2,).
    """

    obtained: Array
    written: Array
    bias: Array
    bias_slack: Array
    unit: float


class Invariant(NamedTuple):
    """A number that the open one drops out of: of the sums, and between what it was obtained.

    `of_sums` has an entry for each combination, `low` and `high` one for each form.
    """

    of_sums: SumBounds
    low: Array
    high: Array


class OrderedValues(NamedTuple):
    """The obtained values along one axis, channels or items, through a pair of sample points.

    `values` and `written`, what storing each may have cost, are (2, forms, length of the axis);
    `form` is the number of the form of each combination.
    """

    values: Array
    written: Array
    form: Array


class SumPair(NamedTuple):
    """Sums at a pair of sample points, and what was obtained there.

    `sums`, `slack`, `obtained` and `written` are (2, combinations); the `first_` ones are those at
    the first sample point of all, (combinations,).  `along` is there for changes with an `axis`.
    """

    sums: Array
    slack: Array
    obtained: Array
    written: Array
    first_sum: Array
    first_slack: Array
    first_obtained: Array
    first_written: Array
    unit: float
    along: OrderedValues | None = None


class PartialSums(NamedTuple):
    """The sums (O, places) as far as the obtained values give them.

    They are known up to one factor and a constant per channel; where some are `cut` off, up to the
    factor alone: `cut` is 1 where the sum may be more, -1 where it may be less, 0 elsewhere.  Where
    `counted`, each place may have been added several times.  `as_obtained` says that the values
    are the obtained ones, so that whatever is read off them is shared with other forms.
    """

    values: Array
    cut: Array | None = None
    counted: bool = False
    as_obtained: bool = True


@dataclass(frozen=True)
class WholeOutput:
    """A candidate's convolution, computed in float64, beside the whole obtained array.

    `obtained` is (N, O, *space), without the bias that was added last, whose values `late_bias` has
    (zero where there is none); `sums` has the bias that was added before the change.  `relu_after`
    says that negative values were set to 0 after the change.  `edits` is how many edits the
    candidate has, `geometry` where its windows lie, `spec` the operation that it ran.
    """

    obtained: Array
    sums: Reference
    late_bias: Array
    rounding: Rounding
    edits: int
    geometry: Correlation
    spec: ConvSpec
    relu_after: bool = False

    @property
    def twice_stored(self) -> Rounding:
        """The rounding where the sums were stored before the change, and its results again."""
        return self.rounding.with_second_storage


class OutputChange:
    """A known function of the sum.  Frozen and hashable: equal changes are asked together."""

    # A number is left open: see `OpenChange`.
    is_open: ClassVar[bool] = False
    # Unit roundoffs that computing the change may add.
    roundings: ClassVar[int] = 8
    # The sum may have been stored, and so rounded, before the change was made.
    acts_on_stored_sum: ClassVar[bool] = False
    # Both the sum and the changed value are stored, so that an obtained value is rounded twice.
    stored_again: ClassVar[bool] = False

    def sum_interval(self, obtained: Array, low: Array, high: Array) -> tuple[Array, Array]:
        """Between what the sum lies if the obtained value lies between `low` and `high`."""
        return low, high

    def verify(self, whole: WholeOutput) -> Fields | None:
        """The fields that the edits gain if every element agrees; None if one does not."""
        raise NotImplementedError

    def partial_sums(self, values: Array) -> PartialSums | None:
        """See `PartialSums`; None for a change under which no order of channels can be read."""
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

    def invariant(self, first: SumBounds, second: SumBounds, pair: FirstPair) -> Invariant | None:
        """A number made of the sums at the first two points that the open number drops out of.

        None for a change that lists its `possible_sums`.
        """
        return None

    def relates(self, pair: SumPair) -> Array:
        """(combinations,): whether the sums at the pair may have become the obtained values."""
        raise NotImplementedError
