"""What is searched in turn: with one edit, with two, with three, and at each number the common
before the odd.
"""

from __future__ import annotations

from collections.abc import Iterator

from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.fit.channel_scale_search import ChannelScaleSearch
from convdiff.diagnose.fit.order_search import ChannelOrderSearch
from convdiff.diagnose.fit.overlap import overlap_candidates
from convdiff.diagnose.hypotheses.precision import looks, narrow_sums, operand_makings
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.engine import Search

# The most edits beside sums kept in 16 bits.
MOST_EDITS_SUMS = 3
# The most edits beside a printed output.
MOST_EDITS_PRINTED = 2


class Schedule:
    """The turns for one problem; one that explains the output is the last.

    Makings (precisions) are tried too: those that the look of the values speaks for, the plain one,
    operands rounded, and at last sums kept in 16 bits.
    """

    def __init__(self, problem: Problem) -> None:
        self.search = Search(problem)
        self.shifted = ChannelScaleSearch(self.search)
        seen = [making for making in looks(problem) if making.edits[0]["where"] != "accumulator"]
        # Values that only a narrow type has were rounded to it: that allows for all that the plain
        # making does.
        self.makings = [
            making for making in seen if making.rounding.stored != problem.rounding.stored
        ] or [PrecisionModel(problem.rounding)]
        self.printed = [making for making in seen if making.rounding.extra]
        rounded = list(operand_makings(problem))
        self.rounded = [making for making in rounded if len(making.sides) > 1]
        self.one_sided = [making for making in rounded if len(making.sides) == 1]
        self.sums = list(narrow_sums(problem, seen))
        self.ordered = ChannelOrderSearch(
            self.search, [*self.makings, *(self.rounded if not self.makings[0].edits else ())]
        )

    def at(self, level: int, *, last: bool, sums: bool) -> Iterator[list[Candidate]]:
        """Candidates with so many edits, turn by turn; where it is the `last` level, those beside
        rounded operands, and `sums`, too.
        """
        # A making says something too: beside it there is one edit less.
        edits = level - len(self.makings[0].edits)
        found = [
            candidate for making in self.makings for candidate in self.search.level(edits, [making])
        ]
        if self.printed and 1 < level <= MOST_EDITS_PRINTED + 1:
            found += [
                candidate
                for making in self.printed
                for candidate in self.search.level(level - 1, [making])
            ]
        yield found
        yield list(self.ordered.level(edits))
        if edits > 1:
            yield [
                candidate
                for making in self.makings
                for candidate in self.search.level(edits, [making], crowded=True)
            ]
        yield [
            candidate for making in self.makings for candidate in self.shifted.level(edits, making)
        ]
        if edits == 2:
            yield [
                candidate
                for making in self.makings
                for candidate in overlap_candidates(self.search, making)
            ]
        if edits == level and level > 1 and self.rounded:
            # Of one operand alone only beside a single edit: it is rarer, and each takes its time.
            yield self.search.level(
                level - 1, [*self.rounded, *(self.one_sided if level == 2 else ())]
            )
            if level > 2:
                yield self.search.level(level - 1, self.rounded, crowded=True)
        if edits == level and last and self.rounded:
            yield self.search.level(level, self.rounded)
        if last and sums:
            for making in self.sums:
                for count in range(MOST_EDITS_SUMS + 1):
                    yield self.search.level(count, [making])
