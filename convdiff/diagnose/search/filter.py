"""The sample filter: combinations of forms held against the obtained values at a few elements.

At the first two sample points every combination meets every output form; what agrees there is
looked at one by one, a pair of points at a time.  The two points of a pair lie in one channel, so
that an unknown constant, an unknown factor or an unknown order of the channels can be compared away
(`OpenChange`).  What survives is a candidate; only the proof (`proof.py`) looks at all elements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convdiff.diagnose.core.forms import KernelForm
from convdiff.diagnose.core.output_change import FirstPair, SumBounds, SumPair
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.search.batches import Batch, Block, Combinations, FormGroup
from convdiff.diagnose.search.intervals import Intervals, ObtainedIntervals
from convdiff.diagnose.search.products import KernelRows
from convdiff.diagnose.search.windows import SamplePoint, gather_windows_by_row, row_norms
from convdiff.numerics.error_bound import Rounding, fast_algorithm_units
from convdiff.spec.layout import Array

# Numbers multiplied at once when single combinations are left.
MAX_PRODUCTS_AT_ONCE = 1 << 19
# Combinations from which on a pair of points is looked at alone, since few will survive it.
MIN_FOR_SINGLE_PAIRS = 32
# If more combinations than this agree roughly at the first two points, that is no evidence.
MAX_ROUGH_SURVIVORS = 1 << 16
# Combinations that are left to the proof, where a proof costs no more than looking at more points.
MAX_LEFT_TO_PROOF = 3


@dataclass(frozen=True)
class SampleFilter:
    """Output forms of one shape at the sample points, ready to meet inputs, geometries and kernels.

    `channels` are the input channels that the output channel of each point sees; `terms` is the
    number of products in one sum; `cheap_proof` says that a proof costs next to nothing;
    `usual_norm` is the typical |window| |kernel| of the asked convolution, by which the errors of
    FFT and Winograd scale.
    """

    points: list[SamplePoint]
    channels: list[slice]
    obtained: ObtainedIntervals
    precision: PrecisionModel
    terms: int
    cheap_proof: bool
    usual_norm: float

    @property
    def rounding(self) -> Rounding:
        """What a sum may be off by."""
        return self.precision.rounding

    def survivors(self, batch: Batch) -> tuple[Array, Array]:
        """Combinations and output forms that agree at every sample point, as numbers.

        The combinations are numbered in the batch, the forms among the filter's.
        """
        combinations, outputs = self._first_pair_matches(batch)
        if not combinations.size:
            return combinations, outputs
        if self.precision.uses_kernel_max and combinations.size > MAX_ROUGH_SURVIVORS:
            return combinations[:0], outputs[:0]
        sums = self._sums_at_first_pair(batch, combinations)
        return self._agreeing_everywhere(batch, combinations, outputs, sums)

    def confirmed(self, batch: Batch, combinations: Array, outputs: Array) -> tuple[Array, Array]:
        """The combinations that agree at every point with operands rounded as the model says."""
        if not combinations.size:
            return combinations, outputs
        sums = self.sums_of(batch, combinations, np.arange(2))
        return self._agreeing_everywhere(batch, combinations, outputs, sums)

    def _agreeing_everywhere(
        self, batch: Batch, combinations: Array, outputs: Array, sums: list[SumBounds]
    ) -> tuple[Array, Array]:
        """The (combination, form) pairs that agree at every point.

        `sums` are those of the combinations at the first two points.
        """
        agree = self.agree(outputs, 0, sums, sums[0])
        combinations, outputs, first = combinations[agree], outputs[agree], sums[0].only(agree)
        at = 2
        while combinations.size and at < len(self.points):
            left = len(combinations)
            if left <= MAX_LEFT_TO_PROOF and self.cheap_proof:
                break
            pairs = 1
            if left <= MIN_FOR_SINGLE_PAIRS:
                affordable = MAX_PRODUCTS_AT_ONCE // (2 * left * self.terms)
                pairs = max(1, min((len(self.points) - at) // 2, affordable))
            sums = self.sums_of(batch, combinations, np.arange(at, at + 2 * pairs))
            agree = np.ones(left, bool)
            for pair in range(pairs):
                both = sums[2 * pair : 2 * pair + 2]
                agree &= self.agree(outputs, at + 2 * pair, both, first)
            combinations, outputs, first = combinations[agree], outputs[agree], first.only(agree)
            at += 2 * pairs
        return combinations, outputs

    def agreement_counts(self, batch: Batch, outputs: Array, points: int) -> tuple[Array, Array]:
        """At how many of the first `points` each combination agrees with each of these outputs.

        (combinations, outputs), and the combinations.  The outputs' changes must leave no number
        open.
        """
        combinations = np.arange(int(batch.starts[-1]))
        counts = np.zeros((len(combinations), len(outputs)), int)
        for at in range(min(points, len(self.points))):
            (sums,) = self.sums_of(batch, combinations, np.array([at]))
            value, slack = sums.value[:, None], sums.slack[:, None]
            with np.errstate(all="ignore"):
                above = value + slack >= self.obtained.low[at, outputs]
                counts += above & (value - slack <= self.obtained.high[at, outputs])
        return counts, combinations

    def _first_pair_matches(self, batch: Batch) -> tuple[Array, Array]:
        """Every combination against every output form at the first pair of points."""
        obtained = self.obtained
        # One slack for all combinations, the largest; each has its own later.
        first, second = (
            SumBounds(value, self.slack(max(self.largest_norm(b, at) for b in batch.blocks)))
            for at, value in enumerate(batch.values)
        )
        found = [obtained.possible.matches(*first)]
        with np.errstate(all="ignore"):
            for number, change in obtained.open_changes:
                forms = np.flatnonzero(obtained.change_of == number)
                # Forms with one bias are compared together; a bias that is not finite says nothing.
                biases = obtained.bias[0, forms]
                for bias in np.unique(biases[np.isfinite(biases)]):
                    alike = forms[biases == bias]
                    invariant = change.invariant(first, second, self._first_pair(alike))
                    if invariant is None:
                        break
                    intervals = Intervals(invariant.low, invariant.high, alike)
                    found.append(intervals.matches(*invariant.of_sums))
        combinations, forms = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return combinations, forms

    def _first_pair(self, forms: Array) -> FirstPair:
        obtained = self.obtained
        return FirstPair(
            obtained.values[:2, forms],
            obtained.storage_error[:2, forms],
            obtained.bias[:2, forms[0]],
            obtained.bias_error[:2, forms[0]],
            self.rounding.unit_roundoff,
        )

    def largest_norm(self, block: Block, at: int) -> float:
        """The largest |window| |kernel| of a block at one of its points."""
        weights = self._weights(block.kernels.kernel_rows(self.points[0].channel))
        return float(block.products.window_norms[at].max(initial=0) * weights.max())

    def _weights(self, kernels: KernelRows) -> Array:
        """(kernels,): the factor of each kernel in the error bound, its norm or largest weight."""
        if not self.precision.uses_kernel_max:
            return kernels.norms
        return np.maximum(kernels.peaks, self.precision.kernel_peak)

    def _sums_at_first_pair(self, batch: Batch, combinations: Array) -> list[SumBounds]:
        """The sums of single combinations at the first two points, each with its own slack."""
        size = np.empty((2, len(combinations)))
        for block, of, chosen in batch.split(combinations):
            weights = self._weights(block.kernels.kernel_rows(self.points[0].channel))[
                chosen.kernel
            ]
            size[:, of] = block.products.norms_of(chosen.input, chosen.geometry) * weights
        return [SumBounds(batch.values[at][combinations], self.slack(size[at])) for at in (0, 1)]

    def sums_of(self, batch: Batch, combinations: Array, points: Array) -> list[SumBounds]:
        """The sums of single combinations at some points (one, or pairs), by number."""
        shape = len(points), len(combinations)
        values, sizes = np.empty(shape), np.empty(shape)
        for block, of, chosen in batch.split(combinations):
            values[:, of], sizes[:, of] = self._sums_in_block(block, chosen, points)
        return [SumBounds(*bounds) for bounds in zip(values, self.slack(sizes), strict=True)]

    def _sums_in_block(
        self, block: Block, chosen: Combinations, numbers: Array
    ) -> tuple[Array, Array]:
        """(points, combinations): the sums, and |window| |kernel| of each.

        The operands are rounded as the precision model says.
        """
        inputs, geometry, count = block.inputs, block.geometry, len(numbers)
        # Combinations that share input and geometry share a window.
        used, window = np.unique(
            chosen.input * len(geometry) + chosen.geometry, return_inverse=True
        )
        input_of, geometry_of = np.divmod(used, len(geometry))
        points = [self.points[number] for number in numbers.tolist()]
        items, places = (
            np.repeat(np.array([point[field] for point in points]), len(used), axis=0)
            for field in (0, 2)
        )
        seen = [self.channels[number] for number in numbers.tolist()]
        channels = np.array([np.arange(each.start, each.stop) for each in seen])
        # Rows are ordered by point, then by window.
        table = geometry.windows_by_row(
            np.tile(geometry_of, count),
            places,
            block.kernels.arrays.shape[2:],
            inputs.arrays.shape[2:],
        )
        rows = gather_windows_by_row(
            inputs.arrays,
            np.tile(input_of, count),
            items,
            np.repeat(channels, len(used), axis=0),
            table,
        )
        windows = self.precision.round_operand(rows, "input")
        lengths = row_norms(windows).reshape(count, -1)
        windows = windows.reshape(count, len(used), -1)
        values, sizes = np.empty((count, len(window))), np.empty((count, len(window)))
        step = max(1, MAX_PRODUCTS_AT_ONCE // windows.shape[2])
        for row in range(0, count, 2):
            pair = slice(row, row + 2)
            kernels = block.kernels.kernel_rows(points[row].channel)
            sizes[pair] = lengths[pair, window] * self._weights(kernels)[chosen.kernel]
            for start in range(0, len(window), step):
                part = slice(start, start + step)
                weights = self._weights_as_rounded(
                    block.kernels, chosen.kernel[part], points[row].channel
                )
                values[pair, part] = np.einsum("psn,sn->ps", windows[pair, window[part]], weights)
        return values, sizes

    def _weights_as_rounded(
        self, kernels: FormGroup[KernelForm], chosen: Array, channel: int
    ) -> Array:
        """(n, terms): the weights of the chosen kernels for one output channel, as rounded."""
        if self.precision.kernel_grid is not None:
            return kernels.rows_on_grid(chosen, channel, self.precision.kernel_grid)
        rows = kernels.kernel_rows(channel).values[chosen]
        return self.precision.round_operand(rows, "kernel")

    def slack(self, norm: Array | float) -> Array:
        """What rounding may change in a sum with this |window| |kernel|, which bounds S.

        (By Cauchy and Schwarz; a fast algorithm's error goes with the usual norm instead.)
        """
        rounding = self.rounding
        fast = fast_algorithm_units(math.prod(self.obtained.space)) * self.usual_norm
        units = np.maximum(norm * rounding.bound_units, fast)
        return np.asarray(
            units * rounding.unit_roundoff + (rounding.underflow_error + rounding.decimal_error)
        )

    def agree(self, outputs: Array, at: int, sums: list[SumBounds], first: SumBounds) -> Array:
        """(combinations,): which agree with their output form at the pair of points from `at` on.

        `sums` are theirs at the pair, `first` those at the first point of all.
        """
        obtained = self.obtained
        agree = np.ones(len(outputs), bool)
        with np.errstate(all="ignore"):
            for number, (value, slack) in enumerate(sums, at):
                agree &= value + slack >= obtained.low[number, outputs]
                agree &= value - slack <= obtained.high[number, outputs]
            is_open = np.flatnonzero(~obtained.exact[outputs] & agree)
            if is_open.size:
                pair = [bounds.only(is_open) for bounds in sums]
                related = self._relate(outputs[is_open], at, pair, first.only(is_open))
                agree[is_open] = related
        return agree

    def _relate(self, outputs: Array, at: int, sums: list[SumBounds], first: SumBounds) -> Array:
        """As `agree`, for forms that leave a number open."""
        obtained, points = self.obtained, slice(at, at + 2)
        slack = np.array([bounds.slack for bounds in sums]) + obtained.bias_error[points, outputs]
        value = np.array([bounds.value for bounds in sums]) + obtained.bias[points, outputs]
        value = np.where(obtained.relu_before[outputs], np.maximum(value, 0), value)
        agree = np.zeros(len(outputs), bool)
        for number, change in obtained.open_changes:
            of = np.flatnonzero(obtained.change_of[outputs] == number)
            if not of.size:
                continue
            form = outputs[of]
            along = None
            if change.axis is not None:
                along = obtained.ordered_values(change, points, form)
            agree[of] = change.relates(
                SumPair(
                    value[:, of],
                    slack[:, of],
                    obtained.values[points, form],
                    obtained.storage_error[points, form],
                    first.value[of] + obtained.bias[0, form],
                    first.slack[of],
                    obtained.values[0, form],
                    obtained.storage_error[0, form],
                    self.rounding.unit_roundoff,
                    along,
                )
            )
        return agree
