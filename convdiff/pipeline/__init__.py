"""The program behind `convdiff run`: from a `Request` to a `Report`.

`run` is the list of steps, one module each:

    request           what the user asked for: names of files and options, nothing opened yet
    select_backends   which environments the request needs, and which code runs in them
    (backends.fleet)  their worker processes are started
    load_case         the arrays are read and checked against the convolution: a `Case`
    select_paths      which execution paths the workers have: a row for each that was asked for
    dispatch          the code for each row is written and sent to its worker; answers come back
    judge_rows        each answer becomes a `Row`: verdict, findings, fix, picture

Beside these stand `row_names` (a unique name for every row), `export_code` (the script that
`convdiff code` prints) and `self_test` (what `convdiff backends` lists).  `convdiff check` runs the
same steps for many cases at once (`convdiff.check`).

Invariants, all for speed:

- numpy is not imported before the workers have started: they import their frameworks while this
  process imports numpy and reads the arrays.  `request`, `select_backends` and `select_paths`
  therefore import no numpy, and the other steps are imported inside `run`.
- The workers have all their jobs before the first answer is awaited; the reference is computed and
  the saved outputs are diagnosed meanwhile.
- Each row is shown as soon as it is judged.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from convdiff.pipeline.request import Request
from convdiff.pipeline.select_backends import SelectedBackends, select_backends
from convdiff.pipeline.select_paths import select_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convdiff.backends.fleet import Fleet
    from convdiff.records import Case, Report, Row

__all__ = ["OpenView", "Request", "View", "run"]


class View(Protocol):
    """Shows a run to the user: gets each row as it comes, then the report."""

    def add(self, row: Row) -> None: ...

    def finish(self, report: Report) -> None: ...


class OpenView(Protocol):
    """Opens a view of `case`; `expected` are the names of the rows in their final order."""

    def __call__(self, case: Case, expected: Sequence[str]) -> AbstractContextManager[View]: ...


def run(request: Request, open_view: OpenView) -> Report:
    """Make the comparison that `request` describes, and show it in the view.

    Raises ConvdiffError for bad input.  A backend that fails is a row, not an error.  No worker
    process is left behind, whatever happens.
    """
    selected = select_backends(request)
    with _start_workers(selected, request) as fleet:
        # These import numpy, which must wait until the workers have started.
        from convdiff.arrays.truncated_files import exit_on_truncation
        from convdiff.exit_codes import exit_code
        from convdiff.pipeline.dispatch import dispatch
        from convdiff.pipeline.judge_rows import RowJudge
        from convdiff.pipeline.load_case import load_case
        from convdiff.records import Report

        exit_on_truncation()
        case = load_case(request, selected)
        selected = select_paths(selected, fleet, request.paths, case.spec.dtype)
        expected, answers = dispatch(
            case, selected, fleet, align=request.align, repeat=request.repeat
        )
        with open_view(case, expected) as view:
            judge = RowJudge(case, pictures=request.pictures)
            rows = []
            for row in judge.rows(answers):
                rows.append(row)
                view.add(row)
            rows = _in_final_order(rows, expected)
            code = exit_code(rows, require=request.require, fail_on=request.fail_on)
            report = Report(
                case,
                tuple(rows),
                code,
                request.command,
                judge.reference_seconds,
                judge.groups(rows),
            )
            view.finish(report)
    return report


def _in_final_order(rows: Sequence[Row], expected: Sequence[str]) -> list[Row]:
    """Saved outputs, then calls, then backends, each in the order of `expected`."""
    # By kind first: a saved output may have the name of a backend.
    kinds = ("saved", "call", "backend")
    return sorted(
        rows, key=lambda row: (kinds.index(row.answer.kind), expected.index(row.answer.name))
    )


def _start_workers(
    selected: SelectedBackends, request: Request
) -> AbstractContextManager[Fleet | None]:
    """The worker processes, starting up; None where no environment is needed."""
    environments = [environment for environment in selected.environments if environment.usable]
    if not environments:
        return nullcontext()
    from convdiff.backends.fleet import Fleet

    fleet = Fleet(environments, timeout=request.timeout)
    try:
        fleet.start()
    except BaseException:
        fleet.close()
        raise
    return fleet
