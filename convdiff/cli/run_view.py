"""Shows a run on stdout: as a table that fills up, or at its end as JSON or for GitHub."""

from __future__ import annotations

import errno
import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING

import click

from convdiff.cli.run_progress import CLEAR_LINE

if TYPE_CHECKING:
    from rich.console import Console

    from convdiff.pipeline import OpenView, View
    from convdiff.records import Case, Report, Row


def command_line() -> str:
    """The command that is running, quoted for a shell."""
    return shlex.join(["convdiff", *sys.argv[1:]])


def view(
    format: str, *, to_stderr: bool, color: bool | None, awaits_paths: bool = False
) -> OpenView:
    """The view of a run in `format`: "table", "json" or "github".

    With `to_stderr` the table goes there; `color` is None where the terminal and NO_COLOR decide.
    With `awaits_paths` a line on the terminal says, until the view is opened, that the backends are
    asked which paths they have.
    """
    wiping = ExitStack()
    if awaits_paths and sys.stderr is not None and sys.stderr.isatty():
        click.echo("waiting for the backends to report their paths", err=True, nl=False)
        wiping.callback(click.echo, CLEAR_LINE, err=True, nl=False)
        # An error may end the run before the view is opened.
        click.get_current_context().call_on_close(wiping.close)

    def open_view(case: Case, expected: Sequence[str]) -> AbstractContextManager[View]:
        wiping.close()
        if format != "table":
            return _with_progress(nullcontext(_FinalView(format)), expected)
        from convdiff.report.run_report import open_view as open_table

        screen = console(to_stderr=to_stderr, color=color)
        table = open_table(case, screen, expected)
        return table if screen.file.isatty() else _with_progress(table, expected)

    return open_view


def console(*, to_stderr: bool = False, color: bool | None) -> Console:
    """The console that tables are printed on."""
    from rich.console import Console

    class PipeConsole(Console):
        """A console that leaves a closed pipe to `convdiff.cli.main`."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, "stdout is closed")

    no_color = None if color is None else not color
    return PipeConsole(
        stderr=to_stderr,
        highlight=False,
        legacy_windows=False,
        force_terminal=color or None,
        no_color=no_color,
    )


def _with_progress(
    inner: AbstractContextManager[View], expected: Sequence[str]
) -> AbstractContextManager[View]:
    """The view with a progress line on stderr, where that is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return inner
    from convdiff.cli.run_progress import RunProgress

    return RunProgress(inner, expected, sys.stderr)


class _FinalView:
    """Prints the whole report at the end of the run."""

    def __init__(self, format: str) -> None:
        self._format = format

    def add(self, row: Row) -> None:
        """Nothing yet."""

    def finish(self, report: Report) -> None:
        """Print the report."""
        if self._format == "json":
            from convdiff.report.json_report import render

            click.echo(render(report), nl=False)
        else:
            from convdiff.report.github_report import commands
            from convdiff.suite_result import single_case_suite

            click.echo(commands(single_case_suite(report)), nl=False)
