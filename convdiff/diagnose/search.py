"""The search: all forms of all stages multiplied out, and almost all of them dismissed at a handful of output elements.

At one output element a combination of input and geometry is a row of numbers (the window) and a form of the kernel another;
every combination of them is one entry of one small matrix product.  What misses the obtained value by more than
rounding could explain is thrown away; what is left meets the next element.  Combinations come by their number of edits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from convdiff.diagnose.activations import ACTIVATIONS
from convdiff.diagnose.candidate import Candidate
from convdiff.diagnose.forms import GeometryForm, InputForm, KernelForm, OperationForm, OutputForm
from convdiff.diagnose.geometry import geometries
from convdiff.diagnose.hypothesis import Explained
from convdiff.diagnose.inputs import INPUT
from convdiff.diagnose.kernels import KERNEL
from convdiff.diagnose.operations import OPERATION, regrouped
from convdiff.diagnose.outputs import OUTPUT
from convdiff.diagnose.points import choose_points
from convdiff.diagnose.problem import Problem
from convdiff.diagnose.windows import Point, windows
from convdiff.layout import Array
from convdiff.normal import normal_output
from convdiff.precision import half_ulp, width

# Entries of one matrix product at most; beyond, rows are taken in portions.
PORTION = 1 << 20
# Windows that overlap at one position, at most.
MOST_COUNTED = 64

H = TypeVar("H", bound=Explained)
F = TypeVar("F", InputForm, KernelForm, OutputForm)


@dataclass
class Search:
    """The forms of one problem, made when first needed, and the combinations of them that survive."""

    problem: Problem
    _geometries: dict[object, list[GeometryForm]] = field(default_factory=dict)
    _points: dict[tuple[int, ...], list[Point]] = field(default_factory=dict)
    _kernels: dict[tuple[int, int], list[KernelForm]] = field(default_factory=dict)
    _outputs: dict[tuple[int, int], list[OutputForm]] = field(default_factory=dict)
    _inputs: dict[tuple[int, int], list[InputForm]] = field(default_factory=dict)

    @cached_property
    def operations(self) -> list[OperationForm]:
        """What was asked, then every other operation."""
        problem = self.problem
        base = OperationForm(spec=problem.spec, kernel=problem.w, raw_kernel=problem.kernel)
        return [base, *(form for hypothesis in OPERATION for form in hypothesis.forms(problem, base))]

    def inputs(self, at: int, edits: int) -> list[InputForm]:
        """Inputs with this many edits, for the operation numbered `at`."""
        if (at, edits) not in self._inputs:
            operation = self.operations[at]
            if edits == 0:
                made = [InputForm(array=self.problem.x)] if self.problem.x.shape[1] == operation.spec.in_channels else []
            else:
                made = [form for hypothesis, base in _later(INPUT, self.inputs(at, edits - 1))
                        for form in hypothesis.forms(self.problem, operation, base)]
            self._inputs[at, edits] = made
        return self._inputs[at, edits]

    def kernels(self, at: int, edits: int) -> list[KernelForm]:
        """Kernels with this many edits, for the operation numbered `at`."""
        if (at, edits) not in self._kernels:
            operation = self.operations[at]
            if operation.regroup is not None:
                # Whatever was done to the kernel was done to the one for the asked groups.
                made = [replace(form, array=_regrouped(form.array, operation, self.problem)) for form in self.kernels(0, edits)]
            elif edits == 0:
                made = [KernelForm(array=operation.kernel)]
            else:
                made = [form for hypothesis, base in _later(KERNEL, self.kernels(at, edits - 1))
                        for form in hypothesis.forms(self.problem, operation, base)]
            self._kernels[at, edits] = made
        return self._kernels[at, edits]

    def outputs(self, at: int, edits: int) -> list[OutputForm]:
        """Outputs with this many edits that have the batch and channels of the operation numbered `at`."""
        if (at, edits) not in self._outputs:
            operation, problem = self.operations[at], self.problem
            if edits == 0:
                fits = problem.obtained.ndim == len(problem.spec.output_layout)
                made = [OutputForm(array=normal_output(problem.spec, problem.obtained))] if fits else []
            else:
                made = [form for hypothesis, base in _later(OUTPUT, self.outputs(at, edits - 1))
                        for form in hypothesis.forms(problem, operation, base)]
            self._outputs[at, edits] = made
        return self._outputs[at, edits]

    def level(self, edits: int) -> list[Candidate]:
        """Every combination with exactly this many edits that agrees at all chosen elements, cheapest first."""
        found: list[Candidate] = []
        for at, operation in enumerate(self.operations):
            left = edits - len(operation.edits)
            for inputs, kernels, outputs in itertools.product(range(left + 1), repeat=3):
                if inputs + kernels + outputs <= left:
                    found += self._blocks(at, inputs, kernels, outputs, left - inputs - kernels - outputs)
        return sorted(found, key=lambda candidate: candidate.cost)

    def _blocks(self, at: int, inputs: int, kernels: int, outputs: int, geometry: int) -> Iterator[Candidate]:
        """Combine forms with these numbers of edits, those of equal sizes together."""
        operation, asked = self.operations[at], self.problem.spec
        for n, input_forms in _by_size(self.inputs(at, inputs)):
            for k, kernel_forms in _by_size(self.kernels(at, kernels)):
                for m, output_forms in _by_size(self.outputs(at, outputs)):
                    fitting = [form for form in output_forms if form.array.shape[1] == operation.spec.out_channels]
                    key = (operation.spec.transposed, n[1:], k, m[1:], geometry)
                    if not fitting or n[0] != m[0] or not m[1:] or min(m) < 1:
                        continue
                    if key not in self._geometries:
                        self._geometries[key] = list(geometries(operation.spec, asked, n[1:], k, m[1:], geometry))
                    if self._geometries[key]:
                        yield from self._block(operation, input_forms, kernel_forms, self._geometries[key], fitting)

    def _block(
        self, operation: OperationForm, inputs: list[InputForm], kernels: list[KernelForm], geometry: list[GeometryForm],
        outputs: list[OutputForm],
    ) -> Iterator[Candidate]:
        points = self.points(outputs[0])
        if not points:
            return
        test = _Test(self.problem, operation, kernels, outputs, points)
        step = max(1, PORTION // max(len(kernels), operation.kernel[0].size))
        for form in inputs:
            for start in range(0, len(geometry), step):
                chosen = geometry[start : start + step]
                for row, kernel, output in test.survivors(form, chosen):
                    yield Candidate(operation, form, kernels[kernel], chosen[row], outputs[output])

    def points(self, form: OutputForm) -> list[Point]:
        """The elements to look at in an output of this form's shape."""
        key = form.array.shape
        if key not in self._points:
            self._points[key] = choose_points(form.array)
        return self._points[key]


def _regrouped(kernel: Array, operation: OperationForm, problem: Problem) -> Array:
    made = regrouped(kernel, operation.regroup or "", problem.spec.groups, operation.spec.groups)
    assert made is not None
    return made


def _later(hypotheses: tuple[H, ...], bases: list[F]) -> Iterator[tuple[H, F]]:
    """Each base with the hypotheses that come no earlier than its own last edit, so that no set of edits comes twice."""
    order = [hypothesis.code for hypothesis in hypotheses]
    for base in bases:
        begin = order.index(base.edits[-1]["code"]) if base.edits else 0
        yield from ((hypothesis, base) for hypothesis in hypotheses[begin:])


def _by_size(forms: list[F]) -> list[tuple[tuple[int, ...], list[F]]]:
    """Forms by spatial size; inputs and outputs by batch size and spatial size."""
    groups: dict[tuple[int, ...], list[F]] = {}
    for form in forms:
        shape: tuple[int, ...] = form.array.shape
        groups.setdefault(shape[2:] if isinstance(form, KernelForm) else (shape[0], *shape[2:]), []).append(form)
    return list(groups.items())


class _Test:
    """One block's kernels and outputs at the chosen points, ready to meet windows."""

    def __init__(
        self, problem: Problem, operation: OperationForm, kernels: list[KernelForm], outputs: list[OutputForm], points: list[Point]
    ) -> None:
        self.problem = problem
        self.points = points
        self.outputs = outputs
        self.taps = kernels[0].size
        outer, inner = operation.kernel.shape[:2]
        per_group = outer // operation.spec.groups
        self.channels = [slice(p.channel // per_group * inner, p.channel // per_group * inner + inner) for p in points]
        self.kernels = kernels
        self._rows: dict[int, Array] = {}

    def kernel_rows(self, at: int) -> Array:
        """(kernels, terms) at the channel of point `at`."""
        channel = self.points[at].channel
        if channel not in self._rows:
            self._rows[channel] = np.stack([form.array[channel].reshape(-1) for form in self.kernels]).astype(np.float64)
        return self._rows[channel]

    def survivors(self, form: InputForm, geometry: list[GeometryForm]) -> list[tuple[int, int, int]]:
        """(geometry, kernel, output) numbers that agree with what was obtained at every point."""
        first = [self._products(form, geometry, at) for at in (0, 1)]
        alive: list[tuple[int, Array, Array]] = []
        for number, output in enumerate(self.outputs):
            good = self._agree(output, (0, 1), [p for p, _ in first], [t for _, t in first], first[0])
            rows, cols = np.nonzero(good)
            if rows.size:
                alive.append((number, rows, cols))
        result = []
        for number, rows, cols in alive:
            base = first[0][0][rows, cols], first[0][1][rows, cols]
            for at in range(2, len(self.points), 2):
                pair = [self._dots(form, geometry, rows, cols, at + half) for half in (0, 1)]
                good = self._agree(self.outputs[number], (at, at + 1), [p for p, _ in pair], [t for _, t in pair], base)
                rows, cols, base = rows[good], cols[good], (base[0][good], base[1][good])
                if not rows.size:
                    break
            result += [(int(r), int(c), number) for r, c in zip(rows, cols, strict=True)]
        return result

    def _products(self, form: InputForm, geometry: list[GeometryForm], at: int) -> tuple[Array, Array]:
        """The convolution's value at a point for every (geometry, kernel), and what rounding may change in it."""
        rows = windows(form.array, self.channels[at], self.points[at], geometry, self.taps)
        cols = self.kernel_rows(at)
        with np.errstate(invalid="ignore", over="ignore"):
            return rows @ cols.T, self._slack(np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(cols, axis=1)[None, :])

    def _dots(self, form: InputForm, geometry: list[GeometryForm], rows: Array, cols: Array, at: int) -> tuple[Array, Array]:
        """As `_products`, for single (geometry, kernel) combinations."""
        used, places = np.unique(rows, return_inverse=True)
        made = windows(form.array, self.channels[at], self.points[at], [geometry[i] for i in used], self.taps)
        left, right = made, self.kernel_rows(at)
        values, norms = np.empty(rows.size), np.empty(rows.size)
        left_norm, right_norm = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)
        step = max(1, PORTION // left.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, rows.size, step):
                part = slice(start, start + step)
                values[part] = np.einsum("sn,sn->s", left[places[part]], right[cols[part]])
                norms[part] = left_norm[places[part]] * right_norm[cols[part]]
        return values, self._slack(norms)

    def _slack(self, norms: Array) -> Array:
        """What rounding may change: |row| |column| bounds S (Cauchy and Schwarz)."""
        rounding = self.problem.rounding
        return np.asarray(rounding.unit * rounding.bound * norms + rounding.floor + rounding.extra)

    def _agree(
        self, output: OutputForm, ats: tuple[int, int], values: list[Array], slacks: list[Array], base: tuple[Array, Array]
    ) -> Array:
        """Which combinations give the obtained values at a pair of points; `base` is the first point's values and slack."""
        got, added = zip(*(self._obtained(output, at) for at in ats), strict=True)
        values = [value + bias for value, bias in zip(values, added, strict=True)]
        rounding = self.problem.rounding
        slacks = [slack + rounding.unit * rounding.bound * abs(bias) for slack, bias in zip(slacks, added, strict=True)]
        if width(rounding.stored) < width(rounding.dtype):
            slacks = [slack + float(half_ulp(np.array(target), rounding.stored)) * 1.01 for slack, target in zip(slacks, got, strict=True)]
        with np.errstate(invalid="ignore", over="ignore"):
            if output.values == "offset":
                return np.asarray(np.abs((values[0] - values[1]) - (got[0] - got[1])) <= slacks[0] + slacks[1])
            if output.values == "factor":
                reference, bias = self._obtained(output, 0)
                if reference == 0:
                    return np.zeros(values[0].shape, bool)
                good = np.ones(values[0].shape, bool)
                for value, slack, target in zip(values, slacks, got, strict=True):
                    error = np.abs(reference * value - target * (base[0] + bias))
                    good &= error <= abs(reference) * slack + abs(target) * base[1]
                return good
            if output.values == "counts":
                return self._counted(values, slacks, got)
            if output.values == "permuted":
                return self._permuted(output, ats, values, slacks)
            if output.values != "plain":
                values = [ACTIVATIONS[output.values](value) for value in values]
                slacks = [slack + 8 * rounding.unit for slack in slacks]
            return np.asarray((np.abs(values[0] - got[0]) <= slacks[0]) & (np.abs(values[1] - got[1]) <= slacks[1]))

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
