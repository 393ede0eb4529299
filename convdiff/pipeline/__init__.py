"""The program: from a `Request` to a `Report`, one step after another (`run` reads as the list of
them).

Speed decides the order.  Workers are started before this process has even imported numpy; while
they import their frameworks the arrays are read, the code is written, the reference computed and
the saved outputs diagnosed; each row is shown as it comes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from convdiff.pipeline.request import Request
from convdiff.pipeline.select_backends import SelectedBackends, choose
from convdiff.pipeline.select_paths import settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convdiff.backends.fleet import Fleet
    from convdiff.records import Case, Report, Row

__all__ = ["OpenView", "Request", "View", "run"]


_KINDS = ("saved", "call", "backend")


class View(Protocol):
    """Who watches a run: is given each row as it comes, then the whole report."""

    def add(self, row: Row) -> None: ...

    def finish(self, report: Report) -> None: ...


class OpenView(Protocol):
    """Opens a view once the case is known; `expected` are the names of the rows in their final
    order.
    """

    def __call__(self, case: Case, expected: Sequence[str]) -> AbstractContextManager[View]: ...


def run(request: Request, open_view: OpenView) -> Report:
    """Do what was asked and show it to the view.

    Raises ConvdiffError for bad input; a backend that fails is a row.  No process is left, whatever
    happens.
    """
    chosen = choose(request)
    with _started(chosen, request) as fleet:
        # From here on numpy is imported, so nothing of this stands at the top of the module.
        from convdiff.arrays.truncated_files import exit_on_truncation
        from convdiff.exit_codes import exit_code
        from convdiff.pipeline.dispatch import ask
        from convdiff.pipeline.judge_rows import RowJudge
        from convdiff.pipeline.load_case import read_case
        from convdiff.records import Report

        exit_on_truncation()
        case = read_case(request, chosen)
        chosen = settle(chosen, fleet, request.paths, case.spec.dtype)
        expected, answers = ask(case, chosen, fleet, align=request.align, repeat=request.repeat)
        with open_view(case, expected) as view:
            judging = RowJudge(case, pictures=request.pictures)
            rows = []
            for row in judging.rows(answers):
                rows.append(row)
                view.add(row)
            # A saved output may bear a backend's name, so the kind comes first; `expected` is in
            # this order.
            rows.sort(
                key=lambda row: (_KINDS.index(row.answer.kind), expected.index(row.answer.name))
            )
            code = exit_code(rows, require=request.require, fail_on=request.fail_on)
            report = Report(case, tuple(rows), code, request.command, judging.reference_seconds)
            view.finish(report)
    return report


def _started(chosen: SelectedBackends, request: Request) -> AbstractContextManager[Fleet | None]:
    """The workers, on their way; None where nothing needs one."""
    environments = [environment for environment in chosen.needed if environment.usable]
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
