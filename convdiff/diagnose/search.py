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
from typing import TypeVar

from convdiff.compare import Rounding
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
from convdiff.diagnose.sieve import Sieve
from convdiff.diagnose.windows import Point, WindowStore
from convdiff.layout import Array
from convdiff.normal import normal_output

# Entries of one matrix product at most; beyond, rows are taken in portions.
PORTION = 1 << 20
# Edits of one stage at most: three mistakes in one place are nobody's.
MOST_IN_A_STAGE = 2
# Elements of a kernel of which many copies do no harm.
MOST_COPIED = 1 << 15

H = TypeVar("H", bound=Explained)
F = TypeVar("F", InputForm, KernelForm, OutputForm)


@dataclass
class Search:
    """The forms of one problem, made when first needed, and the combinations of them that survive."""

    problem: Problem
    _geometries: dict[object, list[list[GeometryForm]]] = field(default_factory=dict)
    _points: dict[tuple[int, ...], list[Point]] = field(default_factory=dict)
    _kernels: dict[tuple[int, int], list[KernelForm]] = field(default_factory=dict)
    _outputs: dict[tuple[int, int], list[OutputForm]] = field(default_factory=dict)
    _inputs: dict[tuple[int, int], list[InputForm]] = field(default_factory=dict)
    _windows: WindowStore = field(default_factory=WindowStore)
    _rounding: Rounding = field(init=False)

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
            if operation.regroup is not None and edits > 1 and operation.kernel.size > MOST_COPIED:
                # Each form of a regrouped kernel is a copy: too many of a large one.
                made = []
            elif operation.regroup is not None:
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

    def level(self, edits: int, rounding: Rounding | None = None) -> list[Candidate]:
        """Every combination with exactly this many edits that agrees at all chosen elements, cheapest first.

        `rounding` says what agreeing means, where it is not the problem's own.
        """
        self._rounding = rounding or self.problem.rounding
        found: list[Candidate] = []
        for at, operation in enumerate(self.operations):
            left = edits - len(operation.edits)
            for counts in itertools.product(range(min(left, MOST_IN_A_STAGE) + 1), repeat=4):
                if sum(counts) == left:
                    found += self._blocks(at, *counts)
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
                        made = list(geometries(operation.spec, asked, n[1:], k, m[1:], geometry))
                        step = max(1, PORTION // operation.kernel[0].size)
                        self._geometries[key] = [made[start : start + step] for start in range(0, len(made), step)]
                    for portion in self._geometries[key]:
                        yield from self._block(operation, input_forms, kernel_forms, portion, fitting)

    def _block(
        self, operation: OperationForm, inputs: list[InputForm], kernels: list[KernelForm], geometry: list[GeometryForm],
        outputs: list[OutputForm],
    ) -> Iterator[Candidate]:
        points = self.points(outputs[0])
        if not points:
            return
        sieve = Sieve(self.problem, self._rounding, operation, kernels, outputs, points, self._windows)
        step = max(1, PORTION // (max(len(kernels), operation.kernel[0].size) * len(geometry)))
        for start in range(0, len(inputs), step):
            forms = inputs[start : start + step]
            for form, chosen, kernel, output in sieve.survivors(forms, geometry):
                yield Candidate(operation, forms[form], kernels[kernel], geometry[chosen], outputs[output])

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
