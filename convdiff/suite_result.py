"""What `convdiff check` found: a result for each case, and the suite of them.

Every report format reads these records.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from convdiff.records import Report, Row

AGREEING = ("identical", "rounding")

# Why a port's layer fails although none of its rows does: its input differs from the source's, or
# the port has no such layer.  The words are shown as the case's state.
FailureKind = Literal["", "fed wrong", "lost"]


@dataclass(frozen=True)
class InputAgreement:
    """How far the port's input of a layer is from the source's, and how far rounding may bring it.

    `distance` and `limit` are shares of the input's size (root mean square); `distance` is None
    where the shapes differ.
    """

    distance: float | None
    limit: float

    @property
    def same(self) -> bool:
        """Whether rounding explains the distance."""
        return self.distance is not None and self.distance <= self.limit

    def to_dict(self) -> dict[str, object]:
        """The object `fed` of a case in the JSON report."""
        return {"apart": self.distance, "limit": self.limit, "same": self.same}


@dataclass(frozen=True)
class CaseResult:
    """The result of one case: a report, or the trouble that kept it from one.

    `place` is where the case is written ("manifest.toml:12").  `allowed` are the codes of `allow`
    that occurred, `stale` those that no longer do.  `notes` are sentences on the case within its
    suite.  `input_agreement` is set for a port's layer, and `failure_kind` where it fails although
    none of its rows does.  The report's case and answers hold no arrays.
    """

    name: str
    place: str
    exit_code: int
    report: Report | None = None
    trouble: str | None = None
    allowed: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    failure_kind: FailureKind = ""
    input_agreement: InputAgreement | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """The report's rows; none where there is no report."""
        return self.report.rows if self.report else ()

    @property
    def failing(self) -> tuple[Row, ...]:
        """The rows that make the case fail, without those whose findings are allowed."""
        differing = tuple(row for row in self.rows if not passes(row, self.allowed))
        if differing or not self.exit_code or self.failure_kind:
            return differing
        # No row differs: the case fails because --fail-on names rounding, or because a required
        # backend could not run.
        verdict = "rounding" if self.exit_code == 1 else None
        return tuple(row for row in self.rows if row.verdict == verdict)

    @property
    def state(self) -> str:
        """`agrees`, `allowed` (it differs as `allow` permits), `differs`, `trouble`, or the failure
        kind.
        """
        if self.exit_code == 0:
            return "allowed" if self.allowed else "agrees"
        return self.failure_kind or ("differs" if self.exit_code == 1 else "trouble")

    def to_dict(self) -> dict[str, object]:
        """The case's object in the JSON report: its run's report, and what only a suite knows."""
        without_report: dict[str, object] = {
            "schema": "convdiff/1",
            "spec": None,
            "notes": [],
            "exit_code": 2,
            "command": None,
            "rows": [],
            "groups": [],
        }
        agreement = self.input_agreement
        return {
            "name": self.name,
            **(self.report.to_dict() if self.report else without_report),
            "exit_code": self.exit_code,
            **({"fed": agreement.to_dict()} if agreement else {}),
            "message": self.trouble,
            "place": self.place,
            "allowed": list(self.allowed),
            "stale": list(self.stale),
            "notes": [*self.notes, *(self.report.case.notes if self.report else ())],
        }


@dataclass(frozen=True)
class Suite:
    """All cases of one `check`.  `notes` concern the whole suite ("3 cases were not run")."""

    cases: tuple[CaseResult, ...]
    exit_code: int
    command: str
    notes: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def counts(self) -> Counter[str]:
        """How many cases are in each state."""
        return Counter(case.state for case in self.cases)

    def to_dict(self) -> dict[str, object]:
        """The JSON report of `check`."""
        return {
            "schema": "convdiff/1",
            "command": self.command,
            "notes": list(self.notes),
            "cases": [case.to_dict() for case in self.cases],
            "exit_code": self.exit_code,
        }


def passes(row: Row, allowed: tuple[str, ...]) -> bool:
    """Whether the row agrees, could not run, or differs as allowed.

    It does if every edit of its first finding has an allowed code.
    """
    if row.findings and set(row.findings[0].codes) <= set(allowed):
        return True
    return row.verdict in AGREEING or (
        row.verdict is None and row.answer.status in ("unavailable", "unsupported")
    )


def single_case_suite(report: Report, name: str = "run") -> Suite:
    """The suite of one report, so that the report formats of suites serve `convdiff run` too."""
    trouble = "nothing was compared" if report.exit_code == 2 and not report.rows else None
    case = CaseResult(name, "", report.exit_code, report, trouble)
    return Suite((case,), report.exit_code, report.command)
