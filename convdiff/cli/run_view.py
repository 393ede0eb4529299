"""What shows a run on stdout: the table, row by row as they come, or a report for machines at the
end.
"""

from __future__ import annotations

import errno
import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING

import click

from convdiff.cli.progress import CLEAR

if TYPE_CHECKING:
    from rich.console import Console

    from convdiff.pipeline import OpenView, View
    from convdiff.records import Case, Report, Row


def command_line() -> str:
    """This very command, as a shell takes it."""
    return shlex.join(["convdiff", *sys.argv[1:]])


def view(format: str, *, to_stderr: bool, color: bool | None, asking: bool = False) -> OpenView:
    """What shows a run: "table" (on stderr where stdout is wanted for a file), "json" or "github".

    `color` True or False decides; None is for the terminal and NO_COLOR to say.  With `asking` a
    terminal is told, until the view is opened, that the backends are asked which paths they have.
    """
    wiping = ExitStack()
    if asking and sys.stderr is not None and sys.stderr.isatty():
        click.echo("asking the backends which paths they have", err=True, nl=False)
        wiping.callback(click.echo, CLEAR, err=True, nl=False)
        click.get_current_context().call_on_close(wiping.close)  # where it comes to no view

    def open_view(case: Case, expected: Sequence[str]) -> AbstractContextManager[View]:
        wiping.close()
        if format != "table":
            return _watched(nullcontext(_Machine(format)), expected)
        from convdiff.report.table import open_view as open_table

        screen = console(to_stderr=to_stderr, color=color)
        table = open_table(case, screen, expected)
        return table if screen.file.isatty() else _watched(table, expected)

    return open_view


def console(*, to_stderr: bool = False, color: bool | None) -> Console:
    """Where tables are printed."""
    from rich.console import Console

    class Pipe(Console):
        """A console that leaves a broken pipe to `main`."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, "stdout is closed")

    no_color = None if color is None else not color
    return Pipe(
        stderr=to_stderr,
        highlight=False,
        legacy_windows=False,
        force_terminal=color or None,
        no_color=no_color,
    )


def _watched(
    inner: AbstractContextManager[View], expected: Sequence[str]
) -> AbstractContextManager[View]:
    """The view, with its progress on stderr where that is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return inner
    from convdiff.cli.progress import Progress

    return Progress(inner, expected, sys.stderr)


class _Machine:
    """Nothing until the end, then the report for machines."""

    def __init__(self, format: str) -> None:
        self._format = format

    def add(self, row: Row) -> None:
        """Wait for the others."""

    def finish(self, report: Report) -> None:
        """Write it all."""
        if self._format == "json":
            from convdiff.report.json_report import render

            click.echo(render(report), nl=False)
        else:
            from convdiff.report.github import commands
            from convdiff.suite_result import single_case_suite

            click.echo(commands(single_case_suite(report)), nl=False)
