"""What `convdiff check` found: one record a case, and the suite of them.  Reports of every format
read these.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

from convdiff.records import Report, Row

AGREEING = ("identical", "rounding")


@dataclass(frozen=True)
class InputAgreement:
    """How far a port's inputs are from the source's, as a share of their size (None: of another
    shape), and what rounding explains.
    """

    apart: float | None
    limit: float
    same: bool


@dataclass(frozen=True)
class CaseResult:
    """One case's outcome: a report, or the trouble that kept it from one.

    `place` is where it is written ("manifest.toml:12").  `allowed` are the codes of `allow` that
    occurred, `stale` those that did not and could have.  `notes` are sentences about the case among
    others ("only fed wrong inputs").  `fed` is a port's, and `kind` why one fails whose rows do
    not: "fed wrong", or "lost" where the port has no such layer.  Arrays have been let go: the
    report's case and answers have none.
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
    kind: str = ""
    fed: InputAgreement | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """The report's rows; none where there is no report."""
        return self.report.rows if self.report else ()

    @property
    def failing(self) -> tuple[Row, ...]:
        """The rows that are not as they should be, those of allowed findings left out."""
        found = tuple(row for row in self.rows if not passes(row, self.allowed))
        if found or not self.exit_code or self.kind:
            return found
        # Where nothing else is wrong, rounding was asked to fail, or what could not run was
        # required.
        return tuple(
            row for row in self.rows if row.verdict == ("rounding" if self.exit_code == 1 else None)
        )

    @property
    def state(self) -> str:
        """`agrees`, `allowed` (differs as `allow` has it), `differs`, `fed wrong`, `lost` or
        `trouble`.
        """
        if self.exit_code == 0:
            return "allowed" if self.allowed else "agrees"
        return self.kind or ("differs" if self.exit_code == 1 else "trouble")

    def to_dict(self) -> dict[str, object]:
        """The contract's case object: the report and the name, and what only a suite knows."""
        empty: dict[str, object] = {
            "schema": "convdiff/1",
            "spec": None,
            "notes": [],
            "exit_code": 2,
            "command": None,
            "rows": [],
        }
        known = self.report.to_dict() if self.report else empty
        own: dict[str, object] = {"fed": asdict(self.fed)} if self.fed else {}
        own |= {
            "message": self.trouble,
            "place": self.place,
            "allowed": list(self.allowed),
            "stale": list(self.stale),
        }
        return {
            "name": self.name,
            **known,
            "exit_code": self.exit_code,
            **own,
            "notes": [*self.notes, *self._notes()],
        }

    def _notes(self) -> tuple[str, ...]:
        return self.report.case.notes if self.report else ()


@dataclass(frozen=True)
class Suite:
    """All cases of one `check`.  `notes` concern no single case ("3 cases were not run")."""

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
        """The contract's object of `check`."""
        return {
            "schema": "convdiff/1",
            "command": self.command,
            "notes": list(self.notes),
            "cases": [case.to_dict() for case in self.cases],
            "exit_code": self.exit_code,
        }


def passes(row: Row, allowed: tuple[str, ...]) -> bool:
    """Whether the row agrees, or departs as was allowed: every edit of its finding bears an allowed
    code.
    """
    if row.findings and set(row.findings[0].codes) <= set(allowed):
        return True
    return row.verdict in AGREEING or (
        row.verdict is None and row.answer.status in ("unavailable", "unsupported")
    )


def alone(report: Report, name: str = "run") -> Suite:
    """The suite of one report, so that what reads suites reads `convdiff run` too."""
    trouble = "nothing was compared" if report.exit_code == 2 and not report.rows else None
    return Suite(
        (CaseResult(name, "", report.exit_code, report, trouble),), report.exit_code, report.command
    )
