"""The input's channels in an unknown order, alone or beside one other edit: the order is read off the output (see `ordering.py`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.activations import limits_of
from convdiff.diagnose.blocks import Group
from convdiff.diagnose.candidate import Candidate
from convdiff.diagnose.equations import dense, elements
from convdiff.diagnose.fitted import OutputBatchPermuted
from convdiff.diagnose.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.geometries import Geometries
from convdiff.diagnose.inputs import ENUMERATED
from convdiff.diagnose.making import Making
from convdiff.diagnose.ordering import order_of_channels
from convdiff.diagnose.placed import Bundle
from convdiff.diagnose.search import Search
from convdiff.diagnose.windows import Point, windows
from convdiff.layout import Array

# Output elements for each channel that is to be told from the others of its group.
SURE = 40
FEWEST = 24
# Multiplications that all trials of one number of edits may cost; the likeliest are tried.
MOST_WORK = 2e8
# What the output may have gone through.
KINDS = ("plain", "offset", "factor", "relu")


class Trial(NamedTuple):
    """A combination to read the order under."""

    at: int
    kernel: KernelForm
    geometry: Geometries
    number: int
    output: OutputForm
    cost: float


class OrderedInput:
    """Explanations with the input's channels permuted, and at most one other edit."""

    def __init__(self, search: Search, makings: Sequence[Making]) -> None:
        self.search = search
        self.makings = makings

    def level(self, edits: int) -> Iterator[Candidate]:
        """Candidates with so many edits, the permutation among them."""
        problem = self.search.problem
        if not 1 <= edits <= 2 or problem.spec.in_channels <= ENUMERATED or not np.isfinite(problem.obtained).all():
            return
        trials = sorted(self._trials(edits - 1), key=lambda trial: trial.cost)
        work = 0.0
        for trial in trials:
            work += self._work(trial)
            if work > MOST_WORK and trial is not trials[0]:
                return
            yield from self._read(trial)

    def _trials(self, edits: int) -> Iterator[Trial]:
        """Everything with so many edits, in any one stage but the input."""
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
                    for geometry in search.geometries(at, x[0].shape[2:], w.shape[2:], y.shape[2:], changed, 1 << 20):
                        yield from _combined(at, w, geometry, y)

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

    def _read(self, trial: Trial) -> Iterator[Candidate]:
        form, kernel = trial.output, trial.kernel
        (x,) = self.search.forms("inputs", trial.at, 0)
        shape, spec = form.array.shape, kernel.operation.spec
        chosen = np.random.default_rng(14).permutation(shape[0] * math.prod(shape[2:]))[: self._places(trial)]
        item, _, *place = elements(chosen, shape, channel=0)
        points = [Point(i, 0, p) for i, p in zip(item.tolist(), zip(*(each.tolist() for each in place), strict=True), strict=True)]
        one = trial.geometry.only(np.array([trial.number]))
        where = one.table([point.place for point in points], kernel.size, x.size)
        met = windows(Bundle([x.array]), slice(0, spec.in_channels), points, where)[0, :, 0].reshape(len(points), spec.in_channels, -1)
        weights = dense(kernel.array.whole().astype(np.float64), spec.groups, spec.in_channels)
        weights = weights.reshape(*weights.shape[:2], -1)
        read = order_of_channels(met, weights, *self._values(form, item, place))
        if read is None or read[0] == sorted(read[0]):
            return
        made = _ordered(x, read[0])
        geometry = one.form(0)
        for making in self.makings:
            yield Candidate(made, kernel, geometry, form, making, made.cost + kernel.cost + geometry.cost + form.cost + making.cost)

    def _values(self, form: OutputForm, item: Array, place: list[Array]) -> tuple[Array, Array | None]:
        """(O, places): what the convolution made, as far as the form says; and where that is known, where an activation cut others off."""
        channels = form.array.shape[1]
        values: Array = Bundle([form.array]).look_up(item[None], np.arange(channels)[:, None], *(each[None] for each in place))[0]
        known = values > 0 if limits_of(form.values) else None
        bias = self.search.problem.channel_bias
        if bias.size == channels:
            values = values - (form.bias_factor + form.bias_kept) * bias[:, None]
        return values, known


def _combined(at: int, w: Group[KernelForm], geometry: Geometries, y: Group[OutputForm]) -> Iterator[Trial]:
    outputs = [form for each in y.forms for form in _settled(each)]
    for kernel, form in itertools.product(w.forms, outputs):
        for number, cost in enumerate(geometry.costs.tolist()):
            yield Trial(at, kernel, geometry, number, form, kernel.cost + form.cost + cost)


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


def _ordered(x: InputForm, order: list[int]) -> InputForm:
    """The input with its channels in this order."""
    edit = {"code": "input-channels-permuted", "permutation": order}
    edit = {"code": "input-channels-reversed"} if order == sorted(order)[::-1] else edit
    made: InputForm = x.plus(edit, 0.4, array=x.array.along(1, order))
    return made
