"""Outputs scaled and shifted, each channel by itself or all by one factor, beside other edits.

A factor and a constant drop out of a ratio of differences, so three elements of one channel are
enough to dismiss almost every combination: the obtained values must lie on the straight line over
the sums that goes through the first two of them.  What survives must lie on that line at more
elements; the proof then lays a line through every channel (`core/line_fit.py`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.line_fit import MIN_VALUES_ON_A_LINE
from convdiff.diagnose.core.output_change import SumBounds
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.fit.linear_system import element_indices
from convdiff.diagnose.hypotheses.output_bias import BiasAdded
from convdiff.diagnose.hypotheses.output_scale import (
    ChannelsScaled,
    LinePerChannel,
    OneFactorAndConstants,
    Scaled,
)
from convdiff.diagnose.hypotheses.output_values import ActivationApplied
from convdiff.diagnose.search.batches import FormGroup
from convdiff.diagnose.search.candidate import Candidate, cheapest_candidates
from convdiff.diagnose.search.engine import Search
from convdiff.diagnose.search.windows import SamplePoint
from convdiff.spec.layout import Array

# Elements compared per channel; every combination is tried at the first `FIRST_POINTS` of them.
MAX_POINTS, FIRST_POINTS = 12, 3
# Channels, and positions drawn beside the corners, that the elements are chosen from.
MAX_SCALE_CHANNELS, MAX_POSITIONS = 8, 32
# If more combinations than this lie on a line, that is no evidence for any of them.
MAX_ON_A_LINE = 1 << 12


class LineSamples(NamedTuple):
    """The elements of one channel at which outputs of one shape are compared.

    `forms` are the numbers of the output forms with unchanged values; `values` are the obtained
    ones, (all output forms, points).
    """

    points: list[SamplePoint]
    forms: list[int]
    values: Array


class ChannelScaleSearch:
    """Candidates with scaled and shifted output channels, of the asked operation.

    The other operations would take as long again, and are not combined with it.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self._on_lines: dict[object, list[Candidate]] = {}
        self._samples: dict[object, LineSamples | None] = {}

    def level(self, edits: int, precision: PrecisionModel) -> Iterator[Candidate]:
        """Candidates with so many edits, those of the scale among them."""
        problem = self.search.problem
        relu = bool(problem.obtained.size) and problem.obtained_range[0] == 0
        has_bias = bool(problem.channel_bias.any())
        for one_factor, others in itertools.product((False, True), range(max(edits, 0))):
            # What is left of the edits may be a ReLU, where some values are 0 and none below.
            activations = edits - others - 1 - one_factor
            if activations not in ((0, 1) if relu else (0,)):
                continue
            for candidate in self._candidates_on_lines(others, precision):
                form = _scaled(candidate.output, one_factor, has_bias)
                if activations:
                    edit = {"code": ActivationApplied.code, "obtained": "relu"}
                    form = form.plus(edit, 0.1, relu_after=True)
                cost = candidate.cost + form.cost - candidate.output.cost
                yield replace(candidate, output=form, cost=cost)

    def _candidates_on_lines(self, edits: int, precision: PrecisionModel) -> list[Candidate]:
        """Combinations of so many edits over whose sums the obtained values lie on a line."""
        key = edits, id(precision)
        if key not in self._on_lines:
            found: list[Candidate] = []
            for outputs in range(min(edits, 1) + 1):
                for group in self.search.forms.output_groups(0, outputs):
                    found += self._in_group(group, edits - outputs, precision)
            self._on_lines[key] = found
        return self._on_lines[key]

    def _in_group(
        self, outputs: FormGroup[OutputForm], edits: int, precision: PrecisionModel
    ) -> Iterator[Candidate]:
        key = id(outputs)
        if key not in self._samples:
            self._samples[key] = _samples(outputs) if self.search.points(outputs) else None
        samples = self._samples[key]
        if samples is None:
            return
        points, every = samples.points, np.arange(len(samples.points))
        first = np.arange(FIRST_POINTS)
        sample_filter = self.search.sample_filter(0, outputs, precision, points)
        for batch in self.search.batches(
            0, outputs, edits, stacked=False, points=points[:FIRST_POINTS]
        ):
            norm = max(
                sample_filter.largest_norm(block, number)
                for block in batch.blocks
                for number in range(FIRST_POINTS)
            )
            sums = [SumBounds(values, sample_filter.slack(norm)) for values in batch.values]
            for form in samples.forms:
                on_line = _are_on_a_line(samples, precision, form, first, sums)
                combinations = np.flatnonzero(on_line)
                if not 0 < combinations.size <= MAX_ON_A_LINE:
                    continue
                all_sums = sample_filter.sums_of(batch, combinations, every)
                on_line = _are_on_a_line(samples, precision, form, every, all_sums)
                combinations = combinations[on_line]
                forms = np.full(len(combinations), form)
                yield from cheapest_candidates(batch, outputs, precision, combinations, forms)


def _scaled(base: OutputForm, one_factor: bool, has_bias: bool) -> OutputForm:
    """The form with scaled channels; a bias is part of the constants, or was left as it was."""
    form: OutputForm
    if not one_factor:
        form = base.plus({"code": ChannelsScaled.code}, 0.6, change=LinePerChannel(), bias_factor=0)
        return form
    edit = {"code": Scaled.code, **({"of": "sums"} if has_bias else {})}
    form = base.plus(edit, 0.3, change=OneFactorAndConstants(), bias_factor=0, late_bias=has_bias)
    form = form.plus({"code": BiasAdded.code}, 0.3)
    return form


def _samples(outputs: FormGroup[OutputForm]) -> LineSamples | None:
    """What of these outputs is looked at; None where there is too little for a line."""
    forms = [number for number, form in enumerate(outputs.forms) if form.untouched]
    points = _points(outputs.forms[forms[0]].array) if forms else []
    if len(points) < MIN_VALUES_ON_A_LINE:
        return None
    index = [
        np.array(indices)
        for indices in zip(*((p.item, p.channel, *p.position) for p in points), strict=True)
    ]
    return LineSamples(points, forms, outputs.arrays.gather(*index))


def _points(output: ArrayView) -> list[SamplePoint]:
    """Elements of the channel whose values spread most, of an output (N, O, *space).

    The two farthest apart, then corners, which show the padding, and others.  No zeros, which an
    activation may have made.
    """
    shape = output.shape
    space = shape[0], *shape[2:]
    ends = itertools.product((0,), *((0, size - 1) for size in shape[2:]))
    corners = np.ravel_multi_index(np.array([*ends]).T, space)
    drawn = np.random.default_rng(13).permutation(math.prod(space))[:MAX_POSITIONS]
    chosen = np.array([*dict.fromkeys([*corners.tolist(), *drawn.tolist()])])
    channels = np.linspace(0, shape[1] - 1, min(shape[1], MAX_SCALE_CHANNELS)).astype(int)
    item, _, *place = element_indices(chosen, shape, channel=0)
    index = item[None], channels[:, None], *(each[None] for each in place)
    values = ArrayViewStack([output]).gather(*index)[0]
    usable = np.isfinite(values) & (values != 0)
    enough = usable.sum(axis=1) >= min(MAX_POINTS, usable.sum(axis=1).max())
    highest = np.where(usable, values, -np.inf).max(axis=1)
    lowest = np.where(usable, values, np.inf).min(axis=1)
    spread = np.where(enough, highest - lowest, -1.0)
    best = int(spread.argmax())
    if not 0 < spread[best] < np.inf:
        return []
    left = np.flatnonzero(usable[best])
    farthest = left[values[best, left].argmin()], left[values[best, left].argmax()]
    order = [*farthest, *(each for each in left.tolist() if each not in farthest)][:MAX_POINTS]
    return [
        SamplePoint(int(item[i]), int(channels[best]), tuple(int(each[i]) for each in place))
        for i in order
    ]


def _are_on_a_line(
    samples: LineSamples, precision: PrecisionModel, form: int, points: Array, sums: list[SumBounds]
) -> Array:
    """(combinations,): whether the obtained values lie on one line over the sums at these points.

    The line goes through the first two; `sums` are given for each of the points.
    """
    obtained = samples.values[form, points]
    rise = obtained[1] - obtained[0]
    if not np.isfinite(obtained).all() or rise == 0:
        return np.zeros(sums[0].value.shape, bool)
    rounding = precision.rounding
    relative = rounding.bound_units * rounding.unit_roundoff
    run = sums[1].value - sums[0].value
    slack = np.max([each.slack for each in sums], axis=0)
    size = np.maximum(*(np.abs(each.value) for each in sums[:2]))
    # A constant, which may be large, was added with a rounding of its own.
    stored = 3 * float(np.max(rounding.storage_error(obtained)))
    constant = (2 * relative * np.abs(obtained).max() + 2 * stored) / abs(rise)
    allowed = 2 * slack + relative * size + constant * np.abs(run)
    on_line = np.abs(run) > 8 * slack
    for wanted, each in zip((obtained[2:] - obtained[0]) / rise, sums[2:], strict=True):
        error = np.abs(each.value - sums[0].value - wanted * run)
        on_line &= error <= (1 + abs(wanted)) * allowed
    return np.asarray(on_line)
