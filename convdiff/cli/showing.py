"""Where a report goes: the table or JSON on stdout, and JSON into a file beside it."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convdiff.cli.progress import CLEAR
from convdiff.errors import ConvdiffError

if TYPE_CHECKING:
    from rich.console import Console

    from convdiff.case import Case, Report, Row
    from convdiff.pipeline import OpenView, View


def command_line() -> str:
    """This very command, as a shell takes it."""
    return shlex.join(["convdiff", *sys.argv[1:]])


def view(format: str, *, to_stderr: bool, color: bool | None, asking: bool = False) -> OpenView:
    """What shows a run: "table" (on stderr where stdout is wanted for JSON) or "json".

    `color` True or False decides; None is for the terminal and NO_COLOR to say.  With `asking` a terminal is told, until the view
    is opened, that the backends are asked which paths they have.
    """
    wiping = ExitStack()
    if asking and sys.stderr is not None and sys.stderr.isatty():
        click.echo("asking the backends which paths they have", err=True, nl=False)
        wiping.callback(click.echo, CLEAR, err=True, nl=False)
        click.get_current_context().call_on_close(wiping.close)  # where it comes to no view

    def open_view(case: Case, expected: Sequence[str]) -> AbstractContextManager[View]:
        wiping.close()
        if format == "json":
            return _watched(nullcontext(_Json()), expected)
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
    return Pipe(stderr=to_stderr, highlight=False, legacy_windows=False, force_terminal=color or None, no_color=no_color)


def _watched(inner: AbstractContextManager[View], expected: Sequence[str]) -> AbstractContextManager[View]:
    """The view, with its progress on stderr where that is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return inner
    from convdiff.cli.progress import Progress

    return Progress(inner, expected, sys.stderr)


class _Json:
    """Nothing until the end, then the JSON."""

    def add(self, row: Row) -> None:
        """Wait for the others."""

    def finish(self, report: Report) -> None:
        """Write it all."""
        _print_json(report)


def _print_json(report: Report) -> None:
    from convdiff.report.json_report import render

    click.echo(render(report), nl=False)


class JsonFile:
    """The file of --json; whether it can be written is known before any work is done."""

    def __init__(self, name: str) -> None:
        """ConvdiffError for a folder that is missing or may not be written to."""
        self._name = name
        # Through a link to its target, so that the link stays.
        self._path = Path(name).resolve()
        if name == "-":
            return
        if self._path.is_dir():
            raise ConvdiffError(f"--json {name}: found a directory, expected a file to write; name a file in it")
        if not self._path.parent.is_dir():
            raise ConvdiffError(f"--json {name}: found no directory {self._path.parent}, expected one to write in; make it first")
        if not os.access(self._path.parent, os.W_OK) and not os.access(self._path, os.W_OK):
            raise ConvdiffError(f"--json {name}: found a directory that may not be written to, expected write permission")

    def write(self, report: Report) -> None:
        """Write it whole or not at all: beside it first, then into its place."""
        if self._name == "-":
            return _print_json(report)
        from convdiff.report.json_report import render

        text = render(report)
        try:
            if self._path.exists() and not self._path.is_file():
                self._path.write_text(text)  # a pipe or a device
                return None
            beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
            try:
                beside.write_text(text)
                beside.replace(self._path)
            finally:
                with suppress(FileNotFoundError):
                    beside.unlink()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ConvdiffError(f"--json {self._name}: cannot be written ({error.strerror or error}), expected a writable file") from None
        return None
