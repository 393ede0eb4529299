"""Outputs that were scaled and shifted, each channel by itself or all by one factor, whatever else
went wrong in the asked operation.

A factor and a constant drop out of a ratio of differences: three elements of one channel tell what
almost everything is dismissed by. The others of that channel must lie on the line through the first
two; the proof lays one through every channel.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView, ArrayViews
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.fit.channel_scale import LEAST_ON_A_LINE
from convdiff.diagnose.fit.linear_system import elements
from convdiff.diagnose.hypotheses.output_bias import BiasAdded
from convdiff.diagnose.hypotheses.output_values import ActivationApplied, ChannelsScaled, Scaled
from convdiff.diagnose.search.batches import Group
from convdiff.diagnose.search.candidate import Candidate, candidates
from convdiff.diagnose.search.engine import Search
from convdiff.diagnose.search.filter import SumBounds
from convdiff.diagnose.search.windows import SamplePoint
from convdiff.spec.layout import Array

# Elements looked at, of which everything meets the first; channels and places that they are chosen
# from.
LOOKED_AT, FIRST = 12, 3
CHANNELS, PLACES = 8, 32
# Combinations that lie on a line beyond which lying on one says nothing.
MOST = 1 << 12


class LineSamples(NamedTuple):
    """The points to look at, the numbers of those outputs that nothing was done to the values of,
    and (all outputs, points) the values.
    """

    points: list[SamplePoint]
    forms: list[int]
    values: Array


class ChannelScaleSearch:
    """Explanations with the output's channels scaled and shifted, and whatever else the search
    combines.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self._found: dict[object, list[Candidate]] = {}
        self._seen: dict[object, LineSamples | None] = {}

    def level(self, edits: int, precision: PrecisionModel) -> Iterator[Candidate]:
        """Candidates with so many edits, those of the output's values among them."""
        cut = bool(self.search.problem.obtained.size) and self.search.problem.obtained_range[0] == 0
        for one_factor, others in itertools.product((False, True), range(max(edits, 0))):
            activated = edits - others - 1 - one_factor
            if activated not in ((0, 1) if cut else (0,)):
                continue
            for found in self._on_lines(others, precision):
                form = _scaled(
                    found.output,
                    one_factor,
                    activated == 1,
                    bias=bool(self.search.problem.channel_bias.any()),
                )
                yield replace(found, output=form, cost=found.cost + form.cost - found.output.cost)

    def _on_lines(self, others: int, precision: PrecisionModel) -> list[Candidate]:
        """Combinations of so many edits whose values the obtained ones lie on a line over."""
        key = others, id(precision)
        if key not in self._found:
            search = self.search
            found: list[Candidate] = []
            # Of the asked operation alone: all others would be half of the work.
            for outputs in range(min(others, 1) + 1):
                for y in search.output_groups(0, outputs):
                    found += self._in(y, others - outputs, precision)
            self._found[key] = found
        return self._found[key]

    def _in(
        self, y: Group[OutputForm], edits: int, precision: PrecisionModel
    ) -> Iterator[Candidate]:
        key = id(y)
        if key not in self._seen:
            self._seen[key] = _seen(y) if self.search.points(y) else None
        seen = self._seen[key]
        if seen is None:
            return
        points = seen.points
        sieve = self.search.sieve(0, y, precision, points)
        for batch in self.search.batches(0, y, edits, crowded=False, points=points[:FIRST]):
            largest = max(
                sieve.largest(block, number) for block in batch.blocks for number in range(FIRST)
            )
            values = [SumBounds(each, sieve.slack(largest)) for each in batch.values]
            for number in seen.forms:
                flat = np.flatnonzero(_on_a_line(seen, precision, number, np.arange(FIRST), values))
                if not 0 < flat.size <= MOST:
                    continue
                every = np.arange(len(points))
                flat = flat[
                    _on_a_line(
                        seen, precision, number, every, sieve.single_products(batch, flat, every)
                    )
                ]
                yield from candidates(batch, y, precision, flat, np.full(len(flat), number))


def _seen(y: Group[OutputForm]) -> LineSamples | None:
    """What outputs have to be seen; None if that is too little."""
    forms = [
        number
        for number, form in enumerate(y.forms)
        if (form.values, form.bias_factor, form.bias_kept) == ("plain", 1, False)
    ]
    points = _points(y.forms[forms[0]].array) if forms else []
    if len(points) < LEAST_ON_A_LINE:
        return None
    index = [
        np.array(each)
        for each in zip(*((p.item, p.channel, *p.place) for p in points), strict=True)
    ]
    return LineSamples(points, forms, y.bundle.look_up(*index))


def _points(output: ArrayView) -> list[SamplePoint]:
    """Elements of the channel that tells most: the two farthest apart, then corners, which show the
    padding, and others.

    Zeros, which an activation may have made, are none.
    """
    shape = output.shape
    space = shape[0], *shape[2:]
    corners = np.ravel_multi_index(
        np.array([*itertools.product((0,), *((0, size - 1) for size in shape[2:]))]).T, space
    )
    drawn = np.random.default_rng(13).permutation(math.prod(space))[:PLACES]
    chosen = np.array([*dict.fromkeys([*corners.tolist(), *drawn.tolist()])])
    channels = np.linspace(0, shape[1] - 1, min(shape[1], CHANNELS)).astype(int)
    item, _, *place = elements(chosen, shape, channel=0)
    values = ArrayViews([output]).look_up(
        item[None], channels[:, None], *(each[None] for each in place)
    )[0]
    usable = np.isfinite(values) & (values != 0)
    enough = usable.sum(axis=1) >= min(LOOKED_AT, usable.sum(axis=1).max())
    spread = np.where(
        enough,
        np.where(usable, values, -np.inf).max(axis=1)
        - np.where(usable, values, np.inf).min(axis=1),
        -1.0,
    )
    best = int(spread.argmax())
    if not 0 < spread[best] < np.inf:
        return []
    left = np.flatnonzero(usable[best])
    ends = left[values[best, left].argmin()], left[values[best, left].argmax()]
    order = [*ends, *(each for each in left.tolist() if each not in ends)][:LOOKED_AT]
    return [
        SamplePoint(int(item[i]), int(channels[best]), tuple(int(each[i]) for each in place))
        for i in order
    ]


def _on_a_line(
    seen: LineSamples, precision: PrecisionModel, form: int, ats: Array, values: list[SumBounds]
) -> Array:
    """Which combinations have, at all these points, values over which those of an output form lie
    on the line through the first two.
    """
    got, written = (
        seen.values[form, ats],
        3 * float(np.max(precision.rounding.storage_error(seen.values[form, ats]))),
    )
    run = got[1] - got[0]
    if not np.isfinite(got).all() or run == 0:
        return np.zeros(values[0].value.shape, bool)
    steps = precision.rounding.bound_units * precision.rounding.unit_roundoff
    first = values[1].value - values[0].value
    slack = np.max([each.slack for each in values], axis=0)
    size = np.maximum(*(np.abs(each.value) for each in values[:2]))
    # A constant, which may be large, was added with a rounding of its own.
    own = (
        2 * slack
        + steps * size
        + (2 * steps * np.abs(got).max() + 2 * written) / abs(run) * np.abs(first)
    )
    good = np.abs(first) > 8 * slack
    for wanted, each in zip((got[2:] - got[0]) / run, values[2:], strict=True):
        good &= np.abs(each.value - values[0].value - wanted * first) <= (1 + abs(wanted)) * own
    return np.asarray(good)


def _scaled(base: OutputForm, one_factor: bool, activated: bool, bias: bool) -> OutputForm:
    """The form with the edits that say so; any bias is part of the constants, or was left as it
    was.
    """
    if one_factor:
        edit = {"code": Scaled.code, **({"of": "sums"} if bias else {})}
        form = base.plus(edit, 0.3, values="line", bias_factor=0, bias_kept=bias).plus(
            {"code": BiasAdded.code}, 0.3
        )
    else:
        form = base.plus({"code": ChannelsScaled.code}, 0.6, values="lines", bias_factor=0)
    if activated:
        form = form.plus(
            {"code": ActivationApplied.code, "obtained": "relu"}, 0.1, rectified_last=True
        )
    made: OutputForm = form
    return made
