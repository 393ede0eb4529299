"""A case's exit code under its `allow`, and which of its entries no longer occur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from convdiff.exit_codes import exit_code
from convdiff.pipeline.request import Request
from convdiff.records import Report, Row
from convdiff.suite_result import passes


class Ending(NamedTuple):
    """The exit code; the allowed codes that occurred; those that could have and did not."""

    exit_code: int
    allowed: tuple[str, ...]
    stale: tuple[str, ...]


def ending(report: Report, request: Request, allow: Sequence[str]) -> Ending:
    """What `report` comes to under `allow`.

    A row passes where every code of its first finding is allowed.  An entry is stale where no row's
    first finding has it and every row was judged: of one that could not run nothing is known.
    """
    code = report.exit_code
    seen = {found for row in report.rows for finding in row.findings[:1] for found in finding.codes}
    used = tuple(entry for entry in allow if entry in seen)
    if code == 1 and used:
        left = [row for row in report.rows if not _allowed(row, used)]
        code = (
            exit_code(left, require=(), fail_on=request.fail_on)
            if any(row.verdict for row in left)
            else 0
        )
    judged = bool(report.rows) and all(row.verdict is not None for row in report.rows)
    return Ending(
        code, used, tuple(entry for entry in allow if entry not in seen) if judged else ()
    )


def _allowed(row: Row, codes: tuple[str, ...]) -> bool:
    return bool(row.findings) and passes(row, codes)
