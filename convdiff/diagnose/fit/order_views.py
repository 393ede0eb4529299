"""Views under which an order of the input's channels may be fitted: geometry, kernels, outputs.

An `OrderView` is one geometry with all kernels and output forms that read the same windows and
leave the same obtained array: whatever order is fitted to them, they share the windows and the
values.  `OrderViews.level` gives the views of so many edits, those first whose geometry has the
best score (see `geometry_score`), by turns with the commonest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack, open_mesh
from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.core.output_change import UNCHANGED, OpenChange, PartialSums
from convdiff.diagnose.core.reordered import BATCH_AXIS, CHANNEL_AXIS, Reordered
from convdiff.diagnose.fit.geometry_score import InputSimilarity, comparison_points
from convdiff.diagnose.fit.linear_system import element_indices, ungrouped_kernel
from convdiff.diagnose.hypotheses.input import MAX_ENUMERATED_LENGTH
from convdiff.diagnose.search.batches import FormGroup
from convdiff.diagnose.search.engine import Search
from convdiff.diagnose.search.geometry_table import GeometryTable
from convdiff.diagnose.search.windows import SamplePoint, gather_windows
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# Output elements for each input channel of a group that is to be told from the others; and output
# positions at least.
ELEMENTS_PER_CHANNEL = 40
MIN_POSITIONS = 24
# Decimals to which scores are compared; below, the costs decide.
SCORE_DECIMALS = 4
# Multiplications that handling one view costs, whatever its size.
FIXED_MULTIPLICATIONS = 2e5

T = TypeVar("T")


class OrderViewMember(NamedTuple):
    """Kernels of one operation group, `at`, and output forms of one array, of a view."""

    at: int
    kernels: FormGroup[KernelForm]
    forms: list[OutputForm]


class OrderView(NamedTuple):
    """Geometry `number` of a table, with all members that share its windows and the output."""

    geometry: GeometryTable
    number: int
    members: list[OrderViewMember]

    @property
    def at(self) -> int:
        """The operation group of the first member."""
        return self.members[0].at

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """(O, I per group, *space) of the first member's kernels; all have one spatial size."""
        return self.members[0].kernels.shape

    @property
    def output(self) -> OutputForm:
        """Any of the output forms; all have one array."""
        return self.members[0].forms[0]

    def unknowns(self, channels: int) -> int:
        """The number of weights for one output channel, over so many input channels."""
        return channels * math.prod(self.kernel_shape[2:])


class OrderViews:
    """The views of one problem, and what is computed of them, made once for all that share it."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._made: dict[object, object] = {}

    def level(self, edits: int) -> Iterator[OrderView]:
        """The views with so many edits in the stages after the input, the most promising first."""
        self._made.clear()
        tables = self._tables(edits)
        if not tables:
            return
        scores = np.concatenate([self._scores(*table, edits) for table in tables])
        costs = np.concatenate(
            [geometry.costs + _least_cost(members) for geometry, members in tables]
        )
        starts = np.cumsum([0, *(len(geometry) for geometry, _ in tables)])
        best = np.lexsort((costs, -scores.round(SCORE_DECIMALS)))
        commonest = np.lexsort((-scores, costs))
        # By turns: a score of few elements is uncertain.
        by_turns = np.stack([best, commonest], axis=1).reshape(-1).tolist()
        seen: set[tuple[object, ...]] = set()
        for flat in dict.fromkeys(by_turns):
            which = int(np.searchsorted(starts, flat, "right")) - 1
            geometry, members = tables[which]
            view = OrderView(geometry, flat - int(starts[which]), members)
            # Geometries that read the same windows are one view; without edits there is only one.
            label = self._window_label(view) if edits else None
            if label is None or label not in seen:
                seen.add(label or ())
                yield view

    def _tables(self, edits: int) -> list[tuple[GeometryTable, list[OrderViewMember]]]:
        """Geometry tables with the members of their views."""
        tables: dict[object, tuple[GeometryTable, list[OrderViewMember]]] = {}
        for at, kernels, geometry, forms in self._combinations(edits):
            by_array: dict[int, list[OutputForm]] = {}
            for form in forms:
                by_array.setdefault(id(form.array), []).append(form)
            for array, alike in by_array.items():
                key = id(geometry), kernels.shape[2:], array
                members = tables.setdefault(key, (geometry, []))[1]
                members.append(OrderViewMember(at, kernels, alike))
        return list(tables.values())

    def _combinations(
        self, edits: int
    ) -> Iterator[tuple[int, FormGroup[KernelForm], GeometryTable, list[OutputForm]]]:
        """Operation groups, kernels, geometries and outputs with so many edits in all.

        Beside an order of the channels no stage has two edits.
        """
        forms = self.search.forms
        for at, _ in enumerate(forms.operations):
            inputs, operation_edits = forms.input_groups(at, 0), forms.operation_edits(at)
            for output_edits, kernel_edits, geometry_edits in itertools.product(
                range(2), range(3), range(2)
            ):
                own = kernel_edits - operation_edits
                total = output_edits + kernel_edits + geometry_edits
                if not inputs or total != edits or not 0 <= own <= 1:
                    continue
                for outputs, kernels in itertools.product(
                    forms.output_groups(at, output_edits), forms.kernel_groups(at, kernel_edits)
                ):
                    if outputs.shape[0] != inputs[0].shape[0]:
                        continue
                    readable = [form for each in outputs.forms for form in _readable(each)]
                    if not readable:
                        continue
                    sizes = inputs[0].shape[2:], kernels.shape[2:], outputs.shape[2:]
                    for geometry in self.search.geometries(at, *sizes, geometry_edits):
                        yield at, kernels, geometry, readable

    def _scores(self, geometry: GeometryTable, members: list[OrderViewMember], edits: int) -> Array:
        """(geometries,): the score of each geometry of a table; 0 where there is no choice."""
        if not edits:
            return np.zeros(len(geometry))
        return self._similarity(geometry, members).alignment(members[0].forms[0].array)

    def _window_label(self, view: OrderView) -> tuple[object, ...]:
        """Equal for views that read the same windows and have the same output array."""
        labels = self._similarity(view.geometry, view.members).window_labels
        return labels[view.number], id(view.output.array), view.at

    def _similarity(
        self, geometry: GeometryTable, members: list[OrderViewMember]
    ) -> InputSimilarity:
        x, taps = self._input(members[0].at).array, members[0].kernels.shape[2:]
        shape = members[0].forms[0].array.shape
        points = self.once(
            ("comparison points", shape), lambda: comparison_points(shape, x.size // x.shape[1])
        )
        return self.once((id(geometry), taps), lambda: InputSimilarity(x, points, geometry, taps))

    def _input(self, at: int) -> InputForm:
        """The input as it was asked."""
        (form,) = self.search.forms.inputs(at, 0)
        return form

    def work(self, view: OrderView) -> float:
        """About how many multiplications a fit under this view takes."""
        out_channels, _, *taps = view.kernel_shape
        channels = self.search.problem.spec.in_channels
        windows = self.positions(view) * channels * math.prod(taps)
        return windows * (out_channels + channels) + FIXED_MULTIPLICATIONS

    def positions(self, view: OrderView, least: int = MIN_POSITIONS) -> int:
        """How many output positions, of all batch items, are looked at.

        At least so many, if there are.
        """
        spec, shape = self.search.forms.spec(view.at), view.output.array.shape
        wanted = math.ceil(ELEMENTS_PER_CHANNEL * spec.in_channels / spec.out_channels)
        return min(max(wanted, least), shape[0] * math.prod(shape[2:]))

    def windows(self, view: OrderView, count: int | None = None) -> Array:
        """(positions, C, taps): the windows at `count` output positions."""
        shape, count = view.output.array.shape, count or self.positions(view)
        key = shape, count, id(view.geometry), view.number, view.kernel_shape[2:]
        return self.once(key, lambda: self._windows(view, shape, count))

    def _windows(self, view: OrderView, shape: tuple[int, ...], count: int) -> Array:
        x = self._input(view.at)
        item, _, *space = self._chosen(shape, count)
        positions = zip(*(axis.tolist() for axis in space), strict=True)
        points = [SamplePoint(i, 0, p) for i, p in zip(item.tolist(), positions, strict=True)]
        table = view.geometry.select(np.array([view.number])).windows_at(
            [point.position for point in points], view.kernel_shape[2:], x.size
        )
        channels = x.array.shape[1]
        windows = gather_windows(ArrayViewStack([x.array]), slice(0, channels), points, table)
        return windows[0, :, 0].reshape(count, channels, -1)

    def obtained(self, view: OrderView, count: int | None = None) -> Array:
        """(O, positions): the obtained values at as many output positions."""
        array, count = view.output.array, count or self.positions(view)
        item, _, *space = self._chosen(array.shape, count)
        index = item[None], np.arange(array.shape[1])[:, None], *(axis[None] for axis in space)
        return self.once(
            ("obtained", count, id(array)), lambda: ArrayViewStack([array]).gather(*index)[0]
        )

    def partial_sums(self, view: OrderView, form: OutputForm) -> PartialSums:
        """The sums (O, positions) as far as the form's values give them."""
        sums = form.change.partial_sums(self.obtained(view))
        assert sums is not None
        bias = self.search.problem.channel_bias
        # Elsewhere a constant per channel is left open in any case.
        fixed = sums.cut is not None or sums.counted
        if fixed and bias.size == len(sums.values):
            sums = sums._replace(values=sums.values - form.bias_factor * bias[:, None])
        return sums

    def _chosen(self, shape: tuple[int, ...], count: int) -> list[Array]:
        """Indices of `count` random output positions along every axis of (N, O, *space)."""

        def choose() -> list[Array]:
            every = shape[0] * math.prod(shape[2:])
            drawn = np.random.default_rng(14).permutation(every)[:count]
            return element_indices(drawn, shape, channel=0)

        return self.once(("positions", shape, count), choose)

    def once(self, key: object, make: Callable[[], T]) -> T:
        """The result of `make()`, cached under `key`."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]  # type: ignore[assignment]
        return made


def dense_kernel(kernel: KernelForm) -> Array:
    """(O, C, taps): the kernel over all input channels, 0 outside each group."""
    spec = kernel.operation.spec
    weights = kernel.array.to_array().astype(np.float64)
    dense = ungrouped_kernel(weights, spec.groups, spec.in_channels)
    return dense.reshape(*dense.shape[:2], -1)


def _least_cost(members: Sequence[OrderViewMember]) -> float:
    return min(
        float(member.kernels.costs.min()) + min(form.cost for form in member.forms)
        for member in members
    )


def channel_of(kernels: FormGroup[KernelForm], channel: int, spec: ConvSpec) -> tuple[Array, slice]:
    """(kernels, O of a group, taps): the weights for one input channel, and the output channels."""
    inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
    group = channel // inner
    outputs = slice(group * outer, (group + 1) * outer)
    mesh = open_mesh(
        [
            np.arange(outputs.start, outputs.stop),
            np.array([channel % inner]),
            *map(np.arange, kernels.shape[2:]),
        ]
    )
    return kernels.arrays.gather(*mesh).reshape(len(kernels.forms), outer, -1), outputs


def is_channel_order(form: OutputForm) -> bool:
    """Whether the form leaves the order of the output's channels open."""
    return isinstance(form.change, OpenChange) and form.change.axis == CHANNEL_AXIS


def _readable(form: OutputForm) -> list[OutputForm]:
    """The form if an order of the input's channels can be fitted under it, else none.

    Of a few batch items in any order, one form for each order.
    """
    change, items = form.change, form.array.shape[0]
    if not (
        isinstance(change, Reordered)
        and change.axis == BATCH_AXIS
        and items <= MAX_ENUMERATED_LENGTH
    ):
        return [] if change.partial_sums(np.zeros((1, 1))) is None else [form]
    settled = []
    for order in itertools.islice(itertools.permutations(range(items)), 1, None):
        edits = tuple(
            {**edit, "permutation": list(order)} if edit["code"] == change.code else edit
            for edit in form.edits
        )
        array = form.array.select(0, np.argsort(order))
        settled.append(replace(form, edits=edits, change=UNCHANGED, array=array))
    return settled
