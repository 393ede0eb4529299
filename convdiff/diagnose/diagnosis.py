"""The diagnosis of one output: its simplest proven explanation, or what is known without one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.explain import wording
from convdiff.diagnose.explain.disambiguate import suggestions
from convdiff.diagnose.explain.equivalents import with_equivalents
from convdiff.diagnose.fit.added_input import with_added_input
from convdiff.diagnose.fit.computed_part import ComputedPart, computed_parts
from convdiff.diagnose.fit.in_place import updates_in_place
from convdiff.diagnose.fit.other_weights import (
    KernelDifference,
    kernel_difference,
    solve_weights,
)
from convdiff.diagnose.fit.restored_output import Restored, restored_outputs
from convdiff.diagnose.fit.whole_output import input_copy, rolled_back
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.output_overlap import OverlapAccumulated
from convdiff.diagnose.hypotheses.registry import agreeing_options, by_code
from convdiff.diagnose.nearest_miss import nearest_miss
from convdiff.diagnose.proof import prove
from convdiff.diagnose.schedule import MAX_EDITS, Schedule
from convdiff.diagnose.search.candidate import MAX_CANDIDATES_PER_LEVEL, Candidate
from convdiff.diagnose.search.engine import CHEAP_PROOF_PRODUCTS
from convdiff.records import Finding
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.pad_mode import pad_modes_of_axes

# Candidates of one batch that are proven, where a proof takes its time: the sample points have
# dismissed all but true equivalents by then.
MAX_PROOFS_PER_BATCH = 12
MAX_RIVALS = 20
# Products of one proof from which on proofs are expensive, and explanations that are then enough.
EXPENSIVE_PROOF_PRODUCTS = 1 << 28
ENOUGH_EXPENSIVE_PROOFS = 3
# The share of the elements that the nearest miss must gain over the asked convolution.
MIN_GAIN = 0.05
# The share of the elements that the nearest miss must give.
MIN_NEAREST_SHARE = 0.6


@dataclass(frozen=True)
class Explanation:
    """Proven lists of edits, the simplest first; the others are its rivals."""

    edit_lists: tuple[Edits, ...]

    @property
    def simplest(self) -> Edits:
        """The first list."""
        return self.edit_lists[0]

    @property
    def is_fitted(self) -> bool:
        """Whether numbers of the first list were read off the output."""
        known = by_code()
        return any(known[edit["code"]].is_fitted(edit) for edit in self.simplest)

    @property
    def only_rounds(self) -> bool:
        """Whether the first list moves values by no more than rounding does."""
        known = by_code()
        return all(known[edit["code"]].only_rounds(edit) for edit in self.simplest)

    def _options(self, spec: ConvSpec) -> dict[str, object]:
        """The settings that ask for the first list, in the shortest of its equivalent forms."""
        codes = [edit["code"] for edit in self.simplest]
        alike = [each for each in self.edit_lists if [edit["code"] for edit in each] == codes]
        options = [agreeing_options(edits, spec) for edits in alike]
        if not options[0]:
            return {}
        return min(filter(None, options), key=lambda each: len(str(each)))

    def finding(self, spec: ConvSpec) -> Finding:
        """As a finding, with the words for it; `spec` is what was asked."""
        first, *rivals = self.edit_lists
        notes = suggestions(first, rivals, spec)
        return Finding(
            first,
            wording.summary(first, spec),
            rivals=tuple(rivals),
            notes=notes,
            options=self._options(spec),
        )


@dataclass(frozen=True)
class Unexplained:
    """What is known of an output that no edits explain.

    `weights` is how the kernel that would explain it differs from the given one; else `nearest` may
    be the edits that make most of it right, and the share that they give.  `agreeing` is the share
    of elements that are right as asked.
    """

    agreeing: float
    weights: KernelDifference | None = None
    nearest: tuple[Edits, float] | None = None

    def text(self, spec: ConvSpec) -> str:
        """In words; `spec` is what was asked."""
        if self.weights is not None:
            return wording.other_weights(self.weights, spec)
        return wording.nothing_explains(self.nearest, self.agreeing)


class Diagnosis:
    """What the other side did, for one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._schedule = Schedule(problem)
        self._rolled: dict[bool, list[tuple[Restored, Diagnosis]]] = {}

    def explanation(
        self, max_edits: int = MAX_EDITS, *, narrow_sums: bool = True
    ) -> Explanation | None:
        """The simplest proven explanation with at most `max_edits` edits; None if there is none.

        A rounded output that the values show comes on top of these.  A mistake counts as one edit
        even where it takes several to describe it (np.flip without axis=).  Without `narrow_sums`,
        sums that were kept in 16 bits are no explanation.
        """
        for edits, lists in self._schedule.candidate_lists(max_edits, narrow_sums=narrow_sums):
            found = self._with_averages(self._first_proven(lists), edits)
            found = self._with_whole_outputs(found, edits)
            found = self._with_restored_outputs(found, edits)
            found = found or self._beside(self._computed_parts, edits)
            if found:
                return Explanation(found[: MAX_RIVALS + 1])
        return None

    @property
    def believable_edits(self) -> int:
        """How many edits the obtained values are evidence enough for."""
        return self._schedule.believable_edits()

    def proven_with(self, edits: int) -> tuple[Edits, ...]:
        """The proven lists of so many edits; with 0, an empty list where the output is right."""
        found = self._first_proven(self._schedule.lists_with(edits))
        if edits == 0:
            return found
        found = self._with_restored_outputs(self._with_whole_outputs(found, edits), edits)
        return found or self._beside(self._computed_parts, edits)

    def unexplained(self, agreeing: float) -> Unexplained:
        """What is known of the output without an explanation: other weights, or the nearest miss.

        `agreeing` is the share of elements that are right as asked.
        """
        search, precision = self._schedule.search, self._schedule.precisions[0]
        solved = solve_weights(search)
        weights = None if solved is None else kernel_difference(self.problem, solved)
        if weights is not None:
            return Unexplained(agreeing, weights)
        nearest = nearest_miss(search, precision)
        if nearest is None or nearest[1] < max(agreeing + MIN_GAIN, MIN_NEAREST_SHARE):
            return Unexplained(agreeing)
        return Unexplained(agreeing, nearest=nearest)

    def _first_proven(self, lists: Iterable[list[Candidate]]) -> tuple[Edits, ...]:
        """The proven edits of the first list that has any, the cheapest first; () if none has."""
        for candidates in lists:
            cheapest_first = sorted(candidates, key=lambda candidate: candidate.cost)
            proven = sorted(self._proven(cheapest_first), key=lambda pair: pair[0])
            if proven:
                return tuple(with_equivalents([edits for _, edits in proven], self.problem))
        return ()

    def _with_averages(self, found: tuple[Edits, ...], edits: int) -> tuple[Edits, ...]:
        """The proven edits, so many in each, with averages by count before fitted counts.

        Counts that were fitted say less than counts that are known.
        """
        if not any(edit["code"] == OverlapAccumulated.code for each in found for edit in each):
            return found
        averages = self._first_proven(self._schedule.border_lists(edits))
        return (*(each for each in averages if each not in found), *found)

    def _with_whole_outputs(self, found: tuple[Edits, ...], edits: int) -> tuple[Edits, ...]:
        """The proven edits, so many in each, with an output that is the input or is rolled."""
        if edits == 0:
            return found
        copy = input_copy(self.problem) if edits == 1 else None
        if copy is not None:
            low, high = self.problem.obtained_range
            # A copy is exact.  A number that was fitted says less, unless all values are equal.
            copy_first = not found or (low < high and Explanation(found).is_fitted)
            return ((copy,), *found) if copy_first else (*found, (copy,))
        if found and not any(map(self._may_be_rolled, found)):
            return found
        rolled = self._beside(self._rolled_back(beside_edits=edits > 1), edits)
        # A kernel as large as the input is one for a Fourier transform, with its origin elsewhere.
        spec = self.problem.spec
        return (*rolled, *found) if spec.kernel_size == spec.input_size else (*found, *rolled)

    def _may_be_rolled(self, edits: Edits) -> bool:
        """Whether the edits move windows whose padding wraps around, which rolls the output."""
        modes = [edit["obtained"] for edit in edits if edit["code"] == "wrong-pad-mode"]
        moves = any(edit["code"] == "wrong-padding" for edit in edits)
        mode = modes[0] if modes else self.problem.spec.pad_mode
        return moves and "wrap" in pad_modes_of_axes(mode, 1)

    @cached_property
    def _computed_parts(self) -> list[tuple[ComputedPart, Diagnosis]]:
        """The parts of the output that may be all that was computed, with their diagnoses."""
        return [(part, Diagnosis(part.problem)) for part in computed_parts(self.problem)]

    @cached_property
    def _restored_outputs(self) -> list[tuple[Restored, Diagnosis]]:
        """The output restored in the ways that the shapes allow, with their diagnoses."""
        restored = itertools.chain(
            restored_outputs(self.problem),
            updates_in_place(self.problem),
            with_added_input(self.problem),
        )
        return [(each, Diagnosis(each.problem)) for each in restored]

    def _with_restored_outputs(self, found: tuple[Edits, ...], edits: int) -> tuple[Edits, ...]:
        """The proven edits, so many in each, with those of which one is undone first."""
        known = by_code()
        is_ambiguous = edits == 1 and any(
            known[edit["code"]].may_look_restored for each in found for edit in each
        )
        if edits == 0 or (found and not is_ambiguous):
            return found
        restored = (self._beside([pair], edits) for pair in self._restored_outputs)
        unique: list[Edits] = []
        for each in (each for lists in restored for each in lists):
            if each not in unique:
                unique.append(each)
        known_first = bool(found) and Explanation(found).is_fitted
        return (*unique, *found) if known_first else (*found, *unique)

    def _rolled_back(self, *, beside_edits: bool) -> list[tuple[Restored, Diagnosis]]:
        """The output rolled back by the likely shifts, with their diagnoses."""
        if beside_edits not in self._rolled:
            found = rolled_back(self._schedule.search, beside_edits=beside_edits)
            self._rolled[beside_edits] = [(each, Diagnosis(each.problem)) for each in found]
        return self._rolled[beside_edits]

    def _beside(
        self, others: Sequence[tuple[ComputedPart | Restored, Diagnosis]], edits: int
    ) -> tuple[Edits, ...]:
        """Explanations with so many edits by which another problem is right but for some of them.

        Those of the first of the other problems that has any.
        """
        for other, diagnosis in others:
            beside = edits - len(other.edits)
            # The other problem must be evidence enough for the edits that lead to it, too.
            if beside < 0 or diagnosis._schedule.believable_edits() < edits + 1:
                continue
            found = diagnosis._first_proven(diagnosis._schedule.lists_with(beside))
            full = (other.full_edits(each) for each in found)
            restored = tuple(each for each in full if each is not None and len(each) <= edits)
            if restored:
                return tuple(sorted(restored, key=len))
        return ()

    def _proven(self, candidates: list[Candidate]) -> Iterator[tuple[float, Edits]]:
        """The cost and the edits of those that reproduce every element, in the given order."""
        products = self.problem.obtained.size * self.problem.spec.terms
        is_expensive = products > EXPENSIVE_PROOF_PRODUCTS
        proven = 0
        for candidate in candidates[
            : MAX_PROOFS_PER_BATCH if products > CHEAP_PROOF_PRODUCTS else MAX_CANDIDATES_PER_LEVEL
        ]:
            # Most that fail do so on the first batch item.
            several = candidate.output.array.shape[0] > 1
            if is_expensive and several and not prove(self.problem, candidate.first_item()).holds:
                continue
            proof = prove(self.problem, candidate)
            if proof.holds:
                yield candidate.cost, proof.edits
                proven += 1
                if is_expensive and proven == ENOUGH_EXPENSIVE_PROOFS:
                    return
