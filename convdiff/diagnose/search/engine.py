"""The search: forms of all stages multiplied out, and almost all combinations dismissed early.

At one output element a combination of an input and a geometry is a row of numbers, the window, and
a kernel form is another; every pair of them is one entry of one small matrix product.  What misses
every obtained value by more than rounding could explain is thrown away (`SampleFilter`), and what
is left meets the next element.  Combinations come by their number of edits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.core.output_change import UNCHANGED
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.search.batches import Batch, Block, FormGroup, make_batches
from convdiff.diagnose.search.candidate import (
    MAX_CANDIDATES_PER_LEVEL,
    Candidate,
    cheapest_candidates,
)
from convdiff.diagnose.search.edit_shares import split_edits
from convdiff.diagnose.search.filter import SampleFilter
from convdiff.diagnose.search.form_table import FormTable
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
from convdiff.spec.pad_value import values_of_channels

# Combinations that are multiplied at once; beyond, geometries and inputs are taken in portions.
MAX_COMBINATIONS_AT_ONCE = 1 << 20
# Edits of the output at most: two only if they are all edits.
MAX_OUTPUT_EDITS = 2
# Products of a proof that costs no more than looking at a few more sample points.
CHEAP_PROOF_PRODUCTS = 1 << 18


class Search:
    """The combinations of one problem's forms that agree with the output at the sample points.

    `op` is the number of an operation group in `forms`.  What several searches share (sample
    points, window tables, the products of few combinations) is kept.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.forms = FormTable(problem)
        self._geometries: dict[object, list[GeometryTable]] = {}
        self._points: dict[tuple[int, ...], list[SamplePoint]] = {}
        self._windows: dict[object, WindowTable] = {}
        self._obtained: dict[object, ObtainedIntervals] = {}
        self._kept_batches: dict[object, list[Batch]] = {}

    def level(
        self, edits: int, precisions: Sequence[PrecisionModel], *, stacked: bool = False
    ) -> list[Candidate]:
        """The combinations with exactly so many edits that agree at every sample point.

        At most `MAX_CANDIDATES_PER_LEVEL`, the cheapest first.  The edits of the precision models
        are not counted; several models must share one rounding of the sums and round the operands.
        With `stacked`, only combinations that have two edits of the input, of the kernel or of the
        output; without it, only the others.
        """
        found: list[Candidate] = []
        both = stacked and edits == MAX_OUTPUT_EDITS
        for op, _ in enumerate(self.forms.operations):
            for output_edits in range(min(edits, MAX_OUTPUT_EDITS if both else 1) + 1):
                for outputs in self.forms.output_groups(op, output_edits):
                    elsewhere = stacked and output_edits < MAX_OUTPUT_EDITS
                    found += self._agreeing(
                        op, outputs, edits - output_edits, precisions, elsewhere
                    )
        return sorted(found, key=lambda candidate: candidate.cost)[:MAX_CANDIDATES_PER_LEVEL]

    def value_pairs(self, edits: int, precision: PrecisionModel) -> list[Candidate]:
        """The combinations of so many edits of which two change the output's values one by one."""
        found: list[Candidate] = []
        for op, _ in enumerate(self.forms.operations):
            for outputs in self.forms.value_pair_groups(op):
                beside = edits - MAX_OUTPUT_EDITS
                found += self._agreeing(op, outputs, beside, [precision], stacked=False)
        return sorted(found, key=lambda candidate: candidate.cost)[:MAX_CANDIDATES_PER_LEVEL]

    def _agreeing(
        self,
        op: int,
        outputs: FormGroup[OutputForm],
        edits: int,
        precisions: Sequence[PrecisionModel],
        stacked: bool,
    ) -> Iterator[Candidate]:
        """Combinations of these outputs with so many edits elsewhere."""
        first = precisions[0]
        for batch in self.batches(op, outputs, edits, stacked=stacked):
            if not first.rounds_operands:
                agreeing = self.sample_filter(op, outputs, first).survivors(batch)
                yield from cheapest_candidates(batch, outputs, first, *agreeing)
                continue
            # Screened once for all models, with slack for any of them: few are left, and only
            # those are looked at with operands rounded.
            screened = self.sample_filter(op, outputs, first.screening_model).survivors(batch)
            for precision in precisions:
                agreeing = self.sample_filter(op, outputs, precision).confirmed(batch, *screened)
                yield from cheapest_candidates(batch, outputs, precision, *agreeing)

    def asked_may_agree(self, precision: PrecisionModel) -> bool:
        """Whether the asked convolution agrees at all sample points under a screening model."""
        screening = precision.screening_model
        return any(
            replace(self.sample_filter(0, outputs, screening), cheap_proof=False)
            .survivors(batch)[0]
            .size
            for outputs in self.forms.output_groups(0, 0)
            for batch in self.batches(0, outputs, 0, stacked=False)
        )

    @cached_property
    def asked_deviation(self) -> float:
        """How far the asked sums are from the obtained values, as a share of these.

        The median at the sample points, since the border may be wrong, with sums beyond the
        obtained range set to its ends.  Infinity where the asked convolution has another shape.
        """
        low, high = self.problem.obtained_range
        precision = PrecisionModel(self.problem.rounding)
        for outputs in self.forms.output_groups(0, 0):
            points = self.points(outputs)
            if not points:
                continue
            sample_filter = self.sample_filter(0, outputs, precision)
            for batch in self.batches(0, outputs, 0, stacked=False):
                every = np.arange(len(points))
                sums = sample_filter.sums_of(batch, np.zeros(1, int), every)
                values = np.array([float(bounds.value[0]) for bounds in sums])
                channels = [point.channel for point in points]
                values = np.clip(values + self.problem.channel_bias[channels], low, high)
                places = ((p.item, p.channel, *p.position) for p in points)
                index = [np.array(indices) for indices in zip(*places, strict=True)]
                obtained = outputs.arrays.gather(*index)[0]
                size = float(np.sqrt(np.square(obtained).mean())) or 1.0
                return float(np.median(np.abs(obtained - values))) / size
        return float(np.inf)

    def nearest(self, precision: PrecisionModel, points: int) -> Iterator[tuple[Candidate, int]]:
        """The best combinations of the asked operation with at most one edit.

        Yields, for each batch of combinations, the one that agrees at the most of the first sample
        `points`, and at how many it agrees.  Without a change of the values: any sum agrees with a
        value that was cut off.
        """
        for output_edits in (0, 1):
            for outputs in self.forms.output_groups(0, output_edits):
                if not self.points(outputs):
                    continue
                sample_filter = self.sample_filter(0, outputs, precision)
                unchanged = np.flatnonzero([form.change == UNCHANGED for form in outputs.forms])
                if not unchanged.size:
                    continue
                for batch in self.batches(0, outputs, 1 - output_edits, stacked=False):
                    counts, combinations = sample_filter.agreement_counts(batch, unchanged, points)
                    best, output = np.unravel_index(counts.argmax(), counts.shape)
                    chosen = np.array([combinations[best]]), np.array([unchanged[output]])
                    candidate = next(cheapest_candidates(batch, outputs, precision, *chosen))
                    yield candidate, int(counts.max())

    def sample_filter(
        self,
        op: int,
        outputs: FormGroup[OutputForm],
        precision: PrecisionModel,
        points: list[SamplePoint] | None = None,
    ) -> SampleFilter:
        """The filter for these outputs at their sample points.

        With other `points` it only computes sums there (`sums_of`): the intervals of the obtained
        values are those at the sample points.
        """
        # The groups live as long as the search: the form table keeps them.
        bias_is_rounded = precision.operand_format is not None
        key = id(outputs), precision.rounding, bias_is_rounded, precision.uses_kernel_max
        if key not in self._obtained:
            self._obtained[key] = ObtainedIntervals(
                outputs.forms,
                outputs.arrays,
                self.points(outputs),
                self.problem.channel_bias,
                precision,
            )
        spec = self.forms.spec(op)
        points = self.points(outputs) if points is None else points
        terms = math.prod(spec.kernel_size) * spec.in_channels // spec.groups
        return SampleFilter(
            points,
            channels_seen(points, spec),
            self._obtained[key],
            precision,
            terms,
            math.prod(outputs.shape) * terms <= CHEAP_PROOF_PRODUCTS,
            self._usual_norm,
        )

    @cached_property
    def _usual_norm(self) -> float:
        """The typical |window| |kernel| of the asked convolution, from above.

        |window| is taken as 2 sqrt(terms) times the median magnitude of the first item's nonzero
        values (the 2 allows for values above the median), |kernel| as the norm of all its weights.
        """
        x, w = (
            np.abs(array[:1, :, ...].astype(np.float64))
            for array in (self.problem.x, self.problem.w)
        )
        terms = math.prod(self.problem.w.shape[1:])
        nonzero = x[np.isfinite(x) & (x > 0)]
        window = float(np.median(nonzero) if nonzero.size else 0.0) * 2 * math.sqrt(terms)
        return window * float(np.sqrt(np.square(np.nan_to_num(w)).sum()))

    def batches(
        self,
        op: int,
        outputs: FormGroup[OutputForm],
        edits: int,
        *,
        stacked: bool,
        points: Sequence[SamplePoint] | None = None,
    ) -> Iterator[Batch]:
        """Every combination of the other stages with so many edits, for outputs of this shape.

        With its sums at the first two sample points, or at other `points` of one channel.  Those at
        the sample points are kept for other outputs, if they are not too many.
        """
        key = op, outputs.shape, edits, stacked
        if points is None and key in self._kept_batches:
            yield from self._kept_batches[key]
            return
        at = self.points(outputs)[:2] if points is None else points
        blocks: list[Block] = []
        keep = points is None
        for block in self._blocks(op, outputs, edits, stacked, at):
            blocks.append(block)
            if sum(each.size for each in blocks) > MAX_COMBINATIONS_AT_ONCE:
                keep = False
                yield from make_batches(blocks, MAX_COMBINATIONS_AT_ONCE)
                blocks = []
        rest = make_batches(blocks, MAX_COMBINATIONS_AT_ONCE)
        if keep:
            self._kept_batches[key] = rest
        yield from rest

    def _blocks(
        self,
        op: int,
        outputs: FormGroup[OutputForm],
        edits: int,
        stacked: bool,
        points: Sequence[SamplePoint],
    ) -> Iterator[Block]:
        # An output without a finite element has no sample points.
        if not points:
            return
        for shares in split_edits(edits, stacked, self.forms.operation_edits(op)):
            input_edits, kernel_edits, geometry_edits = shares
            for inputs, kernels in itertools.product(
                self.forms.input_groups(op, input_edits), self.forms.kernel_groups(op, kernel_edits)
            ):
                if inputs.shape[0] != outputs.shape[0]:
                    continue
                sizes = inputs.shape[2:], kernels.shape[2:], outputs.shape[2:]
                portion = max(1, MAX_COMBINATIONS_AT_ONCE // len(kernels.forms))
                for geometry in self.geometries(op, *sizes, geometry_edits, portion):
                    yield from self._multiplied(op, inputs, geometry, kernels, points)

    def _multiplied(
        self,
        op: int,
        inputs: FormGroup[InputForm],
        geometry: GeometryTable,
        kernels: FormGroup[KernelForm],
        points: Sequence[SamplePoint],
    ) -> Iterator[Block]:
        """Blocks with the sums of all of these at the points, the inputs in portions."""
        request = ProductRequest(
            points,
            channels_seen(points, self.forms.spec(op))[0],
            self._windows_at(geometry, kernels.shape[2:], inputs.shape[2:], points),
            kernels.kernel_rows(points[0].channel),
        )
        portion = max(1, MAX_COMBINATIONS_AT_ONCE // (len(geometry) * len(kernels.forms)))
        for part in _portions(inputs, portion):
            yield Block(part, geometry, kernels, multiply(part.arrays, request))

    def asked_geometry(self) -> GeometryTable | None:
        """The geometry that was asked; None if the obtained output has another shape."""
        spec = self.problem.spec
        if self.problem.obtained.shape != spec.shape("output"):
            return None
        sizes = spec.input_size, spec.kernel_size, spec.output_size
        tables = self.geometries(0, *sizes, 0, MAX_COMBINATIONS_AT_ONCE)
        return tables[0] if tables else None

    def geometries(
        self,
        op: int,
        input_size: tuple[int, ...],
        kernel_size: tuple[int, ...],
        output_size: tuple[int, ...],
        edits: int,
        portion: int = MAX_COMBINATIONS_AT_ONCE,
    ) -> list[GeometryTable]:
        """The geometries with so many edits that lead from these sizes to the output's.

        In tables of at most `portion` geometries.
        """
        asked, transposed = self.problem.spec, self.forms.spec(op).transposed
        sizes = input_size, kernel_size, output_size
        key = transposed, self._pad_value(op), *sizes, edits, portion
        if key not in self._geometries:
            numbers = AskedGeometry(
                transposed,
                asked.stride,
                asked.dilation,
                asked.padding,
                asked.output_padding,
                asked.pad_mode,
                self._pad_value(op),
            )
            table = enumerate_geometries(numbers, *sizes, asked.input_dilation, edits)
            self._geometries[key] = table.chunks(portion) if len(table) else []
        return self._geometries[key]

    def _pad_value(self, op: int) -> tuple[float, ...] | None:
        """What constant padding holds, for each input channel; None for zeros."""
        spec = self.forms.spec(op)
        if spec.transposed or self.problem.pad_value == 0:
            return None
        return values_of_channels(self.problem.pad_value, spec.in_channels)

    def _windows_at(
        self,
        geometry: GeometryTable,
        kernel_size: tuple[int, ...],
        input_size: tuple[int, ...],
        points: Sequence[SamplePoint],
    ) -> WindowTable:
        positions = tuple(point.position for point in points)
        key = id(geometry), positions, kernel_size, input_size
        if key not in self._windows:
            self._windows[key] = geometry.windows_at(positions, kernel_size, input_size)
        return self._windows[key]

    def points(self, outputs: FormGroup[OutputForm]) -> list[SamplePoint]:
        """The sample points of outputs of this shape; none where no element is finite."""
        shape = outputs.shape
        if shape not in self._points:
            self._points[shape] = choose_sample_points(outputs.arrays)
        return self._points[shape]


def channels_seen(points: Sequence[SamplePoint], spec: ConvSpec) -> list[slice]:
    """The input channels that the output channel of each point sees."""
    outer, inner = spec.out_channels // spec.groups, spec.in_channels // spec.groups
    starts = [point.channel // outer * inner for point in points]
    return [slice(start, start + inner) for start in starts]


def _portions(inputs: FormGroup[InputForm], step: int) -> Iterator[FormGroup[InputForm]]:
    if len(inputs.forms) <= step:
        yield inputs
        return
    for start in range(0, len(inputs.forms), step):
        yield FormGroup(inputs.forms[start : start + step])
