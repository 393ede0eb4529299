"""The input's channels in an unknown order, alone or beside one or two other edits: it is read off the output (see `ordering.py`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from convdiff.diagnose.activations import limits_of
from convdiff.diagnose.blocks import Group
from convdiff.diagnose.candidate import Candidate
from convdiff.diagnose.equations import dense, elements
from convdiff.diagnose.fitted import OutputBatchPermuted
from convdiff.diagnose.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.geometries import Geometries
from convdiff.diagnose.inputs import ENUMERATED, dealings
from convdiff.diagnose.making import Making
from convdiff.diagnose.ordering import TRIED, order_of_channels
from convdiff.diagnose.placed import Bundle
from convdiff.diagnose.search import Search
from convdiff.diagnose.windows import Point, windows
from convdiff.layout import Array

# Channels of which every order is tried where nothing else went wrong.
TRIED_ALONE = 8
# Output elements for each channel that is to be told from the others of its group.
SURE = 40
FEWEST = 24
# Multiplications that all trials of each number of edits may cost; the likeliest are tried.
MOST_WORK = {1: 4e8, 2: 1e8, 3: 6e7}
# What the output may have gone through.
KINDS = ("plain", "offset", "factor", "relu")

T = TypeVar("T")


class Trial(NamedTuple):
    """A combination to read the order under."""

    at: int
    kernel: KernelForm
    geometry: Geometries
    number: int
    output: OutputForm


class OrderedInput:
    """Explanations with the input's channels permuted, and at most two other edits."""

    def __init__(self, search: Search, makings: Sequence[Making]) -> None:
        self.search = search
        self.makings = makings
        self._made: dict[object, Any] = {}

    def level(self, edits: int) -> Iterator[Candidate]:
        """Candidates with so many edits, the permutation among them."""
        problem = self.search.problem
        if not 1 <= edits <= 3 or problem.spec.in_channels <= ENUMERATED or not np.isfinite(problem.obtained).all():
            return
        self._made.clear()
        work = 0.0
        for trial in self._trials(edits - 1):
            work += self._work(trial)
            if work > MOST_WORK[edits]:
                return
            yield from self._read(trial, TRIED_ALONE if edits == 1 else TRIED)

    def _trials(self, edits: int) -> Iterator[Trial]:
        """Everything with so many edits in the stages after the input, the likeliest first."""
        kinds = list(self._combined(edits))
        costs = [
            np.add.outer(np.add.outer(w.costs, np.array([form.cost for form in forms])), geometry.costs) for _, w, geometry, forms in kinds
        ]
        starts = np.cumsum([0, *(each.size for each in costs)])
        for flat in np.argsort(np.concatenate([np.zeros(0), *(each.reshape(-1) for each in costs)]), kind="stable").tolist():
            kind = int(np.searchsorted(starts, flat, "right")) - 1
            at, w, geometry, forms = kinds[kind]
            kernel, form, number = np.unravel_index(flat - starts[kind], costs[kind].shape)
            yield Trial(at, w.forms[kernel], geometry, int(number), forms[form])

    def _combined(self, edits: int) -> Iterator[tuple[int, Group[KernelForm], Geometries, list[OutputForm]]]:
        """Operations, kernels, geometries and outputs that go together and have so many edits in all."""
        search = self.search
        for at, operations in enumerate(search.operations):
            x = search.groups("inputs", at, 0)
            base = min(len(operation.edits) for operation in operations)
            for outputs, kernels, changed in itertools.product(range(edits + 1), repeat=3):
                if not x or outputs + kernels + changed != edits or kernels < base:
                    continue
                for y, w in itertools.product(search.output_groups(at, outputs), search.groups("kernels", at, kernels)):
                    if y.shape[0] != x[0].shape[0]:
                        continue
                    forms = [form for each in y.forms for form in _settled(each)]
                    for geometry in search.geometries(at, x[0].shape[2:], w.shape[2:], y.shape[2:], changed, 1 << 20) if forms else ():
                        yield at, w, geometry, forms

    def _work(self, trial: Trial) -> float:
        """About how many multiplications it takes."""
        outer, _, *taps = trial.kernel.array.shape
        channels = self.search.problem.spec.in_channels
        return self._places(trial) * channels * math.prod(taps) * (outer + channels) + 2e5

    def _places(self, trial: Trial) -> int:
        """How many output positions, of all batch items, are looked at."""
        spec = trial.kernel.operation.spec
        shape = trial.output.array.shape
        wanted = math.ceil(SURE * spec.in_channels / spec.out_channels)
        return min(max(wanted, FEWEST), shape[0] * math.prod(shape[2:]))

    def _read(self, trial: Trial, most_tried: int) -> Iterator[Candidate]:
        form, kernel = trial.output, trial.kernel
        chosen = form.array.shape, self._places(trial)
        met = self._once((chosen, trial.at, id(trial.geometry), trial.number, kernel.size), lambda: self._windows(trial, *chosen))
        weights = self._once(id(kernel), lambda: _dense(kernel))
        read = order_of_channels(met, weights, *self._once((chosen, id(form)), lambda: self._values(form, *chosen)), most_tried=most_tried)
        if read is None or read[0] == sorted(read[0]):
            return
        made = _ordered(self.search.forms("inputs", trial.at, 0)[0], read[0], self.search.problem.spec.groups)
        geometry = trial.geometry.form(trial.number)
        for making in self.makings:
            yield Candidate(made, kernel, geometry, form, making, made.cost + kernel.cost + geometry.cost + form.cost + making.cost)

    def _once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` makes, made once for all trials that share it."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def _windows(self, trial: Trial, shape: tuple[int, ...], count: int) -> Array:
        """(places, C, taps): what the kernels meet."""
        (x,) = self.search.forms("inputs", trial.at, 0)
        item, _, *place = self._once((shape, count), lambda: _chosen(shape, count))
        points = [Point(i, 0, p) for i, p in zip(item.tolist(), zip(*(each.tolist() for each in place), strict=True), strict=True)]
        where = trial.geometry.only(np.array([trial.number])).table([point.place for point in points], trial.kernel.size, x.size)
        channels = x.array.shape[1]
        return windows(Bundle([x.array]), slice(0, channels), points, where)[0, :, 0].reshape(count, channels, -1)

    def _values(self, form: OutputForm, shape: tuple[int, ...], count: int) -> tuple[Array, Array | None]:
        """(O, places): what the convolution made, as far as the form says; and where that is known, where an activation cut others off."""
        item, _, *place = self._once((shape, count), lambda: _chosen(shape, count))
        values: Array = Bundle([form.array]).look_up(item[None], np.arange(shape[1])[:, None], *(each[None] for each in place))[0]
        known = values > 0 if limits_of(form.values) else None
        bias = self.search.problem.channel_bias
        if bias.size == shape[1]:
            values = values - (form.bias_factor + form.bias_kept) * bias[:, None]
        return values, known


def _chosen(shape: tuple[int, ...], count: int) -> list[Array]:
    """Indices of so many output positions along every axis."""
    return elements(np.random.default_rng(14).permutation(shape[0] * math.prod(shape[2:]))[:count], shape, channel=0)


def _dense(kernel: KernelForm) -> Array:
    """(O, C, taps)."""
    spec = kernel.operation.spec
    made = dense(kernel.array.whole().astype(np.float64), spec.groups, spec.in_channels)
    return made.reshape(*made.shape[:2], -1)


def _settled(form: OutputForm) -> list[OutputForm]:
    """The form if an order can be read under it; of a few items in any order one for each order; else none."""
    items = form.array.shape[0]
    if form.values != "items" or items > ENUMERATED:
        return [form] if form.values in KINDS else []
    made = []
    for order in itertools.islice(itertools.permutations(range(items)), 1, None):
        edits = tuple({**edit, "permutation": list(order)} if edit["code"] == OutputBatchPermuted.code else edit for edit in form.edits)
        made.append(replace(form, edits=edits, values="plain", array=form.array.along(0, np.argsort(order))))
    return made


def _ordered(x: InputForm, order: list[int], groups: int) -> InputForm:
    """The input with its channels in this order, by the name that it has."""
    edit, oddness = {"code": "input-channels-permuted", "permutation": order}, 0.4
    if order == sorted(order)[::-1]:
        edit, oddness = {"code": "input-channels-reversed"}, 0.05
    for dealt, odd, other in dealings(len(order), groups, "input"):
        if order == other:
            edit, oddness = dealt, odd
    made: InputForm = x.plus(edit, oddness, array=x.array.along(1, order))
    return made
