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
from convdiff.diagnose.making import Making
from convdiff.diagnose.permuted import PermutedInput
from convdiff.diagnose.problem import Problem
from convdiff.diagnose.proof import prove
from convdiff.diagnose.reduced import best_making, looks, operand_makings
from convdiff.diagnose.search import CHEAP, MOST_CANDIDATES, Search
from convdiff.diagnose.solving import other_weights, solved_kernel
from convdiff.diagnose.twins import with_twins
from convdiff.spec import ConvSpec

# The most edits an explanation may have; beyond, a story fits anything.
MOST_EDITS = 3
# The most edits beside rounded operands or a rounded output.
MOST_EDITS_ROUNDED = 2
# Candidates proved at one level; the sampled elements have dismissed all but true equivalents by then.
MOST_PROOFS = 12
MOST_RIVALS = 20
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
        clauses = [sentence(edit) for edit in first]
        summary = clauses[0] if len(clauses) == 1 else ", ".join(clauses[:-1]) + "; and " + clauses[-1]
        customs = notes(first, spec)
        named = f" ({'; '.join(customs)})" if customs else ""
        return Finding(first, summary + named, rivals=tuple(rivals))


def explain(problem: Problem, most: int = MOST_EDITS) -> Explanation | None:
    """The simplest proven explanation of an output that differs, of at most `most` edits, or None.

    Makings (precisions) are tried in turn: those that the look of the values speaks for, the plain one, then operands rounded.
    An accumulator's rounding is too wide a bound to tell faults under.
    """
    turns = _Turns(problem)
    for level in range(1, most + 1):
        for candidates in turns.at(level):
            proven = sorted(_proven(problem, sorted(candidates, key=lambda candidate: candidate.cost)), key=lambda pair: pair[0])
            if proven:
                told = with_twins([edits for _, edits in proven], problem)
                return Explanation(told[: MOST_RIVALS + 1])
    return None


class _Turns:
    """What is searched with so many edits, in turn: the common first; a turn that explains is the last."""

    def __init__(self, problem: Problem) -> None:
        self.search = Search(problem)
        seen = [making for making in looks(problem) if making.edits[0]["where"] != "accumulator"]
        # Values that only a narrow type has were rounded to it: that allows for all that the plain making does.
        self.makings = [making for making in seen if making.rounding.stored != problem.rounding.stored] or [Making(problem.rounding)]
        self.printed = [making for making in seen if making.rounding.extra]
        self.rounded = list(operand_makings(problem))
        self.permuted = [PermutedInput(self.search, making) for making in self.makings]

    def at(self, level: int) -> Iterator[list[Candidate]]:
        # A making says something too: beside it there is one edit less.
        edits = level - len(self.makings[0].edits)
        found = [candidate for making in self.makings for candidate in self.search.level(edits, [making])]
        if self.printed and 1 < level <= MOST_EDITS_ROUNDED + 1:
            found += [candidate for making in self.printed for candidate in self.search.level(level - 1, [making])]
        yield found
        yield [candidate for permuted in self.permuted for candidate in permuted.level(edits)]
        if edits > 1:
            yield [candidate for making in self.makings for candidate in self.search.level(edits, [making], crowded=True)]
        if edits == level and 1 < level <= MOST_EDITS_ROUNDED + 1 and self.rounded:
            yield self.search.level(level - 1, self.rounded)


def unexplained(problem: Problem) -> str | None:
    """What is known of an output that no edit explains: the weights that would."""
    solved = solved_kernel(problem)
    return None if solved is None else other_weights(problem, solved)


def _proven(problem: Problem, candidates: list[Candidate]) -> Iterator[tuple[float, tuple[Edit, ...]]]:
    cost = problem.obtained.size * problem.spec.terms
    dear = cost > DEAR
    proven = 0
    for candidate in candidates[: MOST_PROOFS if cost > CHEAP else MOST_CANDIDATES]:
        # Most that fail do so at once; a single item would only be proved twice.
        if dear and candidate.output.array.shape[0] > 1 and not prove(problem, candidate.first_item()).holds:
            continue
        proof = prove(problem, candidate)
        if proof.holds:
            yield candidate.cost, proof.edits
            proven += 1
            if dear and proven == ENOUGH_IF_DEAR:
                return


__all__ = ["MOST_EDITS", "Explanation", "Making", "Problem", "best_making", "explain", "unexplained"]
