"""What a caller of the check hands over to have outputs judged by more than the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from convdiff.records import Case
    from convdiff.verdict.judge import Judge


class JudgeFactory(Protocol):
    """Makes the judge of one case.

    An implementation is a frozen record that can be pickled, since it travels with its case to a
    comparing process, and one that imports its judge only in `judge`, since the host that builds
    the cases does not load the diagnosis.
    """

    def judge(self, case: Case) -> Judge:
        """The judge of `case`.  ConvdiffError where the arrays it needs cannot be read."""
