"""Where an expected explanation was lost, for developers who look into a wrong diagnosis.

`trace` follows one set of edits, given by their codes, through the stages of the diagnosis: whether
any combination of forms has them, at which sample point each of these is dismissed, whether the
proof holds, and what was proven before.  CONTRIBUTING.md shows how it is used.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.forms import Form, OutputForm
from convdiff.diagnose.core.output_change import SumBounds
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.fit.added_input import with_added_input
from convdiff.diagnose.fit.computed_part import ComputedPart, computed_parts
from convdiff.diagnose.fit.in_place import updates_in_place
from convdiff.diagnose.fit.restored_output import Restored, restored_outputs
from convdiff.diagnose.fit.whole_output import rolled_back
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.registry import FAMILIES, by_code
from convdiff.diagnose.proof import prove
from convdiff.diagnose.schedule import STAGES, Schedule, Step
from convdiff.diagnose.search.batches import Batch, FormGroup
from convdiff.diagnose.search.candidate import Candidate, cheapest_candidates
from convdiff.diagnose.search.engine import Search
from convdiff.diagnose.search.filter import SampleFilter
from convdiff.spec.layout import Array

# Combinations with the expected edits that are held against the sample points, and those of them
# that are shown: the ones that agree longest.
MAX_FOLLOWED, MAX_SHOWN = 256, 4
# Numbers of a field that are shown.
MAX_SHOWN_NUMBERS = 4


class Followed(NamedTuple):
    """One combination with the expected edits, and how far it came.

    `combination` and `output` are its numbers in the batch and among the filter's outputs, (1,)
    each.  `dismissed` is the first of the pair of sample points at which it does not agree.
    """

    candidate: Candidate
    batch: Batch
    sample_filter: SampleFilter
    combination: Array
    output: Array
    dismissed: int | None


def trace(problem: Problem, codes: Sequence[str]) -> Iterator[str]:
    """Lines that follow the explanations with these codes, then those of the search's stages."""
    expected = Counter(codes)
    undone = [each for each in _with_edits_undone(problem) if _codes_of(each.edits) <= expected]
    if undone:
        for other in undone[:MAX_SHOWN]:
            rest = expected - _codes_of(other.edits)
            yield f"{_described(other.edits)}, undone; the others in what is left:"
            yield from (f"  {line}" for line in trace(other.problem, [*rest.elements()]))
        return
    schedule = Schedule(problem)
    followed = [
        _follow(schedule.search, precision, *combination)
        for combination in itertools.islice(_combinations(schedule.search, expected), MAX_FOLLOWED)
        for precision in schedule.precisions
    ]
    if not followed:
        yield f"no combination of forms has the edits {', '.join(codes)}:"
        yield from _known_codes(schedule.search, expected)
    farthest = sorted(followed, key=lambda each: (-_points_passed(each), each.candidate.cost))
    for each in farthest[:MAX_SHOWN]:
        yield from _described_way(problem, each)
    if len(followed) > MAX_SHOWN:
        yield f"and {len(followed) - MAX_SHOWN} others with these codes, which got no further"
    yield from _stages(schedule, max(len(codes), 1))


def _with_edits_undone(problem: Problem) -> Iterator[ComputedPart | Restored]:
    """The problems in which edits that have no forms are undone, as far as the values allow it."""
    yield from computed_parts(problem)
    yield from restored_outputs(problem)
    yield from updates_in_place(problem)
    yield from with_added_input(problem)
    yield from rolled_back(Search(problem), beside_edits=True)


def _codes_of(edits: Edits) -> Counter[str]:
    return Counter(edit["code"] for edit in edits)


def _combinations(
    search: Search, expected: Counter[str]
) -> Iterator[tuple[Batch, tuple[int, FormGroup[OutputForm]], int, int]]:
    """Every combination with exactly these codes, as numbers in a batch and among its outputs."""
    edits = expected.total()
    for op, _ in enumerate(search.forms.operations):
        for output_edits in range(edits + 1):
            for outputs in search.forms.output_groups(op, output_edits):
                fitting = [
                    number for number, form in enumerate(outputs.forms) if _codes(form) <= expected
                ]
                if not fitting or not search.points(outputs):
                    continue
                for stacked in (False, True):
                    for batch in search.batches(op, outputs, edits - output_edits, stacked=stacked):
                        for output in fitting:
                            rest = expected - _codes(outputs.forms[output])
                            for combination in _with_codes(batch, rest):
                                yield batch, (op, outputs), combination, output


def _with_codes(batch: Batch, expected: Counter[str]) -> Iterator[int]:
    """The combinations of a batch whose edits have exactly these codes."""
    for start, block in zip(batch.starts.tolist(), batch.blocks, strict=False):
        by_codes: dict[frozenset[tuple[str, int]], list[int]] = {}
        for number in range(len(block.geometry)):
            codes = _codes(block.geometry.form(number))
            by_codes.setdefault(frozenset(codes.items()), []).append(number)
        inputs, geometries, kernels = block.products.unravel(np.arange(block.size))
        for (i, x), (k, w) in itertools.product(
            enumerate(block.inputs.forms), enumerate(block.kernels.forms)
        ):
            codes = _codes(x) + _codes(w)
            numbers = by_codes.get(frozenset((expected - codes).items()), [])
            if codes <= expected and numbers:
                fits = (inputs == i) & (kernels == k) & np.isin(geometries, numbers)
                yield from (start + np.flatnonzero(fits)).tolist()


def _codes(form: Form) -> Counter[str]:
    return _codes_of(form.edits)


def _known_codes(search: Search, expected: Counter[str]) -> Iterator[str]:
    """For each code, whether forms have it at all."""
    geometry = {hypothesis.code for hypothesis in FAMILIES.geometry}
    forms: list[Form] = [form for group in search.forms.operations for form in group]
    for edits in range(min(expected.total(), 2) + 1):
        forms += search.forms.outputs(edits)
        for op, _ in enumerate(search.forms.operations):
            forms += [*search.forms.inputs(op, edits), *search.forms.kernels(op, edits)]
    known = {code for form in forms for code in _codes(form)}
    for code in expected:
        if code not in by_code():
            yield f"  {code}: unknown; convdiff explain lists the codes"
        elif code in known:
            yield f"  {code}: forms have it, but not beside the others"
        elif code in {hypothesis.code for hypothesis in FAMILIES.other}:
            yield f"  {code}: it has no forms, and nothing in these values suggests it"
        elif code in geometry:
            yield f"  {code}: no geometry with it gives an output of this size beside the others"
        else:
            yield f"  {code}: no form has it for these arrays (see its hypothesis' `forms`)"


def _follow(
    search: Search,
    precision: PrecisionModel,
    batch: Batch,
    group: tuple[int, FormGroup[OutputForm]],
    combination: int,
    output: int,
) -> Followed:
    op, outputs = group
    chosen = np.array([combination]), np.array([output])
    candidate = next(cheapest_candidates(batch, outputs, precision, *chosen))
    sample_filter = search.sample_filter(op, outputs, precision)
    dismissed = _dismissing_pair(sample_filter, batch, *chosen)
    return Followed(candidate, batch, sample_filter, *chosen, dismissed)


def _points_passed(followed: Followed) -> int:
    points = len(followed.sample_filter.points)
    return points if followed.dismissed is None else followed.dismissed


def _described_way(problem: Problem, followed: Followed) -> Iterator[str]:
    """One combination: the sample points that dismiss it, or what the proof says."""
    candidate, at = followed.candidate, followed.dismissed
    yield f"{_described(candidate.edits)}, cost {candidate.cost:.2f}:"
    if at is not None:
        yield f"  dismissed at sample points {at} and {at + 1}:"
        chosen = followed.combination, followed.output
        yield from _at_points(followed.sample_filter, followed.batch, *chosen, at)
        return
    yield f"  agrees at all {len(followed.sample_filter.points)} sample points"
    holds = prove(problem, candidate).holds
    yield f"  its proof {'holds' if holds else 'fails: the change does not verify all elements'}"


def _dismissing_pair(
    sample_filter: SampleFilter, batch: Batch, combination: Array, output: Array
) -> int | None:
    """The first pair of sample points at which the combination does not agree."""
    first = sample_filter.sums_of(batch, combination, np.arange(2))[0]
    for at in range(0, len(sample_filter.points), 2):
        sums = sample_filter.sums_of(batch, combination, np.arange(at, at + 2))
        if not sample_filter.agree(output, at, sums, first).all():
            return at
    return None


def _at_points(
    sample_filter: SampleFilter, batch: Batch, combination: Array, output: Array, at: int
) -> Iterator[str]:
    obtained, form = sample_filter.obtained, int(output[0])
    sums: list[SumBounds] = sample_filter.sums_of(batch, combination, np.arange(at, at + 2))
    for number, bounds in enumerate(sums, at):
        point = sample_filter.points[number]
        low, high = obtained.low[number, form], obtained.high[number, form]
        needed = f"the sum must lie between {low:.9g} and {high:.9g}"
        if not obtained.exact[form]:
            needed = "the change compares it with the other point"
        yield (
            f"    item {point.item}, channel {point.channel}, position {point.position}: "
            f"obtained {obtained.values[number, form]:.9g}; {needed}; "
            f"it is {bounds.value[0]:.9g}, give or take {bounds.slack[0]:.2g}"
        )


def _stages(schedule: Schedule, max_edits: int) -> Iterator[str]:
    """The stages of the search with what each proves, up to the first proof.

    Not those that are only tried in the end: sums kept in 16 bits, and rounded operands beside as
    many edits.
    """
    shown = len(schedule.precisions[0].edits)
    for level in range(1, max_edits + shown + 1):
        step = Step(level, level - shown, exhaustive=False, narrow_sums=False)
        for stage in STAGES:
            if not stage.applies(schedule, step):
                continue
            candidates = [c for found in stage.candidate_lists(schedule, step) for c in found]
            proven = [c for c in candidates if prove(schedule.problem, c).holds]
            yield (
                f"{level} edit{'s' if level > 1 else ''}, {stage.name}: "
                f"{len(candidates)} candidates, {len(proven)} proven"
            )
            yield from _proven(proven)
            if proven:
                return


def _proven(candidates: Sequence[Candidate]) -> Iterator[str]:
    for candidate in sorted(candidates, key=lambda each: each.cost)[:MAX_SHOWN]:
        yield f"  {_described(candidate.edits)}, cost {candidate.cost:.2f}"


def _described(edits: Edits) -> str:
    """The codes with their fields, lists of numbers shortened."""
    described = (
        " ".join(
            [edit["code"], *(f"{name}={_short(edit[name])}" for name in edit if name != "code")]
        )
        for edit in edits
    )
    return " + ".join(described) or "no edit"


def _short(value: object) -> str:
    if isinstance(value, list) and len(value) > MAX_SHOWN_NUMBERS:
        return f"[{', '.join(map(str, value[:MAX_SHOWN_NUMBERS]))}, ...]"
    return str(value)
