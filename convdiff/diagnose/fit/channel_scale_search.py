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
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.activation_change import (
    Activated,
    Clamped,
    Magnitude,
    MagnitudeThen,
)
from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.integer_storage import RoundedToInteger
from convdiff.diagnose.core.line_fit import MIN_VALUES_ON_A_LINE
from convdiff.diagnose.core.output_change import UNCHANGED, OutputChange, SumBounds
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.fit.linear_system import element_indices
from convdiff.diagnose.hypotheses.output_bias import BiasAdded
from convdiff.diagnose.hypotheses.output_scale import (
    ChannelsScaled,
    LinePerChannel,
    LineThen,
    OneFactorAndConstants,
    Scaled,
)
from convdiff.diagnose.search.batches import FormGroup
from convdiff.diagnose.search.candidate import Candidate, cheapest_candidates
from convdiff.diagnose.search.engine import Search
from convdiff.diagnose.search.windows import SamplePoint
from convdiff.records import Edit
from convdiff.spec.layout import Array

# Elements compared per channel; every combination is tried at the first `FIRST_POINTS` of them.
MAX_POINTS, FIRST_POINTS = 12, 3
# Channels, and positions drawn beside the corners, that the elements are chosen from.
MAX_SCALE_CHANNELS, MAX_POSITIONS = 8, 32
# The most edits of the output beside those of the scale.
MAX_OUTPUT_EDITS = 2
# If more combinations than this lie on a line, that is no evidence for any of them.
MAX_ON_A_LINE = 1 << 12


@dataclass(frozen=True)
class Scale:
    """One way in which channels may have been scaled, and how many edits say so."""

    edits: int
    one_factor: bool
    shifted: bool

    def before(self, form: OutputForm, *, has_bias: bool, rough: bool) -> OutputForm | None:
        """The form with scaled channels, before its known function if it has one.

        A constant for each channel holds the bias.  One factor for all multiplies it too, but where
        values are neither changed by a function nor `rough`, as printed ones are: there it leaves
        the bias as it was, and one without constants has forms of its own, so that this is None.
        """
        function = _function_after_line(form)
        assert function is not None
        then, of_magnitudes = function
        is_function = form.change != UNCHANGED
        is_exact = not (is_function or rough)
        if not is_exact:
            change: OutputChange = LineThen(then, self.one_factor, self.shifted, of_magnitudes)
        elif not self.one_factor:
            change = LinePerChannel()
        elif self.shifted:
            change = OneFactorAndConstants()
        else:
            return None
        late_bias = is_exact and self.one_factor and has_bias
        edits: list[tuple[Edit, float]] = [({"code": ChannelsScaled.code}, 0.6)]
        if self.one_factor:
            edits = [({"code": Scaled.code, **({"of": "sums"} if late_bias else {})}, 0.3)]
            edits += [({"code": BiasAdded.code}, 0.3)] * self.shifted
        # The scale comes before the function, which is the last edit.
        at = len(form.edits) - is_function
        return replace(
            form,
            edits=(*form.edits[:at], *(edit for edit, _ in edits), *form.edits[at:]),
            cost=form.cost + sum(1 + oddness for _, oddness in edits),
            change=change,
            bias_factor=int(self.one_factor and not is_exact),
            late_bias=late_bias,
        )


PER_CHANNEL = Scale(1, one_factor=False, shifted=True)
ONE_FACTOR = Scale(1, one_factor=True, shifted=False)
FACTOR_AND_CONSTANTS = Scale(2, one_factor=True, shifted=True)


class LineSamples(NamedTuple):
    """The elements of one channel at which outputs of one shape are compared.

    `forms` are the numbers of the output forms that are looked at.  `values` are what a line may
    have given where the obtained values were left as they are, or went through a known function,
    give or take `errors`: (all output forms, points), NaN where that is not known.  The line is one
    over the magnitudes of the sums, with the channel's `bias`, for the forms in `of_magnitudes`.
    """

    points: list[SamplePoint]
    forms: list[int]
    values: Array
    errors: Array
    of_magnitudes: frozenset[int]
    bias: float


class ChannelScaleSearch:
    """Candidates with scaled and shifted output channels, of the asked operation.

    The other operations would take as long again, and are not combined with it.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self._on_lines: dict[object, list[Candidate]] = {}
        self._samples: dict[object, list[LineSamples]] = {}

    def level(self, edits: int, precision: PrecisionModel) -> Iterator[Candidate]:
        """Candidates with so many edits, those of the scale among them."""
        has_bias = bool(self.search.problem.channel_bias.any())
        rough = precision.rounding.decimal_error > 0
        for scale in (PER_CHANNEL, ONE_FACTOR, FACTOR_AND_CONSTANTS):
            for candidate in self._candidates_on_lines(edits - scale.edits, precision):
                form = scale.before(candidate.output, has_bias=has_bias, rough=rough)
                if form is not None:
                    cost = candidate.cost + form.cost - candidate.output.cost
                    yield replace(candidate, output=form, cost=cost)

    def _candidates_on_lines(self, edits: int, precision: PrecisionModel) -> list[Candidate]:
        """Combinations of so many edits over whose sums the obtained values lie on a line."""
        key = edits, id(precision)
        if key not in self._on_lines:
            found: list[Candidate] = []
            for outputs in range(min(edits, MAX_OUTPUT_EDITS) + 1):
                for group in self.search.forms.output_groups(0, outputs):
                    found += self._in_group(group, edits - outputs, precision)
            self._on_lines[key] = found
        return self._on_lines[key]

    def _in_group(
        self, outputs: FormGroup[OutputForm], edits: int, precision: PrecisionModel
    ) -> Iterator[Candidate]:
        key = id(outputs)
        if key not in self._samples:
            self._samples[key] = self._samples_of(outputs)
        for samples in self._samples[key]:
            yield from self._at_samples(samples, outputs, edits, precision)

    def _samples_of(self, outputs: FormGroup[OutputForm]) -> list[LineSamples]:
        if not self.search.points(outputs):
            return []
        return [*_samples(outputs, self.search.problem.channel_bias)]

    def _at_samples(
        self,
        samples: LineSamples,
        outputs: FormGroup[OutputForm],
        edits: int,
        precision: PrecisionModel,
    ) -> Iterator[Candidate]:
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


def _function_after_line(form: OutputForm) -> tuple[OutputChange, bool] | None:
    """The function of each value alone that a line over the sums may have gone through.

    With it, whether the line is one over the magnitudes of the sums.  None where there is none.
    """
    change = form.change
    if form.bias_factor != 1 or form.late_bias or form.relu_before:
        return None
    if isinstance(change, Magnitude):
        return UNCHANGED, True
    if isinstance(change, MagnitudeThen):
        return change.then, True
    if change == UNCHANGED or isinstance(change, Activated | Clamped | RoundedToInteger):
        return change, False
    return None


def _samples(outputs: FormGroup[OutputForm], channel_bias: Array) -> Iterator[LineSamples]:
    """What of these outputs is looked at; nothing of those with too little for a line.

    Those that were left as they are have elements in common; those that went through functions
    have elements of their own, where no function that is possible cut values off.
    """
    functions = {}
    by_array: dict[int, list[int]] = {}
    for number, form in enumerate(outputs.forms):
        function = _function_after_line(form)
        if function is not None:
            functions[number] = function
            by_array.setdefault(0 if form.untouched else id(form.array), []).append(number)
    of_magnitudes = frozenset(number for number, function in functions.items() if function[1])
    for forms in by_array.values():
        different = [*dict.fromkeys(functions[number][0] for number in forms)]
        points = _points(outputs.forms[forms[0]].array, different)
        if len(points) < MIN_VALUES_ON_A_LINE:
            continue
        places = ((p.item, p.channel, *p.position) for p in points)
        index = [np.array(indices) for indices in zip(*places, strict=True)]
        values = outputs.arrays.gather(*index).astype(np.float64)
        errors = np.zeros_like(values)
        for number in forms:
            values[number], errors[number] = _undone(functions[number][0], values[number])
        bias = float(channel_bias[points[0].channel])
        yield LineSamples(points, forms, values, errors, of_magnitudes, bias)


def _undone(change: OutputChange, obtained: Array) -> tuple[Array, Array]:
    """What went into a known function, and what that may be off by; NaN where it is not known."""
    with np.errstate(all="ignore"):
        low, high = change.sum_interval(obtained, obtained, obtained)
        known = np.isfinite(low) & np.isfinite(high)
        return np.where(known, (low + high) / 2, np.nan), np.where(known, (high - low) / 2, 0)


def _points(output: ArrayView, functions: list[OutputChange]) -> list[SamplePoint]:
    """Elements of the channel whose values spread most, of an output (N, O, *space).

    The two farthest apart, then corners, which show the padding, and others.  None that one of the
    functions may have cut off.
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
    for function in functions:
        known = usable & np.isfinite(_undone(function, values)[0])
        usable = known if known.sum(axis=1).max() >= MIN_VALUES_ON_A_LINE else usable
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
    if form in samples.of_magnitudes:
        sums = [SumBounds(np.abs(each.value + samples.bias), each.slack) for each in sums]
    rounding = precision.rounding
    relative = rounding.bound_units * rounding.unit_roundoff
    run = sums[1].value - sums[0].value
    slack = np.max([each.slack for each in sums], axis=0)
    size = np.maximum(*(np.abs(each.value) for each in sums[:2]))
    # A constant, which may be large, was added with a rounding of its own.
    stored = 3 * float(np.max(rounding.storage_error(obtained))) + rounding.decimal_error
    stored += float(samples.errors[form, points].max())
    constant = (2 * relative * np.abs(obtained).max() + 2 * stored) / abs(rise)
    allowed = 2 * slack + relative * size + constant * np.abs(run)
    on_line = np.abs(run) > 8 * slack
    for wanted, each in zip((obtained[2:] - obtained[0]) / rise, sums[2:], strict=True):
        error = np.abs(each.value - sums[0].value - wanted * run)
        on_line &= error <= (1 + abs(wanted)) * allowed
    return np.asarray(on_line)
