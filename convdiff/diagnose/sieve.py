"""The sieve: combinations of forms held against the obtained values at a few output elements, two at a time.

At the first two elements everything meets everything, in one matrix product each; after that single combinations are left.
Elements come in pairs of one channel, so that unknown constants, factors and channel orders can be compared away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from convdiff.compare import Rounding
from convdiff.diagnose.activations import ACTIVATIONS
from convdiff.diagnose.forms import GeometryForm, InputForm, KernelForm, OperationForm, OutputForm
from convdiff.diagnose.problem import Problem
from convdiff.diagnose.windows import Point, WindowStore, norms, table, windows
from convdiff.layout import Array
from convdiff.precision import half_ulp, width

# Numbers multiplied at once when single combinations are left.
PORTION = 1 << 20
# Where a proof costs no more than looking on, a few combinations that have come so far are left to it.
ENOUGH = 6
FEW = 3
CHEAP = 1 << 18
# Windows that overlap at one position, at most.
MOST_COUNTED = 64


class Sieve:
    """Kernels and outputs at the chosen points, ready to meet the windows of inputs and geometries."""

    def __init__(
        self, problem: Problem, rounding: Rounding, operation: OperationForm, kernels: list[KernelForm], outputs: list[OutputForm],
        points: list[Point], store: WindowStore,
    ) -> None:
        self.problem = problem
        self.rounding = rounding
        self.store = store
        self.points = points
        self.outputs = outputs
        self.taps = kernels[0].size
        outer, inner = operation.kernel.shape[:2]
        per_group = outer // operation.spec.groups
        self.channels = [slice(p.channel // per_group * inner, p.channel // per_group * inner + inner) for p in points]
        self.kernels = kernels
        self.cheap = outputs[0].array.size * operation.kernel[0].size <= CHEAP
        self._rows: dict[int, tuple[Array, Array]] = {}

    def kernel_rows(self, at: int) -> tuple[Array, Array]:
        """(kernels, terms) at the channel of point `at`, and the length of each."""
        channel = self.points[at].channel
        if channel not in self._rows:
            rows = np.stack([form.array[channel].reshape(-1) for form in self.kernels]).astype(np.float64)
            self._rows[channel] = rows, norms(rows)
        return self._rows[channel]

    def survivors(self, inputs: list[InputForm], geometry: list[GeometryForm]) -> Iterator[tuple[int, int, int, int]]:
        """(input, geometry, kernel, output) numbers that agree with what was obtained at every point."""
        first = [self._products(inputs, geometry, at) for at in (0, 1)]
        for number, output in enumerate(self.outputs):
            good = self._agree(output, (0, 1), [p for p, _ in first], [t for _, t in first], first[0])
            rows, cols = np.nonzero(good)
            base = first[0][0][rows, cols], first[0][1][rows, cols]
            for at in range(2, len(self.points), 2):
                if not rows.size or (at >= ENOUGH and rows.size <= FEW and self.cheap):
                    break
                pair = [self._dots(inputs, geometry, rows, cols, at + half) for half in (0, 1)]
                good = self._agree(output, (at, at + 1), [p for p, _ in pair], [t for _, t in pair], base)
                rows, cols, base = rows[good], cols[good], (base[0][good], base[1][good])
            for row, col in zip(rows.tolist(), cols.tolist(), strict=True):
                yield *divmod(row, len(geometry)), col, number

    def _products(self, inputs: list[InputForm], geometry: list[GeometryForm], at: int) -> tuple[Array, Array]:
        """The convolution's value at a point for every (input and geometry, kernel), and what rounding may change in it."""
        rows, row_norms = self.store.windows(inputs, self.channels[at], self.points[at], geometry, self.taps)
        cols, col_norms = self.kernel_rows(at)
        with np.errstate(invalid="ignore", over="ignore"):
            return rows @ cols.T, self._slack(row_norms[:, None] * col_norms[None, :])

    def _dots(self, inputs: list[InputForm], geometry: list[GeometryForm], rows: Array, cols: Array, at: int) -> tuple[Array, Array]:
        """As `_products`, for single combinations."""
        used, places = np.unique(rows, return_inverse=True)
        which, numbers = np.divmod(used, len(geometry))
        point = self.points[at]
        made = []
        for number in np.unique(which):
            form = inputs[number]
            here = table([geometry[i] for i in numbers[which == number]], point.place, self.taps, form.size)
            made.append(windows([form.array], self.channels[at], point, here))
        left, (right, right_norm) = np.concatenate(made), self.kernel_rows(at)
        left_norm = norms(left)
        values, sizes = np.empty(rows.size), left_norm[places] * right_norm[cols]
        step = max(1, PORTION // left.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, rows.size, step):
                part = slice(start, start + step)
                values[part] = np.einsum("sn,sn->s", left[places[part]], right[cols[part]])
        return values, self._slack(sizes)

    def _slack(self, sizes: Array) -> Array:
        """What rounding may change: |row| |column| bounds S (Cauchy and Schwarz)."""
        rounding = self.rounding
        return np.asarray(rounding.unit * rounding.bound * sizes + rounding.floor + rounding.extra)

    def _agree(
        self, output: OutputForm, ats: tuple[int, int], values: list[Array], slacks: list[Array], base: tuple[Array, Array]
    ) -> Array:
        """Which combinations give the obtained values at a pair of points; `base` is the first point's values and slack."""
        got, added = zip(*(self._obtained(output, at) for at in ats), strict=True)
        values = [value + bias for value, bias in zip(values, added, strict=True)]
        rounding = self.rounding
        slacks = [slack + rounding.unit * rounding.bound * abs(bias) for slack, bias in zip(slacks, added, strict=True)]
        # What writing the obtained value down may have cost.
        written = [self._written(target) for target in got]
        with np.errstate(invalid="ignore", over="ignore"):
            if output.values == "factor":
                return self._proportional(output, values, slacks, got, written, base)
            slacks = [slack + step for slack, step in zip(slacks, written, strict=True)]
            if output.values == "offset":
                # The constant itself was rounded into both.
                rounded = 2 * rounding.unit * (abs(got[0]) + abs(got[1]))
                return np.asarray(np.abs((values[0] - values[1]) - (got[0] - got[1])) <= slacks[0] + slacks[1] + rounded)
            if output.values == "counts":
                return self._counted(values, slacks, got)
            if output.values == "permuted":
                return self._permuted(output, ats, values, slacks)
            if output.values != "plain":
                values = [ACTIVATIONS[output.values](value) for value in values]
                slacks = [slack + 8 * rounding.unit for slack in slacks]
            return np.asarray((np.abs(values[0] - got[0]) <= slacks[0]) & (np.abs(values[1] - got[1]) <= slacks[1]))

    def _written(self, target: float) -> float:
        rounding = self.rounding
        if width(rounding.stored) >= width(rounding.dtype):
            return 0.0
        return float(half_ulp(np.array(target), rounding.stored)) * 1.01

    def _proportional(
        self, output: OutputForm, values: list[Array], slacks: list[Array], got: tuple[float, ...], written: list[float],
        base: tuple[Array, Array],
    ) -> Array:
        """Which values are in the proportion to the first point's in which the obtained ones are."""
        reference, bias = self._obtained(output, 0)
        first = base[0] + bias
        good = np.full(values[0].shape, reference != 0)
        unit = self.rounding.unit
        step = self._written(reference) + unit * abs(reference)
        for value, slack, target, own in zip(values, slacks, got, written, strict=True):
            error = np.abs(reference * value - target * first)
            allowed = abs(reference) * slack + abs(target) * base[1] + (own + unit * abs(target)) * np.abs(first) + step * np.abs(value)
            good &= error <= allowed
        return good

    def _counted(self, values: list[Array], slacks: list[Array], got: tuple[float, ...]) -> Array:
        """Which values are the obtained ones up to a whole number of at least 1, and not too large to mean anything."""
        good = np.ones(values[0].shape, bool)
        for value, slack, target in zip(values, slacks, got, strict=True):
            count = np.clip(np.rint(np.where(value == 0, 1, target / np.where(value == 0, 1, value))), 1, MOST_COUNTED)
            good &= np.abs(count * value - target) <= count * slack
        return good

    def _permuted(self, output: OutputForm, ats: tuple[int, int], values: list[Array], slacks: list[Array]) -> Array:
        """Which values are the obtained ones of some channel, the same at both points."""
        first, second = (self._all_channels(output, at) for at in ats)
        good = np.zeros(values[0].shape, bool)
        for one, other in zip(first, second, strict=True):
            good |= (np.abs(values[0] - one) <= slacks[0]) & (np.abs(values[1] - other) <= slacks[1])
        return good

    def _all_channels(self, output: OutputForm, at: int) -> Array:
        point = self.points[at]
        index: tuple[Any, ...] = (point.item, slice(None), *point.place)
        return np.asarray(output.array[index], np.float64)

    def _obtained(self, output: OutputForm, at: int) -> tuple[float, float]:
        """The obtained value at a point, and the bias that the form believes in it."""
        point = self.points[at]
        value = float(output.array[point.item, point.channel][point.place])
        bias = self.problem.channel_bias
        known = output.bias_factor * float(bias[point.channel]) if point.channel < bias.size else 0.0
        return value, known
