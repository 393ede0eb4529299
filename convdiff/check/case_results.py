"""A checked case as a CaseResult: from its report, or from the trouble that kept it from one.

The local run and the cluster's client both build their results here.  Imports stand inside the
functions where they load what the host needs only once the first case is done.
"""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from convdiff.check.cases import CheckCase

if TYPE_CHECKING:
    from convdiff.records import Report
    from convdiff.suite_result import CaseResult


def case_result(case: CheckCase, report: Report, began: float) -> CaseResult:
    """The result of a case that was compared; `began` is its start by time.monotonic()."""
    from dataclasses import replace

    from convdiff.check.exit_code import case_exit
    from convdiff.suite_result import CaseResult

    assert case.request is not None
    exit = case_exit(report, case.request, case.entry.allow)
    named_report = replace(
        report, case=replace(report.case, name=case.entry.name), command=rerun_command(case)
    )
    return CaseResult(
        case.entry.name,
        case.entry.place,
        exit.exit_code,
        named_report,
        None,
        exit.allowed,
        # What [defaults] allows may be stale in one case and occur in another.
        exit.stale if "allow" in case.entry.own_keys else (),
        seconds=time.monotonic() - began,
    )


def trouble_result(case: CheckCase, message: str, began: float) -> CaseResult:
    """The result of a case that could not be checked."""
    from convdiff.suite_result import CaseResult

    seconds = time.monotonic() - began
    return CaseResult(case.entry.name, case.entry.place, 2, trouble=message, seconds=seconds)


def rerun_command(case: CheckCase) -> str:
    """The command that checks this case alone."""
    return shlex.join(["convdiff", "check", str(case.entry.path), "--case", case.entry.name])
