"""The diagnosis of one output: its explanation, or what is known of it without one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.explain.conventions import notes
from convdiff.diagnose.explain.disambiguate import separating
from convdiff.diagnose.explain.equivalents import with_twins
from convdiff.diagnose.fit.other_weights import other_weights, solved_kernel
from convdiff.diagnose.hypotheses.registry import sentence
from convdiff.diagnose.proof import prove
from convdiff.diagnose.search.candidate import MOST_CANDIDATES, Candidate
from convdiff.diagnose.search.engine import CHEAP
from convdiff.diagnose.search.nearest_miss import nearest_miss
from convdiff.diagnose.search.schedule import Schedule
from convdiff.records import Edit, Finding
from convdiff.spec.conv_spec import ConvSpec

# The most edits an explanation may have; beyond, a story fits anything.
MOST_EDITS = 3
# Candidates proved at one level; the sampled elements have dismissed all but true equivalents by
# then.
MOST_PROOFS = 12
MOST_RIVALS = 20
# Bits that an output must hold for one edit, two, three, and rounding beside three: a little more
# than it takes to number what is tried.
EVIDENCE = (0, 20, 27, 34)
# Products of a proof from which on it is dear, and how many explanations are then enough.
DEAR = 1 << 28
ENOUGH_IF_DEAR = 3


@dataclass(frozen=True)
class Explanation:
    """Proven edit lists, simplest first."""

    edits: tuple[tuple[Edit, ...], ...]

    def finding(self, spec: ConvSpec) -> Finding:
        """The first list as a finding, the others as its rivals; `spec` is what was asked."""
        first, *rivals = self.edits
        customs = notes(first, spec)
        named = f" ({'; '.join(customs)})" if customs else ""
        return Finding(
            first,
            clauses(first) + named,
            rivals=tuple(rivals),
            notes=separating(first, rivals, spec),
        )


def clauses(edits: tuple[Edit, ...]) -> str:
    """The edits in one sentence."""
    said = [sentence(edit) for edit in edits]
    return said[0] if len(said) == 1 else ", ".join(said[:-1]) + "; and " + said[-1]


class Diagnosis:
    """What the other side did, for one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.turns = Schedule(problem)

    def explanation(self, most: int = MOST_EDITS, *, sums: bool = True) -> Explanation | None:
        """The simplest proven explanation of at most `most` edits, beside a rounded output that the
        values show; or None.

        What one slip of the hand does counts as one, however many edits it takes to tell.  Without
        `sums` none is taken that has sums kept in 16 bits.
        """
        # A size that was not asked speaks for another geometry by itself.
        other_size = self.problem.obtained.shape != self.problem.spec.shape("output")
        evidence = self.problem.bits + (EVIDENCE[2] - EVIDENCE[1]) * other_size
        enough = sum(evidence >= needed for needed in EVIDENCE)
        most = min(most, enough, MOST_EDITS)
        final = most + len(self.turns.precisions[0].edits)
        for level in range(1, final + 1):
            for candidates in self.turns.at(
                level, last=level == final and enough > most, sums=sums
            ):
                proven = sorted(
                    self._proven(sorted(candidates, key=lambda candidate: candidate.cost)),
                    key=lambda pair: pair[0],
                )
                if proven:
                    return Explanation(
                        with_twins([edits for _, edits in proven], self.problem)[: MOST_RIVALS + 1]
                    )
        return None

    def unexplained(self, agreeing: float) -> str:
        """What is known of an output that no edit explains: the weights that would, or how near the
        nearest miss came.

        `agreeing` is the share of elements that are right as asked.
        """
        solved = solved_kernel(self.turns.search)
        weights = None if solved is None else other_weights(self.problem, solved)
        if weights is not None:
            return weights
        nearest = nearest_miss(self.turns.search, self.turns.precisions[0])
        start = "no combination of known mistakes gives these numbers"
        if nearest is None or nearest[1] < agreeing + 0.05:
            return start
        edits, share = nearest
        asked = f" ({agreeing:.0%} as asked)" if agreeing >= 0.01 else ""
        return f"{start}; the nearest miss, {clauses(edits)}, gives {share:.0%} of them{asked}"

    def _proven(self, candidates: list[Candidate]) -> Iterator[tuple[float, tuple[Edit, ...]]]:
        cost = self.problem.obtained.size * self.problem.spec.terms
        dear = cost > DEAR
        proven = 0
        for candidate in candidates[: MOST_PROOFS if cost > CHEAP else MOST_CANDIDATES]:
            # Most that fail do so at once; a single item would only be proved twice.
            if (
                dear
                and candidate.output.array.shape[0] > 1
                and not prove(self.problem, candidate.first_item()).holds
            ):
                continue
            proof = prove(self.problem, candidate)
            if proof.holds:
                yield candidate.cost, proof.edits
                proven += 1
                if dear and proven == ENOUGH_IF_DEAR:
                    return
