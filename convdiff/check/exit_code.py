"""A case's exit code under its `allow`, and which of the allowed codes no longer occur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from convdiff.exit_codes import exit_code
from convdiff.pipeline.request import Request
from convdiff.records import Report, Row
from convdiff.suite_result import passes


class CaseExit(NamedTuple):
    """A case's exit code, the allowed codes that occurred, and those that no longer do."""

    exit_code: int
    allowed: tuple[str, ...]
    stale: tuple[str, ...]


def case_exit(report: Report, request: Request, allow: Sequence[str]) -> CaseExit:
    """The exit code of `report` under the codes of `allow`.

    A row passes where every code of its first finding is allowed.  An allowed code is stale where
    every row was judged and no row's first finding has it; where a backend could not run, none is
    called stale.
    """
    code = report.exit_code
    found = {
        finding_code
        for row in report.rows
        for finding in row.findings[:1]
        for finding_code in finding.codes
    }
    allowed = tuple(entry for entry in allow if entry in found)
    if code == 1 and allowed:
        remaining = [row for row in report.rows if not _is_allowed(row, allowed)]
        judged = any(row.verdict for row in remaining)
        code = exit_code(remaining, require=(), fail_on=request.fail_on) if judged else 0
    all_judged = bool(report.rows) and all(row.verdict is not None for row in report.rows)
    stale = tuple(entry for entry in allow if entry not in found) if all_judged else ()
    return CaseExit(code, allowed, stale)


def _is_allowed(row: Row, codes: tuple[str, ...]) -> bool:
    return bool(row.findings) and passes(row, codes)
