"""What is searched in turn: with one edit, with two, with three, and at each number the common
before the odd.
"""

from __future__ import annotations

from collections.abc import Iterator

from convdiff.diagnose.core.precision_fit import narrow_sum_models, operand_models
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.fit.channel_scale_search import ChannelScaleSearch
from convdiff.diagnose.fit.order_search import ChannelOrderSearch
from convdiff.diagnose.fit.overlap import counted
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.engine import Search

# The most edits beside sums kept in 16 bits.
MOST_EDITS_SUMS = 3
# The most edits beside a printed output.
MOST_EDITS_PRINTED = 2


class Schedule:
    """The turns for one problem; one that explains the output is the last.

    Precision models are tried too: those that the look of the values speaks for, the plain one,
    operands rounded, and at last sums kept in 16 bits.
    """

    def __init__(self, problem: Problem) -> None:
        self.search = Search(problem)
        self.shifted = ChannelScaleSearch(self.search)
        seen = [
            precision
            for precision in problem.suggested_models
            if precision.edits[0]["where"] != "accumulator"
        ]
        # Values that only a narrow type has were rounded to it: that allows for all that the plain
        # precision does.
        self.precisions = [
            precision
            for precision in seen
            if precision.rounding.stored_dtype != problem.rounding.stored_dtype
        ] or [PrecisionModel(problem.rounding)]
        self.printed = [precision for precision in seen if precision.rounding.decimal_error]
        rounded = list(operand_models(problem))
        self.rounded = [precision for precision in rounded if len(precision.rounded_operands) > 1]
        self.one_sided = [
            precision for precision in rounded if len(precision.rounded_operands) == 1
        ]
        self.sums = list(narrow_sum_models(problem))
        self.ordered = ChannelOrderSearch(
            self.search, [*self.precisions, *(self.rounded if not self.precisions[0].edits else ())]
        )

    def at(self, level: int, *, last: bool, sums: bool) -> Iterator[list[Candidate]]:
        """Candidates with so many edits, turn by turn; where it is the `last` level, those beside
        rounded operands, and `sums`, too.
        """
        # A precision says something too: beside it there is one edit less.
        edits = level - len(self.precisions[0].edits)
        found = [
            candidate
            for precision in self.precisions
            for candidate in self.search.level(edits, [precision])
        ]
        if self.printed and 1 < level <= MOST_EDITS_PRINTED + 1:
            found += [
                candidate
                for precision in self.printed
                for candidate in self.search.level(level - 1, [precision])
            ]
        yield found
        yield list(self.ordered.level(edits))
        if edits > 1:
            yield [
                candidate
                for precision in self.precisions
                for candidate in self.search.level(edits, [precision], crowded=True)
            ]
        yield [
            candidate
            for precision in self.precisions
            for candidate in self.shifted.level(edits, precision)
        ]
        if edits == 2:
            yield [
                candidate
                for precision in self.precisions
                for candidate in counted(self.search, precision)
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
            for precision in self.sums:
                for count in range(MOST_EDITS_SUMS + 1):
                    yield self.search.level(count, [precision])
