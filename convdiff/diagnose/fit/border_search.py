"""What changed the border alone: other numbers in the padding than asked, or an average there.

In the interior, where no window reaches the padding, such a change does nothing.  So combinations
are held against elements of the interior alone, and the few that agree there are left to the proof.
It reads the numbers in the padding off the border (`core/padded_with.py`), or divides by how much
of each window lies inside the input (`core/averaged.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from convdiff.diagnose.core.averaged import Averaged
from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.core.output_change import FittedChange
from convdiff.diagnose.core.padded_with import PaddedWith
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.geometry import WrongPadValue
from convdiff.diagnose.hypotheses.output_part import AveragedByCount
from convdiff.diagnose.search.batches import FormGroup
from convdiff.diagnose.search.candidate import (
    MAX_CANDIDATES_PER_LEVEL,
    Candidate,
    cheapest_candidates,
)
from convdiff.diagnose.search.engine import Search, channels_seen
from convdiff.diagnose.search.filter import SampleFilter
from convdiff.diagnose.search.geometry_table import TRIED_PAD_MODES, GeometryTable
from convdiff.diagnose.search.intervals import ObtainedIntervals
from convdiff.diagnose.search.windows import SamplePoint, gather_windows_by_row, row_norms
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.spec.pad_mode import pad_modes_of_axes
from convdiff.spec.padding import kernel_span

# Pairs of elements of the interior at which combinations must agree, and the elements drawn for
# each, of which one that is not zero is taken.
POINT_PAIRS, DRAWS = 8, 6
# The most edits beside that of the border.
MAX_OTHER_EDITS = 2


class BorderSearch:
    """Candidates that differ from others at the border."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._points: dict[tuple[int, ...], list[SamplePoint]] = {}

    def level(self, edits: int, precision: PrecisionModel) -> Iterator[Candidate]:
        """Candidates with so many edits, that of the border among them."""
        others = edits - 1
        if not 0 <= others <= MAX_OTHER_EDITS:
            return
        if others == 0:
            # A single proof, which needs no interior.
            yield from self._as_asked(precision)
            return
        if self.search.problem.spec.transposed:
            return
        if others == 1:
            yield from self._with_other_windows(precision)
        for op, _ in enumerate(self.search.forms.operations):
            if self.search.forms.spec(op).transposed:
                continue
            for output_edits in range(min(others, 1) + 1):
                for outputs in self.search.forms.output_groups(op, output_edits):
                    yield from self._in_group(op, outputs, others - output_edits, precision)

    def beside_rounded_operands(self, precisions: Sequence[PrecisionModel]) -> Iterator[Candidate]:
        """Candidates as asked but for the padding, under the models that agree in the interior."""
        spec = self.search.problem.spec
        if spec.transposed or not precisions:
            return
        for outputs in self.search.forms.output_groups(0, 0):
            points = self._interior_points(outputs)
            for batch in self.search.batches(0, outputs, 0, stacked=False, points=points[:2]):
                if not points:
                    continue
                screening = self._filter(0, outputs, points, precisions[0].screening_model)
                screened = screening.survivors(batch)
                for precision in precisions if screened[0].size else ():
                    sample_filter = self._filter(0, outputs, points, precision)
                    agreeing = sample_filter.confirmed(batch, *screened)
                    for candidate in cheapest_candidates(batch, outputs, precision, *agreeing):
                        if _may_hold_numbers(candidate, self.search.problem.spec):
                            yield from _changed_at_border(candidate, self.search.problem)

    def _as_asked(self, precision: PrecisionModel) -> Iterator[Candidate]:
        geometry, groups = self.search.asked_geometry(), self.search.forms.output_groups(0, 0)
        if geometry is None or not groups:
            return
        (x,), (w,) = self.search.forms.inputs(0, 0), self.search.forms.kernels(0, 0)
        for output in groups[0].forms:
            cost = output.cost + precision.cost
            candidate = Candidate(x, w, geometry.form(0), output, precision, cost)
            if _may_hold_numbers(candidate, self.search.problem.spec):
                yield from _changed_at_border(candidate, self.search.problem)

    def _with_other_windows(self, precision: PrecisionModel) -> Iterator[Candidate]:
        """Candidates of the asked operation with one other edit, of the geometry.

        Each geometry is held against elements of its own interior.
        """
        search = self.search
        inputs, kernels = search.forms.input_groups(0, 0)[:1], search.forms.kernel_groups(0, 0)[:1]
        for outputs in search.forms.output_groups(0, 0):
            if not inputs or inputs[0].shape[0] != outputs.shape[0]:
                continue
            (x,), (w,) = inputs, kernels
            for table in search.geometries(0, x.shape[2:], w.shape[2:], outputs.shape[2:], 1):
                numbers = np.flatnonzero(_have_constant_padding(table))
                first, last = _interiors(table, numbers, w.shape[2:], x.shape[2:], outputs.shape)
                has_interior = (first <= last).all(axis=1)
                numbers, first, last = (a[has_interior] for a in (numbers, first, last))
                generator = np.random.default_rng(13)
                for _ in range(2 * POINT_PAIRS):
                    if not numbers.size:
                        break
                    item, channel = generator.integers(outputs.shape[:2])
                    span = last - first + 1
                    place = first + (generator.random(first.shape) * span).astype(int)
                    agree = self._agree(
                        (x, w, outputs), table, numbers, (int(item), int(channel), place), precision
                    )
                    numbers, first, last = (a[agree] for a in (numbers, first, last))
                for number in numbers[:MAX_CANDIDATES_PER_LEVEL].tolist():
                    geometry = table.form(number)
                    cost = geometry.cost + precision.cost
                    candidate = Candidate(
                        x.forms[0], w.forms[0], geometry, outputs.forms[0], precision, cost
                    )
                    if _may_hold_numbers(candidate, search.problem.spec):
                        yield from _changed_at_border(candidate, search.problem)

    def _agree(
        self,
        groups: tuple[FormGroup[InputForm], FormGroup[KernelForm], FormGroup[OutputForm]],
        table: GeometryTable,
        numbers: Array,
        element: tuple[int, int, Array],
        precision: PrecisionModel,
    ) -> Array:
        """Which geometries give what was obtained, each at a position of its own."""
        (x, w, outputs), (item, channel, places) = groups, element
        points = [SamplePoint(item, channel, tuple(places[0].tolist()))]
        sample_filter = self.search.sample_filter(0, outputs, precision, points)
        (seen,) = sample_filter.channels
        count = len(numbers)
        windows = gather_windows_by_row(
            x.arrays,
            np.zeros(count, int),
            np.full(count, item),
            np.broadcast_to(np.arange(seen.start, seen.stop), (count, seen.stop - seen.start)),
            table.windows_by_row(numbers, places, w.shape[2:], x.shape[2:]),
        )
        kernel = w.kernel_rows(channel)
        sums = windows @ kernel.values[0] + self.search.problem.channel_bias[channel]
        index = [np.full(count, item), np.full(count, channel), *places.T]
        obtained = outputs.arrays.gather(*index)[0]
        bias = np.abs(self.search.problem.channel_bias[channel])
        slack = sample_filter.slack(row_norms(windows) * kernel.norms[0] + bias)
        slack = slack + precision.rounding.storage_error(sums)
        return np.asarray(np.abs(obtained - sums) <= slack)

    def _in_group(
        self, op: int, outputs: FormGroup[OutputForm], edits: int, precision: PrecisionModel
    ) -> Iterator[Candidate]:
        forms = [
            form
            for form in outputs.forms
            if not isinstance(form.change, FittedChange) and not form.relu_before
        ]
        if not forms:
            return
        group = FormGroup(forms)
        points = self._interior_points(group)
        if not points:
            return
        sample_filter = self._filter(op, group, points, precision, like=outputs)
        for batch in self.search.batches(op, outputs, edits, stacked=False, points=points[:2]):
            agreeing = sample_filter.survivors(batch)
            for candidate in cheapest_candidates(batch, group, precision, *agreeing):
                if _may_hold_numbers(candidate, self.search.problem.spec):
                    yield from _changed_at_border(candidate, self.search.problem)

    def _filter(
        self,
        op: int,
        outputs: FormGroup[OutputForm],
        points: list[SamplePoint],
        precision: PrecisionModel,
        like: FormGroup[OutputForm] | None = None,
    ) -> SampleFilter:
        """The filter of these outputs, some of a group that they are `like`, in the interior."""
        intervals = ObtainedIntervals(
            outputs.forms, outputs.arrays, points, self.search.problem.channel_bias, precision
        )
        return replace(
            self.search.sample_filter(op, like or outputs, precision, points),
            channels=channels_seen(points, self.search.forms.spec(op)),
            obtained=intervals,
            cheap_proof=False,
        )

    def _interior_points(self, outputs: FormGroup[OutputForm]) -> list[SamplePoint]:
        """Elements of the interior in pairs of one channel; none where there is no interior."""
        shape = outputs.shape
        if shape not in self._points:
            self._points[shape] = _interior_points(outputs, self.search.problem.spec)
        return self._points[shape]


def _interiors(
    table: GeometryTable,
    numbers: Array,
    taps: tuple[int, ...],
    input_size: tuple[int, ...],
    shape: tuple[int, ...],
) -> tuple[Array, Array]:
    """The first and the last position whose window lies inside the input, (geometries, axes)."""
    ends = []
    for axis, choices in enumerate(table.choices[numbers].T):
        stride, lo, dilation, input_dilation = (
            each.reshape(-1) for each in table.axes[axis].correlation[:, choices]
        )
        room = (input_size[axis] - 1) * input_dilation - (taps[axis] - 1) * dilation + lo
        ends.append(
            (np.maximum(-(-lo // stride), 0), np.minimum(room // stride, shape[2 + axis] - 1))
        )
    first, last = (np.stack(each, axis=-1) for each in zip(*ends, strict=True))
    return first, last


def _interior_points(outputs: FormGroup[OutputForm], spec: ConvSpec) -> list[SamplePoint]:
    shape = outputs.shape
    middles = [_middle(spec, axis, size) for axis, size in enumerate(shape[2:])]
    if not all(map(len, middles)):
        return []
    generator = np.random.default_rng(11)
    counts = POINT_PAIRS, 2, DRAWS
    channel = np.broadcast_to(generator.integers(shape[1], size=(POINT_PAIRS, 1, 1)), counts)
    drawn = [generator.integers(shape[0], size=counts), channel]
    drawn += [np.array(middle)[generator.integers(len(middle), size=counts)] for middle in middles]
    index = [each.reshape(-1, DRAWS) for each in drawn]
    values = outputs.arrays.gather(*index)[0]
    best = (np.isfinite(values) * (1 + (values != 0))).argmax(axis=1)
    rows = np.arange(len(best))
    if not np.isfinite(values[rows, best]).all():
        return []
    item, channels, *position = (each[rows, best].tolist() for each in index)
    places = zip(*position, strict=True)
    return [SamplePoint(i, c, place) for i, c, place in zip(item, channels, places, strict=True)]


def _middle(spec: ConvSpec, axis: int, size: int) -> range:
    """Output positions whose windows lie inside the input, those in the middle if there are many.

    As asked; where the output has another size, as if the padding were the same at both ends.
    """
    n = (spec.input_size[axis] - 1) * spec.input_dilation[axis] + 1
    stride, (lo, _) = spec.stride[axis], spec.padding[axis]
    span = kernel_span(spec.kernel_size[axis], spec.dilation[axis])
    if size != spec.output_size[axis]:
        lo = max((size - 1) * stride + span - n, 0) // 2
    first, last = max(-(-lo // stride), 0), min((n - span + lo) // stride, size - 1)
    # Another padding, stride or dilation leaves less.
    spare = (last + 1 - first) // 4
    return range(first + spare, last + 1 - spare)


def _have_constant_padding(table: GeometryTable) -> Array:
    """(geometries,): whose padding is constant along all axes, or where it was asked."""
    modes = [("constant",) * len(table.axes)]
    if "constant" in table.asked.pad_mode:
        modes.append(pad_modes_of_axes(table.asked.pad_mode, len(table.axes)))
    numbers = [[TRIED_PAD_MODES.index(mode) for mode in each] for each in dict.fromkeys(modes)]
    return np.asarray(np.any([(table.pad_modes == each).all(axis=1) for each in numbers], axis=0))


def _may_hold_numbers(candidate: Candidate, spec: ConvSpec) -> bool:
    """Whether some window may reach constant padding, along all axes or where it was asked."""
    geometry = candidate.geometry
    modes = pad_modes_of_axes(geometry.mode, len(geometry.axes))
    return geometry.mode in ("constant", spec.pad_mode) and any(
        mode == "constant" and (axis.lo > 0 or axis.hi > 0)
        for mode, axis in zip(modes, geometry.axes, strict=True)
    )


def _changed_at_border(candidate: Candidate, problem: Problem) -> Iterator[Candidate]:
    """The candidate with numbers in its padding that are still to be read off, and averaged.

    The padding holds zeros in both: until the numbers are read off, and since it does not count.
    """
    output, then = candidate.output, candidate.output.change
    geometry = replace(candidate.geometry, pad_value=0)
    # What surrounds the input of a transposed convolution is no padding that could be filled.
    if not candidate.operation.spec.transposed:
        numbers = problem.spec.pad_value
        edit = {
            "code": WrongPadValue.code,
            "asked": list(numbers) if isinstance(numbers, tuple) else numbers,
        }
        yield replace(
            candidate,
            geometry=geometry.plus(edit, WrongPadValue.oddness),
            output=replace(output, change=PaddedWith(then, candidate.geometry.pad_value)),
            cost=candidate.cost + 1 + WrongPadValue.oddness,
        )
    oddness = AveragedByCount.oddness
    averaged = output.plus({"code": AveragedByCount.code}, oddness, change=Averaged(then))
    cost = candidate.cost + 1 + oddness
    yield replace(candidate, geometry=geometry, output=averaged, cost=cost)
