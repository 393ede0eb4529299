"""The search: all forms of all stages multiplied out, and almost all of them dismissed at a handful
of output elements.

At one output element a combination of input and geometry is a row of numbers (the window) and a
form of the kernel another; every combination of them is one entry of one small matrix product.
What misses every obtained value by more than rounding could explain is thrown away; what is left
meets the next element.  Combinations come by their number of edits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.forms import InputForm, KernelForm, OperationForm, OutputForm
from convdiff.diagnose.core.layouts import to_layout
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.kernel import kernel_read_as
from convdiff.diagnose.hypotheses.operation import kernel_regrouping
from convdiff.diagnose.hypotheses.registry import FAMILIES
from convdiff.diagnose.search.batches import Batch, Block, FormGroup, make_batches
from convdiff.diagnose.search.candidate import (
    MAX_CANDIDATES_PER_LEVEL,
    Candidate,
    cheapest_candidates,
)
from convdiff.diagnose.search.edit_shares import canonical_extensions, split_edits
from convdiff.diagnose.search.filter import SampleFilter
from convdiff.diagnose.search.geometry_table import (
    AskedGeometry,
    GeometryTable,
    enumerate_geometries,
)
from convdiff.diagnose.search.intervals import ObtainedIntervals
from convdiff.diagnose.search.products import ProductRequest, multiply
from convdiff.diagnose.search.sample_points import choose_sample_points
from convdiff.diagnose.search.windows import SamplePoint, WindowTable
from convdiff.spec.conv_spec import ConvSpec

# Combinations met at once at most; beyond, geometries and inputs are taken in portions.
PORTION = 1 << 20
# Edits of one stage at most: three mistakes in one place are nobody's.
MOST_IN_A_STAGE = 2
# Products of a proof that costs no more than a few more looks.
CHEAP = 1 << 18


@dataclass
class Search:
    """The forms of one problem, made when first needed, and the combinations of them that survive."""

    problem: Problem
    _forms: dict[object, list[Any]] = field(default_factory=dict)
    _groups: dict[object, list[FormGroup[Any]]] = field(default_factory=dict)
    _geometries: dict[object, list[GeometryTable]] = field(default_factory=dict)
    _points: dict[tuple[int, ...], list[SamplePoint]] = field(default_factory=dict)
    _tables: dict[object, WindowTable] = field(default_factory=dict)
    _targets: dict[object, ObtainedIntervals] = field(default_factory=dict)
    _kept: dict[object, list[Batch]] = field(default_factory=dict)

    @cached_property
    def operations(self) -> list[list[OperationForm]]:
        """What was asked, then every other operation; those that differ only in how their kernel is
        made are together.
        """
        problem = self.problem
        raw = problem.kernel_view
        kernel = kernel_read_as(problem.spec, raw, problem.spec.kernel_layout)
        base = OperationForm(
            spec=problem.spec, kernel=kernel or ArrayView.of(problem.w), raw_kernel=raw
        )
        alike: dict[object, list[OperationForm]] = {}
        for form in [
            base,
            *(
                form
                for hypothesis in FAMILIES.operation
                for form in hypothesis.forms(problem, base)
            ),
        ]:
            spec = form.spec
            alike.setdefault(
                (spec.transposed, spec.groups, spec.in_channels, spec.out_channels), []
            ).append(form)
        return list(alike.values())

    def level(
        self, edits: int, precisions: Sequence[PrecisionModel], crowded: bool = False
    ) -> list[Candidate]:
        """Every combination with exactly this many edits, its precision's aside, that agrees at all
        chosen elements; cheapest first.

        The precisions share one rounding, and round the operands if there are several.  Combinations
        with two edits of one stage, other than the geometry, are `crowded`: less common, and sought
        apart.
        """
        found: list[Candidate] = []
        for at, _ in enumerate(self.operations):
            for outputs in range(min(edits, 2 if crowded and edits == 2 else 1) + 1):
                for y in self.output_groups(at, outputs):
                    found += self._matching(
                        at, y, edits - outputs, precisions, crowded and outputs < 2
                    )
        return sorted(found, key=lambda candidate: candidate.cost)[:MAX_CANDIDATES_PER_LEVEL]

    @cached_property
    def _usual(self) -> float:
        """The length of the input's windows times that of the kernel at one output channel, if both
        are as most of them are.
        """
        x, w = (
            np.abs(array[:1, :, ...].astype(np.float64))
            for array in (self.problem.x, self.problem.w)
        )
        terms = math.prod(self.problem.w.shape[1:])
        finite = x[np.isfinite(x) & (x > 0)]
        return (
            float(np.median(finite) if finite.size else 0.0)
            * 2
            * math.sqrt(terms)
            * float(np.sqrt(np.square(np.nan_to_num(w)).sum()))
        )

    def near(self, precision: PrecisionModel, points: int) -> Iterator[tuple[Candidate, int]]:
        """For every output with at most one edit in all: the combination that gives most of the
        first points, and how many.
        """
        for outputs in (0, 1):
            for y in self.output_groups(0, outputs):
                if not self.points(y):
                    continue
                sieve = self.sample_filter(0, y, precision)
                exact = np.flatnonzero(sieve.obtained.exact)
                for batch in self.batches(0, y, 1 - outputs, crowded=False) if exact.size else ():
                    right, flat = sieve.agreement_counts(batch, exact, points)
                    combination, output = np.unravel_index(right.argmax(), right.shape)
                    chosen = np.array([flat[combination]]), np.array([exact[output]])
                    yield next(cheapest_candidates(batch, y, precision, *chosen)), int(right.max())

    def inputs(self, at: int, edits: int) -> list[InputForm]:
        """Inputs with this many edits, for the operations numbered `at`."""
        problem, operation = self.problem, self.operations[at][0]
        if edits == 0:
            return (
                [InputForm(array=problem.x_view)]
                if problem.x.shape[1] == operation.spec.in_channels
                else []
            )
        return [
            form
            for hypothesis, base in canonical_extensions(
                FAMILIES.input, self.forms("inputs", at, edits - 1)
            )
            for form in hypothesis.forms(problem, base)
        ]

    def kernels(self, at: int, edits: int) -> list[KernelForm]:
        """Kernels with this many edits, their operation's included, for the operations numbered
        `at`.
        """
        problem, found = self.problem, []
        for operation in self.operations[at]:
            own = edits - len(operation.edits)
            if not 0 <= own <= (MOST_IN_A_STAGE if operation.regrouping is None else 1):
                continue
            if operation.regrouping is not None:
                # Whatever was done to the kernel was done to the one for the asked groups.
                regroup = kernel_regrouping(operation, problem.spec.groups)
                found += [
                    KernelForm(
                        operation.edits + form.edits,
                        operation.cost + form.cost,
                        regroup(form.array),
                        operation,
                    )
                    for form in self.forms("kernels", 0, own)
                ]
            elif own == 0:
                found.append(
                    KernelForm(operation.edits, operation.cost, operation.kernel, operation)
                )
            else:
                bases = [
                    form
                    for form in self.forms("kernels", at, edits - 1)
                    if form.operation is operation
                ]
                found += [
                    form
                    for hypothesis, base in canonical_extensions(FAMILIES.kernel, bases)
                    for form in hypothesis.forms(problem, operation, base)
                ]
        return found

    def outputs(self, at: int, edits: int) -> list[OutputForm]:
        """Outputs with this many edits, for the operations numbered `at`."""
        problem = self.problem
        if edits == 0:
            spec = problem.spec
            fits = problem.obtained.ndim == len(spec.output_layout)
            return (
                [
                    OutputForm(
                        array=to_layout(problem.obtained_view, spec.output_layout, "NC" + spec.axes)
                    )
                ]
                if fits
                else []
            )
        return [
            form
            for hypothesis, base in canonical_extensions(
                FAMILIES.output, self.forms("outputs", at, edits - 1)
            )
            for form in hypothesis.forms(problem, base)
        ]

    def forms(self, stage: str, at: int, edits: int) -> list[Any]:
        """`inputs`, `kernels` or `outputs`, made once."""
        key = self._key(stage, at, edits)
        if key not in self._forms:
            self._forms[key] = getattr(self, stage)(at, edits)
        return self._forms[key]

    def groups(self, stage: str, at: int, edits: int) -> list[FormGroup[Any]]:
        """`forms` by shape."""
        key = self._key(stage, at, edits)
        if key not in self._groups:
            by_shape: dict[tuple[int, ...], list[Any]] = {}
            for form in self.forms(stage, at, edits):
                by_shape.setdefault(form.array.shape, []).append(form)
            self._groups[key] = [FormGroup(alike) for alike in by_shape.values()]
        return self._groups[key]

    def output_groups(self, at: int, edits: int) -> list[FormGroup[OutputForm]]:
        """Groups of outputs that the operations numbered `at` could have made of some reading of
        the input.
        """
        key = "fitting", at, edits
        if key not in self._groups:
            spec, sizes = self.operations[at][0].spec, {1, *self.problem.input.shape}
            self._groups[key] = [
                y
                for y in self.groups("outputs", at, edits)
                if len(y.shape) == spec.rank + 2
                and min(y.shape) > 0
                and y.shape[1] == spec.out_channels
                and y.shape[0] in sizes
            ]
        return self._groups[key]

    def _key(self, stage: str, at: int, edits: int) -> tuple[str, int, int]:
        """What forms depend on: kernels on the operation, inputs on its channels alone, outputs on
        nothing of it.
        """
        return (
            stage,
            edits,
            at
            if stage == "kernels"
            else self.operations[at][0].spec.in_channels
            if stage == "inputs"
            else 0,
        )

    def _matching(
        self,
        at: int,
        y: FormGroup[OutputForm],
        edits: int,
        precisions: Sequence[PrecisionModel],
        crowded: bool,
    ) -> Iterator[Candidate]:
        """Combinations of these outputs with so many edits elsewhere."""
        for batch in self.batches(at, y, edits, crowded):
            if precisions[0].operand_format is None:
                yield from cheapest_candidates(
                    batch,
                    y,
                    precisions[0],
                    *self.sample_filter(at, y, precisions[0]).survivors(batch),
                )
                continue
            # One look serves them all: few are left, and only those are looked at with operands
            # rounded.
            left = self.sample_filter(at, y, precisions[0].screening_model).survivors(batch)
            for precision in precisions:
                yield from cheapest_candidates(
                    batch,
                    y,
                    precision,
                    *self.sample_filter(at, y, precision).confirmed(batch, *left),
                )

    def sample_filter(
        self,
        at: int,
        y: FormGroup[OutputForm],
        precision: PrecisionModel,
        points: list[SamplePoint] | None = None,
    ) -> SampleFilter:
        """These outputs at the chosen points, if there are any; or for single products at other
        points.
        """
        # Both live as long as the search: groups are kept here, precisions by whoever searches.
        key = id(y), id(precision)
        if key not in self._targets:
            self._targets[key] = ObtainedIntervals(
                y.forms, y.arrays, self.points(y), self.problem.channel_bias, precision
            )
        points, spec = self.points(y) if points is None else points, self.operations[at][0].spec
        terms = math.prod(spec.kernel_size) * spec.in_channels // spec.groups
        cheap = math.prod(y.shape) * terms <= CHEAP
        return SampleFilter(
            points,
            _channels(points, spec),
            self._targets[key],
            precision,
            terms,
            cheap,
            self._usual,
        )

    def batches(
        self,
        at: int,
        y: FormGroup[OutputForm],
        edits: int,
        crowded: bool,
        points: Sequence[SamplePoint] | None = None,
    ) -> Iterator[Batch]:
        """Everything but the output with so many edits, for outputs of this shape, multiplied; kept
        for other outputs if it is little.

        At the first two points, or at others of one channel.
        """
        key = at, y.shape, edits, crowded
        if points is None and key in self._kept:
            yield from self._kept[key]
            return
        blocks: list[Block] = []
        small = points is None
        for block in self._blocks(
            at, y, edits, crowded, self.points(y)[:2] if points is None else points
        ):
            blocks.append(block)
            if sum(each.size for each in blocks) > PORTION:
                small = False
                yield from make_batches(blocks, PORTION)
                blocks = []
        left = make_batches(blocks, PORTION)
        if small:
            self._kept[key] = left
        yield from left

    def _blocks(
        self,
        at: int,
        y: FormGroup[OutputForm],
        edits: int,
        crowded: bool,
        points: Sequence[SamplePoint],
    ) -> Iterator[Block]:
        spec = self.operations[at][0].spec
        for inputs, kernels, changed in split_edits(
            edits, crowded, min(len(operation.edits) for operation in self.operations[at])
        ):
            for x, w in itertools.product(
                self.groups("inputs", at, inputs), self.groups("kernels", at, kernels)
            ):
                n, k = x.shape, w.shape
                if n[0] != y.shape[0]:
                    continue
                for geometry in self.geometries(
                    at, n[2:], k[2:], y.shape[2:], changed, max(1, PORTION // len(w.forms))
                ):
                    if not points:
                        return
                    look = ProductRequest(
                        points,
                        _channels(points, spec)[0],
                        self._table(geometry, k[2:], n[2:], points),
                        w.kernel_rows(points[0].channel),
                    )
                    for part in _portions(x, max(1, PORTION // (len(geometry) * len(w.forms)))):
                        yield Block(part, geometry, w, multiply(part.arrays, look))

    def asked_geometry(self) -> GeometryTable | None:
        """The one that was asked, if it makes outputs of the obtained size."""
        spec = self.problem.spec
        made = self.geometries(0, spec.input_size, spec.kernel_size, spec.output_size, 0, PORTION)
        return made[0] if made and self.problem.obtained.shape == spec.shape("output") else None

    def geometries(
        self,
        at: int,
        n: tuple[int, ...],
        k: tuple[int, ...],
        m: tuple[int, ...],
        edits: int,
        portion: int,
    ) -> list[GeometryTable]:
        """All with this many edits that make m outputs of n inputs and k taps, in portions."""
        asked, spec = self.problem.spec, self.operations[at][0].spec
        key = spec.transposed, n, k, m, edits, portion
        if key not in self._geometries:
            numbers = AskedGeometry(
                spec.transposed,
                asked.stride,
                asked.dilation,
                asked.padding,
                asked.output_padding,
                asked.pad_mode,
            )
            made = enumerate_geometries(numbers, n, k, m, asked.input_dilation, edits)
            self._geometries[key] = made.chunks(portion) if len(made) else []
        return self._geometries[key]

    def _table(
        self,
        geometry: GeometryTable,
        taps: tuple[int, ...],
        n: tuple[int, ...],
        points: Sequence[SamplePoint],
    ) -> WindowTable:
        places = tuple(point.position for point in points)
        key = id(geometry), places, taps, n
        if key not in self._tables:
            self._tables[key] = geometry.windows_at(places, taps, n)
        return self._tables[key]

    def points(self, outputs: FormGroup[OutputForm]) -> list[SamplePoint]:
        """The elements to look at in outputs of this shape."""
        shape = outputs.shape
        if shape not in self._points:
            self._points[shape] = choose_sample_points(outputs.arrays)
        return self._points[shape]


def _channels(points: Sequence[SamplePoint], spec: ConvSpec) -> list[slice]:
    """The input's channels that each point's output channel sees."""
    per_group, inner = spec.out_channels // spec.groups, spec.in_channels // spec.groups
    return [
        slice(p.channel // per_group * inner, p.channel // per_group * inner + inner)
        for p in points
    ]


def _portions(x: FormGroup[InputForm], step: int) -> Iterator[FormGroup[InputForm]]:
    if len(x.forms) <= step:
        yield x
        return
    for start in range(0, len(x.forms), step):
        yield FormGroup(x.forms[start : start + step])
