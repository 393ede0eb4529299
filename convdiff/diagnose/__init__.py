"""What the other side did: the simplest set of edits of the asked convolution that gives what was obtained.

This package starts no process and knows no framework.  Read it in this order: `forms` (what is combined), `hypothesis`
(what a hypothesis is) and its families `operations`, `inputs`, `kernels`, `geometry`, `outputs`, `fitted` and `reduced`; then
`windows`, `points`, `search` (how almost everything is dismissed at a few elements), `proof` (why what is left is right).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convdiff.case import Edit, Finding
from convdiff.diagnose.candidate import Candidate
from convdiff.diagnose.catalogue import sentence
from convdiff.diagnose.customs import notes
from convdiff.diagnose.problem import Problem
from convdiff.diagnose.proof import prove
from convdiff.diagnose.reduced import Making, best_making, makings
from convdiff.diagnose.search import Search
from convdiff.spec import ConvSpec

# The most edits an explanation may have; beyond, a story fits anything.
MOST_EDITS = 3
# Candidates proved at one level; the sampled elements have dismissed all but true equivalents by then.
MOST_PROOFS = 12
MOST_RIVALS = 6


@dataclass(frozen=True)
class Explanation:
    """Proven edit lists, simplest first, and the making (precision) under which they hold."""

    edits: tuple[tuple[Edit, ...], ...]
    making: Making

    def finding(self, spec: ConvSpec) -> Finding:
        """The first list as a finding, the others as its rivals; `spec` is what was asked."""
        first, *rivals = self.edits
        clauses = [sentence(edit) for edit in first]
        summary = clauses[0] if len(clauses) == 1 else ", ".join(clauses[:-1]) + "; and " + clauses[-1]
        customs = notes(first, spec)
        named = f" ({'; '.join(customs)})" if customs else ""
        return Finding(first, summary + named, rivals=tuple(rivals))


def explain(problem: Problem) -> Explanation | None:
    """The simplest proven explanation of an output that differs, or None.

    Makings are tried in turn: first the plain one, then reduced precision.
    """
    plain = Making(problem.rounding)
    found = _explain(problem, plain, MOST_EDITS)
    if found is not None:
        return found
    for making in makings(problem):
        found = _explain(making.problem(problem), making, 2)
        if found is not None:
            return found
    return None


def _explain(problem: Problem, making: Making, most: int) -> Explanation | None:
    search = Search(problem)
    for level in range(1, most + 1):
        proven: list[tuple[float, tuple[Edit, ...]]] = []
        proven += _proven(problem, search.level(level))
        if proven:
            proven.sort(key=lambda pair: pair[0])
            lists = [edits + making.edits for _, edits in proven]
            return Explanation(tuple(lists[: MOST_RIVALS + 1]), making)
    return None


def _proven(problem: Problem, candidates: list[Candidate]) -> Iterator[tuple[float, tuple[Edit, ...]]]:
    for candidate in candidates[:MOST_PROOFS]:
        proof = prove(problem, candidate)
        if proof.holds:
            yield candidate.cost, proof.edits


__all__ = ["Explanation", "Making", "Problem", "best_making", "explain"]
