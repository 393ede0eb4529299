"""What an order of the input's channels may be read under: geometries, kernels and outputs, those
first that the output speaks for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack, open_mesh
from convdiff.diagnose.core.forms import KernelForm, OutputForm
from convdiff.diagnose.core.output_change import UNCHANGED, PartialSums
from convdiff.diagnose.core.reordered import BATCH_AXIS, Reordered
from convdiff.diagnose.fit.geometry_score import InputSimilarity, comparison_points
from convdiff.diagnose.fit.linear_system import element_indices, ungrouped_kernel
from convdiff.diagnose.hypotheses.input import MAX_ENUMERATED_LENGTH
from convdiff.diagnose.search.batches import FormGroup
from convdiff.diagnose.search.engine import Search
from convdiff.diagnose.search.geometry_table import GeometryTable
from convdiff.diagnose.search.windows import SamplePoint, gather_windows
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# Output elements for each channel that is to be told from the others of its group.
SURE = 40
FEWEST = 24
# Decimals to which two of them speak as loudly.
ALIKE = 4

T = TypeVar("T")


class OrderViewMember(NamedTuple):
    """Kernels of some operations that an order may be read under, and what the output may have gone
    through, one array.
    """

    at: int
    kernels: FormGroup[KernelForm]
    forms: list[OutputForm]


class OrderView(NamedTuple):
    """All that meets the same windows, and makes the same output of them."""

    geometry: GeometryTable
    number: int
    members: list[OrderViewMember]

    @property
    def kernels(self) -> FormGroup[KernelForm]:
        """Any of the kernels; all have one size."""
        return self.members[0].kernels

    def unknowns(self, channels: int) -> int:
        """Weights for one output channel, over all the input's channels."""
        return channels * math.prod(self.kernels.shape[2:])

    @property
    def output(self) -> OutputForm:
        """Any of the outputs; all are one array."""
        return self.members[0].forms[0]


class OrderViews:
    """Everything there is to look at in one problem."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._made: dict[object, Any] = {}

    def level(self, edits: int) -> Iterator[OrderView]:
        """Everything with so many edits in the stages after the input, that first which the output
        speaks for (see `aligning.py`).
        """
        self._made.clear()
        alike: dict[object, tuple[GeometryTable, list[OrderViewMember]]] = {}
        for at, w, geometry, forms in self._combined(edits):
            arrays: dict[int, list[OutputForm]] = {}
            for form in forms:
                arrays.setdefault(id(form.array), []).append(form)
            for key, same in arrays.items():
                alike.setdefault((id(geometry), w.shape[2:], key), (geometry, []))[1].append(
                    OrderViewMember(at, w, same)
                )
        found = [*alike.values()]
        told = np.concatenate([np.zeros(0), *(self._alignments(*each, edits) for each in found)])
        costs = np.concatenate(
            [np.zeros(0), *(geometry.costs + _least(members) for geometry, members in found)]
        )
        starts = np.cumsum([0, *(len(geometry) for geometry, _ in found)])
        done: set[tuple[object, ...]] = set()
        # Those that the output speaks for and the commonest by turns: few elements speak softly.
        loud, common = np.lexsort((costs, -told.round(ALIKE))), np.lexsort((-told, costs))
        for flat in dict.fromkeys(np.stack([loud, common], axis=1).reshape(-1).tolist()):
            which = int(np.searchsorted(starts, flat, "right")) - 1
            geometry, members = found[which]
            look = OrderView(geometry, flat - int(starts[which]), members)
            # Another name for a place that was looked at already is none that is needed.
            name = self._name(look) if edits else None
            if name is None or name not in done:
                done.add(name or ())
                yield look

    def _name(self, look: OrderView) -> tuple[object, ...]:
        """The same for looks at the same windows and the same output."""
        return (
            self._seen(look.geometry, look.members).window_labels[look.number],
            id(look.output.array),
            look.members[0].at,
        )

    def _alignments(
        self, geometry: GeometryTable, members: list[OrderViewMember], edits: int
    ) -> Array:
        """How much the output speaks for each geometry; nothing where there is no choice."""
        if not edits:
            return np.zeros(len(geometry))
        return self._seen(geometry, members).alignment(members[0].forms[0].array)

    def _seen(self, geometry: GeometryTable, members: list[OrderViewMember]) -> InputSimilarity:
        shape, taps = members[0].forms[0].array.shape, members[0].kernels.shape[2:]
        (x,) = self.search.forms("inputs", members[0].at, 0)
        points = self.once(
            ("compared", shape), lambda: comparison_points(shape, x.array.size // x.array.shape[1])
        )
        seen: InputSimilarity = self.once(
            (id(geometry), taps), lambda: InputSimilarity(x.array, points, geometry, taps)
        )
        return seen

    def _combined(
        self, edits: int
    ) -> Iterator[tuple[int, FormGroup[KernelForm], GeometryTable, list[OutputForm]]]:
        """Operations, kernels, geometries and outputs that go together and have so many edits in
        all.
        """
        search = self.search
        for at, operations in enumerate(search.operations):
            x = search.groups("inputs", at, 0)
            base = min(len(operation.edits) for operation in operations)
            for outputs, kernels, changed in itertools.product(range(2), range(3), range(2)):
                # Beside an order of the channels no two are of one stage.
                if not x or outputs + kernels + changed != edits or not base <= kernels <= base + 1:
                    continue
                for y, w in itertools.product(
                    search.output_groups(at, outputs), search.groups("kernels", at, kernels)
                ):
                    if y.shape[0] != x[0].shape[0]:
                        continue
                    forms = [form for each in y.forms for form in _readable(each)]
                    for geometry in (
                        search.geometries(
                            at, x[0].shape[2:], w.shape[2:], y.shape[2:], changed, 1 << 20
                        )
                        if forms
                        else ()
                    ):
                        yield at, w, geometry, forms

    def work(self, look: OrderView) -> float:
        """About how many multiplications it takes."""
        outer, _, *taps = look.kernels.shape
        channels = self.search.problem.spec.in_channels
        return self.places(look) * channels * math.prod(taps) * (outer + channels) + 2e5

    def places(self, look: OrderView, least: int = FEWEST) -> int:
        """How many output positions, of all batch items, are looked at; at least so many, if there
        are.
        """
        spec = self.search.operations[look.members[0].at][0].spec
        shape = look.output.array.shape
        wanted = math.ceil(SURE * spec.in_channels / spec.out_channels)
        return min(max(wanted, least), shape[0] * math.prod(shape[2:]))

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` makes, made once for all trials that share it."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def windows(self, look: OrderView, count: int | None = None) -> Array:
        """(places, C, taps): what the kernels meet, at `count` places."""
        shape, count = look.output.array.shape, count or self.places(look)
        key = shape, count, id(look.geometry), look.number, look.kernels.shape[2:]
        made: Array = self.once(key, lambda: self._met(look, shape, count))
        return made

    def _met(self, look: OrderView, shape: tuple[int, ...], count: int) -> Array:
        (x,) = self.search.forms("inputs", look.members[0].at, 0)
        item, _, *place = self.once((shape, count), lambda: _chosen(shape, count))
        points = [
            SamplePoint(i, 0, p)
            for i, p in zip(
                item.tolist(), zip(*(each.tolist() for each in place), strict=True), strict=True
            )
        ]
        where = look.geometry.select(np.array([look.number])).windows_at(
            [point.position for point in points], look.kernels.shape[2:], x.size
        )
        channels = x.array.shape[1]
        return gather_windows(ArrayViewStack([x.array]), slice(0, channels), points, where)[
            0, :, 0
        ].reshape(count, channels, -1)

    def obtained(self, look: OrderView, count: int | None = None) -> Array:
        """(O, places): what was obtained."""
        array, count = look.output.array, count or self.places(look)
        item, _, *place = self.once((array.shape, count), lambda: _chosen(array.shape, count))
        made: Array = self.once(
            ("obtained", count, id(array)),
            lambda: ArrayViewStack([array]).gather(
                item[None], np.arange(array.shape[1])[:, None], *(each[None] for each in place)
            )[0],
        )
        return made

    def partial_sums(self, look: OrderView, form: OutputForm) -> PartialSums:
        """The sums (O, places) as far as the form's values give them."""
        sums = form.change.partial_sums(self.obtained(look))
        assert sums is not None
        bias = self.search.problem.channel_bias
        # Elsewhere a constant per channel is left open in any case.
        fixed = sums.cut is not None or sums.counted
        if fixed and bias.size == len(sums.values):
            sums = sums._replace(values=sums.values - form.bias_factor * bias[:, None])
        return sums


def _chosen(shape: tuple[int, ...], count: int) -> list[Array]:
    """Indices of so many output positions along every axis."""
    return element_indices(
        np.random.default_rng(14).permutation(shape[0] * math.prod(shape[2:]))[:count],
        shape,
        channel=0,
    )


def dense_kernel(kernel: KernelForm) -> Array:
    """(O, C, taps)."""
    spec = kernel.operation.spec
    made = ungrouped_kernel(
        kernel.array.to_array().astype(np.float64), spec.groups, spec.in_channels
    )
    return made.reshape(*made.shape[:2], -1)


def _least(members: list[OrderViewMember]) -> float:
    """What the cheapest of them costs."""
    return min(
        float(member.kernels.costs.min()) + min(form.cost for form in member.forms)
        for member in members
    )


def channel_of(kernels: FormGroup[KernelForm], channel: int, spec: ConvSpec) -> tuple[Array, slice]:
    """(kernels, O of a group, taps): what each kernel has for one of the input's channels, and for
    which of the output's.
    """
    inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
    group = channel // inner
    made = slice(group * outer, (group + 1) * outer)
    axes = open_mesh(
        [
            np.arange(made.start, made.stop),
            np.array([channel % inner]),
            *map(np.arange, kernels.shape[2:]),
        ]
    )
    return kernels.arrays.gather(*axes).reshape(len(kernels.forms), outer, -1), made


def _readable(form: OutputForm) -> list[OutputForm]:
    """The form if an order of the input's channels can be read under it, else none.

    Of a few batch items in any order, one form for each order.
    """
    change, items = form.change, form.array.shape[0]
    if not (
        isinstance(change, Reordered)
        and change.axis == BATCH_AXIS
        and items <= MAX_ENUMERATED_LENGTH
    ):
        probed = change.partial_sums(np.zeros((1, 1)))
        return [] if probed is None else [form]
    settled = []
    for order in itertools.islice(itertools.permutations(range(items)), 1, None):
        edits = tuple(
            {**edit, "permutation": list(order)} if edit["code"] == change.code else edit
            for edit in form.edits
        )
        array = form.array.select(0, np.argsort(order))
        settled.append(replace(form, edits=edits, change=UNCHANGED, array=array))
    return settled
