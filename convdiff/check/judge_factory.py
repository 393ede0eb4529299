"""What a caller of the check hands over to have outputs judged by more than the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from convdiff.records import Case
    from convdiff.verdict.judge import Judge


class JudgeFactory(Protocol):
    """Makes the judge of one case.

    An implementation is a frozen record that can be pickled, since it travels with its case to a
    comparing process.  It imports the judge's module only in `judge`: the host builds the cases and
    judges none.
    """

    def judge(self, case: Case) -> Judge:
        """The judge of `case`.  ConvdiffError where the arrays it needs cannot be read."""
