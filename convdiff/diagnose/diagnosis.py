"""The diagnosis of one output: its simplest proven explanation, or what is known without one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.explain.disambiguate import suggestions
from convdiff.diagnose.explain.equivalents import with_equivalents
from convdiff.diagnose.fit.other_weights import describe_other_weights, solve_weights
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.registry import by_code, common_names, sentence
from convdiff.diagnose.nearest_miss import nearest_miss
from convdiff.diagnose.proof import prove
from convdiff.diagnose.schedule import MAX_EDITS, Schedule
from convdiff.diagnose.search.candidate import MAX_CANDIDATES_PER_LEVEL, Candidate
from convdiff.diagnose.search.engine import CHEAP_PROOF_PRODUCTS
from convdiff.records import Finding
from convdiff.spec.conv_spec import ConvSpec

# Candidates of one batch that are proven, where a proof takes its time: the sample points have
# dismissed all but true equivalents by then.
MAX_PROOFS_PER_BATCH = 12
MAX_RIVALS = 20
# Products of one proof from which on proofs are dear, and explanations that are then enough.
DEAR_PROOF_PRODUCTS = 1 << 28
ENOUGH_DEAR_PROOFS = 3
# By how much more of the elements the nearest miss must give than what was asked, to be reported.
MIN_GAIN = 0.05


@dataclass(frozen=True)
class Explanation:
    """Proven lists of edits, the simplest first; the others are its rivals."""

    edits: tuple[Edits, ...]

    @property
    def is_fitted(self) -> bool:
        """Whether numbers of the first list were read off the output."""
        known = by_code()
        return any(known[edit["code"]].is_fitted for edit in self.edits[0])

    def finding(self, spec: ConvSpec) -> Finding:
        """As a finding, with the words for it; `spec` is what was asked."""
        first, *rivals = self.edits
        names = common_names(first, spec)
        named = f" ({'; '.join(names)})" if names else ""
        notes = suggestions(first, rivals, spec)
        return Finding(first, clauses(first) + named, rivals=tuple(rivals), notes=notes)


def clauses(edits: Edits) -> str:
    """The edits in one sentence."""
    sentences = [sentence(edit) for edit in edits]
    if len(sentences) == 1:
        return sentences[0]
    return ", ".join(sentences[:-1]) + "; and " + sentences[-1]


class Diagnosis:
    """What the other side did, for one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._schedule = Schedule(problem)

    def explanation(
        self, max_edits: int = MAX_EDITS, *, narrow_sums: bool = True
    ) -> Explanation | None:
        """The simplest proven explanation with at most `max_edits` edits; None if there is none.

        A rounded output that the values show comes on top of these.  What one slip does counts as
        one edit, however many it takes to describe.  Without `narrow_sums`, sums that were kept in
        16 bits are no explanation.
        """
        for candidates in self._schedule.batches(max_edits, narrow_sums=narrow_sums):
            cheapest_first = sorted(candidates, key=lambda candidate: candidate.cost)
            proven = sorted(self._proven(cheapest_first), key=lambda pair: pair[0])
            if proven:
                found = with_equivalents([edits for _, edits in proven], self.problem)
                return Explanation(found[: MAX_RIVALS + 1])
        return None

    def unexplained(self, agreeing: float) -> str:
        """What is known of an output that no edit explains: other weights, or the nearest miss.

        `agreeing` is the share of elements that are right as asked.
        """
        solved = solve_weights(self._schedule.search)
        weights = None if solved is None else describe_other_weights(self.problem, solved)
        if weights is not None:
            return weights
        nearest = nearest_miss(self._schedule.search, self._schedule.precisions[0])
        start = "no combination of known mistakes gives these numbers"
        if nearest is None or nearest[1] < agreeing + MIN_GAIN:
            return start
        edits, share = nearest
        asked = f" ({agreeing:.0%} as asked)" if agreeing >= 0.01 else ""
        return f"{start}; the nearest miss, {clauses(edits)}, gives {share:.0%} of them{asked}"

    def _proven(self, candidates: list[Candidate]) -> Iterator[tuple[float, Edits]]:
        """The cost and the edits of those that reproduce every element, in the given order."""
        products = self.problem.obtained.size * self.problem.spec.terms
        dear = products > DEAR_PROOF_PRODUCTS
        proven = 0
        for candidate in candidates[
            : MAX_PROOFS_PER_BATCH if products > CHEAP_PROOF_PRODUCTS else MAX_CANDIDATES_PER_LEVEL
        ]:
            # Most that fail do so on the first batch item.
            several = candidate.output.array.shape[0] > 1
            if dear and several and not prove(self.problem, candidate.first_item()).holds:
                continue
            proof = prove(self.problem, candidate)
            if proof.holds:
                yield candidate.cost, proof.edits
                proven += 1
                if dear and proven == ENOUGH_DEAR_PROOFS:
                    return
