"""The sieve: combinations of forms held against the obtained values at a few output elements, two
at a time.

At the first two elements everything meets everything; after that single combinations are left.
Elements come in pairs of one channel, so that unknown constants, factors and channel orders can be
compared away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.relations import RELATIONS, PairOfSums, in_any_order
from convdiff.diagnose.search.batches import Batch, Block, Combined
from convdiff.diagnose.search.intervals import Intervals, ObtainedIntervals
from convdiff.diagnose.search.products import Rows
from convdiff.diagnose.search.windows import SamplePoint, norms, single_windows
from convdiff.numerics.error_bound import Rounding, fast_algorithm_units
from convdiff.spec.layout import Array

# Numbers multiplied at once when single combinations are left.
PORTION = 1 << 19
# Combinations that a pair of elements is worth looking at alone for.
MANY = 32
# Combinations that agree roughly at two elements beyond which agreeing says nothing.
MOST_ROUGH = 1 << 16
# Where a proof costs no more than looking on, a few combinations that have come so far are left to
# it.
FEW = 3


class SumBounds(NamedTuple):
    """The convolution's values for some combinations, and what rounding may change in each."""

    value: Array
    slack: Array

    def only(self, which: Array) -> SumBounds:
        """Some of them."""
        return SumBounds(self.value[which], self.slack[which])


@dataclass
class SampleFilter:
    """Outputs of one shape at the chosen points, ready to meet the products of inputs, geometries
    and kernels.

    `channels` are the input's that each point's output channel sees; `terms` is the number of
    products of one element; `cheap` says that a proof costs next to nothing.
    """

    points: list[SamplePoint]
    channels: list[slice]
    targets: ObtainedIntervals
    precision: PrecisionModel
    terms: int
    cheap: bool
    # The usual |window| |kernel| of what is asked: a fast algorithm's errors go with it,
    # everywhere.
    usual: float

    @property
    def rounding(self) -> Rounding:
        """What a value may be off by."""
        return self.precision.rounding

    def survivors(self, batch: Batch) -> tuple[Array, Array]:
        """Combinations (numbers in the batch) and outputs that agree with what was obtained at
        every point.
        """
        flat, outputs = self._first_hits(batch)
        if not flat.size:
            return flat, outputs
        if self.precision.uses_kernel_max and flat.size > MOST_ROUGH:
            return flat[:0], outputs[:0]
        return self._remaining(batch, flat, outputs, self._first_values(batch, flat))

    def confirmed(self, batch: Batch, flat: Array, outputs: Array) -> tuple[Array, Array]:
        """Those of these combinations and outputs that agree at every point with the operands
        rounded as the precision says.
        """
        return (
            self._remaining(batch, flat, outputs, self.single_products(batch, flat, np.arange(2)))
            if flat.size
            else (flat, outputs)
        )

    def _remaining(
        self, batch: Batch, flat: Array, outputs: Array, values: list[SumBounds]
    ) -> tuple[Array, Array]:
        """Those that agree at every point; `values` are theirs at the first two."""
        good = self._agree(outputs, 0, values, values[0])
        flat, outputs, base = flat[good], outputs[good], values[0].only(good)
        at = 2
        while flat.size and at < len(self.points) and not (flat.size <= FEW and self.cheap):
            # One pair where many are left, which few will outlive; all at once where few are.
            pairs = (
                1
                if len(flat) > MANY
                else max(
                    1, min((len(self.points) - at) // 2, PORTION // (2 * len(flat) * self.terms))
                )
            )
            found = self.single_products(batch, flat, np.arange(at, at + 2 * pairs))
            good = np.ones(len(flat), bool)
            for pair in range(pairs):
                good &= self._agree(outputs, at + 2 * pair, found[2 * pair : 2 * pair + 2], base)
            flat, outputs, base = flat[good], outputs[good], base.only(good)
            at += 2 * pairs
        return flat, outputs

    def agreements(self, batch: Batch, outputs: Array, points: int) -> tuple[Array, Array]:
        """Every combination of the batch with each of these outputs (numbers of exact forms): at
        how many of the first points it agrees.

        (combinations, outputs), and the combinations.
        """
        flat = np.arange(int(batch.starts[-1]))
        right = np.zeros((len(flat), len(outputs)), int)
        for at in range(min(points, len(self.points))):
            (found,) = self.single_products(batch, flat, np.array([at]))
            value, slack = found.value[:, None], found.slack[:, None]
            with np.errstate(all="ignore"):
                right += (value + slack >= self.targets.low[at, outputs]) & (
                    value - slack <= self.targets.high[at, outputs]
                )
        return right, flat

    def _first_hits(self, batch: Batch) -> tuple[Array, Array]:
        """Everything against everything at the first two points."""
        targets = self.targets
        # One slack for all, the largest; each has its own later.
        first, second = (
            SumBounds(value, self.slack(max(self.largest(block, at) for block in batch.blocks)))
            for at, value in enumerate(batch.values)
        )
        found = [targets.possible.matched_by(*first)]
        with np.errstate(all="ignore"):
            for kind, relate in (("offset", self._differences), ("factor", self._ratios)):
                alike = np.flatnonzero(targets.kinds == kind)
                # Forms that believe in one bias are related to it together; a bias that is no
                # number relates nothing.
                biases = targets.added[0, alike]
                for added in np.unique(biases[np.isfinite(biases)]):
                    forms = alike[targets.added[0, alike] == added]
                    related, low, high = relate(first, second, forms)
                    found.append(Intervals(low, high, forms).matched_by(*related))
        at, forms = (np.concatenate(each) for each in zip(*found, strict=True))
        return at, forms

    def largest(self, block: Block, at: int) -> float:
        """The largest |window| |kernel| of a block at one of its points."""
        return float(
            block.product.lengths[at].max(initial=0)
            * self._weights(block.kernels.rows(self.points[0].channel)).max()
        )

    def _weights(self, kernels: Rows) -> Array:
        """What kernels count in the error of a sum."""
        return kernels.peaks if self.precision.uses_kernel_max else kernels.lengths

    def _differences(
        self, first: SumBounds, second: SumBounds, forms: Array
    ) -> tuple[SumBounds, Array, Array]:
        """An unknown constant drops out of the difference of two values of a channel."""
        y = self.targets.values[:2, forms]
        slack = (self.targets.written + self.targets.rounded)[:2, forms].sum(axis=0)
        slack = slack + 2 * self.rounding.unit_roundoff * np.abs(y).sum(axis=0)
        difference = y[0] - y[1]
        return (
            SumBounds(first.value - second.value, first.slack + second.slack),
            difference - slack,
            difference + slack,
        )

    def _ratios(
        self, first: SumBounds, second: SumBounds, forms: Array
    ) -> tuple[SumBounds, Array, Array]:
        """An unknown factor drops out of the ratio of two values."""
        y, written = self.targets.values[:2, forms], self.targets.written[:2, forms]
        # The same bias for all here.
        added, rounded = self.targets.added[:2, forms[0]], self.targets.rounded[:2, forms[0]]
        over, under = second.value + added[1], first.value + added[0]
        ratio = over / under
        ratio[~np.isfinite(ratio)] = 0.0
        loss = [v.slack + each for v, each in zip((first, second), rounded, strict=True)]
        slack = (loss[1] + np.abs(ratio) * loss[0]) / np.maximum(np.abs(under) - loss[0], 0)
        slack[~np.isfinite(slack)] = np.inf
        wanted = y[1] / y[0]
        own = np.abs(wanted) * (
            4 * self.rounding.unit_roundoff + written[0] / np.abs(y[0])
        ) + written[1] / np.abs(y[0])
        return SumBounds(ratio, slack), wanted - own, wanted + own

    def _first_values(self, batch: Batch, flat: Array) -> list[SumBounds]:
        """What is known of single combinations at the first two points, each with its own slack."""
        sizes = np.empty((2, len(flat)))
        for block, of, chosen in batch.split(flat):
            weights = self._weights(block.kernels.rows(self.points[0].channel))[chosen.kernel]
            sizes[:, of] = block.product.length(chosen.input, chosen.geometry) * weights
        return [SumBounds(batch.values[at][flat], self.slack(sizes[at])) for at in (0, 1)]

    def single_products(self, batch: Batch, flat: Array, ats: Array) -> list[SumBounds]:
        """The values at some points for single combinations."""
        values, sizes = np.empty((len(ats), len(flat))), np.empty((len(ats), len(flat)))
        for block, of, chosen in batch.split(flat):
            values[:, of], sizes[:, of] = self._in_block(block, chosen, ats)
        return [SumBounds(*pair) for pair in zip(values, self.slack(sizes), strict=True)]

    def _in_block(self, block: Block, chosen: Combined, ats: Array) -> tuple[Array, Array]:
        """(points, combinations): the values, of operands as the precision rounds them, and |window|
        |kernel|.

        The points are one, or pairs.
        """
        inputs, geometry, count = block.inputs, block.geometry, len(ats)
        used, places = np.unique(
            chosen.input * len(geometry) + chosen.geometry, return_inverse=True
        )
        which, numbers = np.divmod(used, len(geometry))
        # Rows: windows within points.
        points = [self.points[at] for at in ats.tolist()]
        which, numbers = np.tile(which, count), np.tile(numbers, count)
        items, positions = (
            np.repeat(np.array([point[field] for point in points]), len(used), axis=0)
            for field in (0, 2)
        )
        channels = np.repeat(
            np.array(
                [np.arange(c.start, c.stop) for c in (self.channels[at] for at in ats.tolist())]
            ),
            len(used),
            axis=0,
        )
        table = geometry.table_of(
            numbers, positions, block.kernels.bundle.shape[2:], inputs.bundle.shape[2:]
        )
        left = self.precision.round_operand(
            single_windows(inputs.bundle, which, items, channels, table), "input"
        )
        lengths = norms(left).reshape(count, -1)
        left = left.reshape(count, len(used), -1)
        values, sizes = np.empty((count, len(places))), np.empty((count, len(places)))
        step = max(1, PORTION // left.shape[2])
        for row in range(0, count, 2):
            pair = slice(row, row + 2)
            rows = block.kernels.rows(points[row].channel)
            sizes[pair] = lengths[pair, places] * self._weights(rows)[chosen.kernel]
            for start in range(0, len(places), step):
                part = slice(start, start + step)
                right = self.precision.round_operand(rows.values[chosen.kernel[part]], "kernel")
                values[pair, part] = np.einsum("psn,sn->ps", left[pair, places[part]], right)
        return values, sizes

    def slack(self, sizes: Array | float) -> Array:
        """What rounding may change: |window| |kernel| bounds S (Cauchy and Schwarz)."""
        fast = fast_algorithm_units(math.prod(self.targets.space)) * self.usual
        return np.asarray(
            np.maximum(sizes * self.rounding.bound_units, fast) * self.rounding.unit_roundoff
            + (self.rounding.underflow_error + self.rounding.decimal_error)
        )

    def _agree(self, outputs: Array, at: int, values: list[SumBounds], base: SumBounds) -> Array:
        """Which combinations give the obtained values at the pair of points; `base` has their
        values at the first point of all.
        """
        targets = self.targets
        good = np.ones(len(outputs), bool)
        with np.errstate(all="ignore"):
            for number, (value, slack) in enumerate(values, at):
                good &= (value + slack >= targets.low[number, outputs]) & (
                    value - slack <= targets.high[number, outputs]
                )
            others = np.flatnonzero(~targets.exact[outputs] & good)
            if others.size:
                good[others] = self._related(
                    outputs[others],
                    slice(at, at + 2),
                    [v.only(others) for v in values],
                    base.only(others),
                )
        return good

    def _related(
        self, outputs: Array, at: slice, values: list[SumBounds], base: SumBounds
    ) -> Array:
        """As `_agree`, for forms that say only how values relate."""
        targets = self.targets
        slack = np.array([v.slack for v in values]) + targets.rounded[at, outputs]
        conv = np.array([v.value for v in values]) + targets.added[at, outputs]
        conv = np.where(targets.rectified[outputs], np.maximum(conv, 0), conv)
        good = np.zeros(len(outputs), bool)
        for number, kind in targets.relating:
            of = np.flatnonzero(targets.numbers[outputs] == number)
            if not of.size:
                continue
            form = outputs[of]
            if kind in targets.orders:
                several, written, place = targets.orders[kind]
                good[of] = in_any_order(
                    conv[:, of],
                    slack[:, of],
                    several[at],
                    written[at],
                    place[form],
                    together=kind == "channels",
                )
                continue
            good[of] = RELATIONS[kind](
                PairOfSums(
                    conv[:, of],
                    slack[:, of],
                    targets.values[at, form],
                    targets.written[at, form],
                    base.value[of] + targets.added[0, form],
                    base.slack[of],
                    targets.values[0, form],
                    targets.written[0, form],
                    self.rounding.unit_roundoff,
                )
            )
        return good
