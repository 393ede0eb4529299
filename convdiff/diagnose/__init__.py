"""What the other side did: the simplest set of edits of the asked convolution that gives what was obtained.

This package starts no process and knows no framework.  Read it in this order: `forms` (what is combined), `hypothesis`
(what a hypothesis is) and its families `operations`, `inputs`, `kernels`, `geometry`, `outputs`, `fitted` and `reduced`; then
`windows`, `points`, `search` (how almost everything is dismissed at a few elements), `proof` (why what is left is right).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from convdiff.case import Edit, Finding
from convdiff.diagnose.candidate import Candidate
from convdiff.diagnose.catalogue import sentence
from convdiff.diagnose.customs import notes
from convdiff.diagnose.problem import Problem
from convdiff.diagnose.proof import prove
from convdiff.diagnose.reduced import Making, best_making, looks, operand_makings
from convdiff.diagnose.search import Search
from convdiff.diagnose.solving import other_weights, permuted_input, solved_kernel
from convdiff.spec import ConvSpec

# The most edits an explanation may have; beyond, a story fits anything.
MOST_EDITS = 3
# The most edits beside rounded operands or a rounded output.
MOST_EDITS_ROUNDED = 2
# Candidates proved at one level; the sampled elements have dismissed all but true equivalents by then.
MOST_PROOFS = 12
MOST_RIVALS = 6
# Products of a proof from which on it is dear, and how many explanations are then enough.
DEAR = 1 << 28
ENOUGH_IF_DEAR = 3


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


def explain(problem: Problem, most: int = MOST_EDITS) -> Explanation | None:
    """The simplest proven explanation of an output that differs, of at most `most` edits, or None.

    Makings (precisions) are tried in turn: those that the look of the values speaks for, the plain one, then operands rounded.
    An accumulator's rounding is too wide a bound to tell faults under.
    """
    plain = Search(problem)
    loose = replace(problem.rounding, dtype="bfloat16", terms=1)
    seen = [making for making in looks(problem) if making.edits[0]["where"] != "accumulator"]
    before = [(making, Search(making.problem(problem))) for making in seen]
    after = [(making, Search(making.problem(problem))) for making in operand_makings(problem)]
    for level in range(1, most + 1):
        if level == 2:
            solved = solved_kernel(problem)
            candidate = permuted_input(problem, solved) if solved is not None else None
            for _, edits in _proven(problem, [candidate] if candidate else []):
                return Explanation((edits,), Making(problem.rounding))
        # A making says something too: beside it there is one edit less.
        fewer = level - 1
        found = _first(before, fewer) if 1 <= fewer <= MOST_EDITS_ROUNDED else None
        found = found or _first([(Making(problem.rounding), plain)], level)
        if found is None and 1 <= fewer <= MOST_EDITS_ROUNDED and after and plain.level(fewer, loose):
            # Rounded operands move no element further than `loose` allows: without a survivor there is nothing for them to explain.
            found = _first(after, fewer)
        if found is not None:
            return found
    return None


def _first(turns: list[tuple[Making, Search]], level: int) -> Explanation | None:
    """The explanation under the first making that has one with so many edits."""
    for making, search in turns:
        proven = sorted(_proven(search.problem, search.level(level)), key=lambda pair: pair[0])
        if proven:
            return Explanation(tuple(edits + making.edits for _, edits in proven[: MOST_RIVALS + 1]), making)
    return None


def unexplained(problem: Problem) -> str | None:
    """What is known of an output that no edit explains: the weights that would."""
    solved = solved_kernel(problem)
    return None if solved is None else other_weights(problem, solved)


def _proven(problem: Problem, candidates: list[Candidate]) -> Iterator[tuple[float, tuple[Edit, ...]]]:
    dear = problem.obtained.size * problem.spec.terms > DEAR
    proven = 0
    for candidate in candidates[:MOST_PROOFS]:
        # Most that fail do so at once; a single item would only be proved twice.
        if dear and candidate.output.array.shape[0] > 1 and not prove(problem, candidate.first_item()).holds:
            continue
        proof = prove(problem, candidate)
        if proof.holds:
            yield candidate.cost, proof.edits
            proven += 1
            if dear and proven == ENOUGH_IF_DEAR:
                return


__all__ = ["Explanation", "Making", "Problem", "best_making", "explain", "unexplained"]
