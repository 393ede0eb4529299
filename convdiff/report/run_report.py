"""A run as a table for people, drawn while its rows are still coming, and printed once at the end.

On a terminal the unfinished table is drawn in place (rich.live) and erased before the finished one
is printed, so that only that stays in the scrollback.  Anywhere else nothing is written before the
end.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from convdiff.records import Case, Report, Row
from convdiff.report import number_format, run_words
from convdiff.report.page import Page
from convdiff.report.palette import STATES
from convdiff.report.row_details import row_details
from convdiff.report.run_table import AwaitedRow, run_table

if TYPE_CHECKING:
    from rich.live import Live


INDENT = " " * len("conv2d  ")
FRAMES_PER_SECOND = 8
SPINNER_STEPS_PER_SECOND = 10


def render(report: Report, width: int, color: bool, exit_line: bool = True) -> str:
    """The report as text, with ANSI colors or without any control codes.

    Without `exit_line` it ends with the conclusion, for callers that have no exit code.
    """
    console = text_console(width, color)
    with console.capture() as capture:
        page = Page(console)
        console.print(page.show(report_lines(report, page, exit_line)), crop=False)
    return capture.get().rstrip("\n") + "\n"


def text_console(width: int, color: bool) -> Console:
    """A console for rendering to a string, independent of the environment."""
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="256" if color else None,
        no_color=not color,
        legacy_windows=False,
        _environ={},
    )


def report_lines(report: Report, page: Page, exit_line: bool = True) -> list[Text]:
    """The lines of the whole report."""
    lines = heading(report.case, page)
    if report.rows:
        lines += [Text(), *run_table(report.rows, page)]
    groups = [run_words.group_words(group) for group in report.groups]
    if groups:
        lines.append(Text())
    for words in groups:
        lines += page.wrap(page.text(words, "dim"), rest="  ")
    lines += row_details(report.rows, report.case.spec.output_layout, page)
    return [*lines, Text(), *_closing(report, page, exit_line)]


def heading(case: Case, page: Page) -> list[Text]:
    """The convolution as it was understood, with the notes on how."""
    operation, arrays, settings = run_words.spec_words(case.spec)
    first = [page.text(operation, "strong")]
    first += [
        page.join([page.text(role, "dim"), page.text(layout, "accent"), page.text(shape)], " ")
        for role, layout, shape in arrays
    ]
    second = [
        page.join([page.text(name, "dim"), page.text(value)], " ") if name else page.text(value)
        for name, value in settings
    ]
    lines = page.wrap(page.text(case.name, "strong")) if case.name != "run" else []
    together = page.chunks([*first, *second], Text(), rest=INDENT)
    if len(together) == 1:
        lines += together
    else:
        lines += page.chunks(first, Text(), rest=INDENT) + page.chunks(second, Text(INDENT))
    for note in case.notes:
        lines += page.wrap(page.text(note, "dim"), INDENT)
    return lines


def _closing(report: Report, page: Page, exit_line: bool) -> list[Text]:
    """The conclusion and, with `exit_line`, the meaning of the exit code."""
    state = {0: "identical", 1: "different"}.get(report.exit_code, "failed")
    glyph = page.text(f"{page.glyphs.states[state]} ", STATES[state])
    conclusion = run_words.conclusion(report.rows, failed=report.exit_code == 1)
    lines = page.wrap(page.text(conclusion, "strong"), glyph)
    if not exit_line:
        return lines
    parts = [f"exit code {report.exit_code}: {run_words.exit_code_words(report)}"]
    if report.reference_seconds is not None:
        parts.append(f"reference {number_format.duration(report.reference_seconds)}")
    codes = (code for row in report.rows for finding in row.findings for code in finding.codes)
    code = next(codes, None)
    if code:
        parts.append(f"see convdiff explain {code}")
    return lines + footer(parts, page)


def footer(parts: Sequence[str], page: Page) -> list[Text]:
    """Remarks side by side, dimmed, under a conclusion."""
    dot = page.text(page.glyphs.dot, "dim")
    return page.chunks([page.text(part, "dim") for part in parts], Text("  "), dot)


def open_view(case: Case, console: Console, expected: Sequence[str]) -> TableView:
    """A view of a run with `expected` rows, named in their final order; a context manager."""
    return TableView(case, console, expected)


class TableView:
    """The table of a run under way: `add` each row as it comes, then `finish`."""

    def __init__(self, case: Case, console: Console, expected: Sequence[str]) -> None:
        """See `open_view`."""
        self._case, self._console, self._expected = case, console, tuple(expected)
        self._rows: tuple[Row, ...] = ()
        self._live: Live | None = None
        # The details under the table, with what they were made for: number of rows, page width.
        self._details: tuple[int, int, list[Text]] = (0, 0, [])
        self._began = time.monotonic()

    def __enter__(self) -> TableView:
        """Start drawing, on a terminal."""
        if self._console.file.isatty() and not self._console.is_dumb_terminal:
            # Not at the top of the module: a pipe does not need it.
            from rich.live import Live

            self._live = Live(
                get_renderable=self._frame,
                console=self._console,
                transient=True,
                refresh_per_second=FRAMES_PER_SECOND,
                redirect_stdout=False,
                redirect_stderr=sys.stderr.isatty(),
            )
            self._live.start(refresh=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Erase the unfinished table; of an interrupted run, print the rows that have come."""
        drawn = self._live is not None
        self._stop()
        if drawn and kind is KeyboardInterrupt and self._rows:
            page = Page(self._console)
            lines = [*heading(self._case, page), Text(), *run_table(self._rows, page)]
            lines += row_details(self._rows, self._case.spec.output_layout, page)
            lines += [Text(), page.text("interrupted", "strong")]
            self._console.print(page.show(lines), crop=False)

    def add(self, row: Row) -> None:
        """Show a row, in its place in the final order."""
        self._rows = (*self._rows, row)
        if self._live is not None:
            self._live.refresh()

    def finish(self, report: Report) -> None:
        """Erase the unfinished table and print the report."""
        self._stop()
        page = Page(self._console)
        self._console.print(page.show(report_lines(report, page)), crop=False)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _frame(self) -> Text:
        """The unfinished table, with the details of the rows that have come."""
        page = Page(self._console)
        entries = self._in_final_order()
        lines = [*heading(self._case, page), Text(), *run_table(entries, page)]
        rows = [entry for entry in entries if isinstance(entry, Row)]
        if self._details[:2] != (len(rows), page.width):
            details = row_details(rows, self._case.spec.output_layout, page)
            self._details = (len(rows), page.width, details)
        # rich cannot erase what has scrolled off the top, and does not crop the last frame.
        return page.show([*lines, *self._details[2]][: max(1, self._console.height - 1)])

    def _in_final_order(self) -> list[Row | AwaitedRow]:
        """For each expected name its row, or an `AwaitedRow` where that has not come."""
        seconds = time.monotonic() - self._began
        rows_by_name: dict[str, list[Row]] = {}
        for row in self._rows:
            rows_by_name.setdefault(row.answer.name, []).append(row)
        entries: list[Row | AwaitedRow] = []
        for name in self._expected:
            # A saved output may have the name of a backend.
            rows = rows_by_name.get(name)
            if rows:
                entries.append(rows.pop(0))
            else:
                entries.append(AwaitedRow(name, seconds, int(seconds * SPINNER_STEPS_PER_SECOND)))
        return entries
