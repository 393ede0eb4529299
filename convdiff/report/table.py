"""The report as a table for people: rows appear as backends finish, and what stays is printed once.

On a terminal the unfinished table is drawn in place (rich.live) and wiped before the finished one
is printed, so that the scrollback holds only that; anywhere else nothing is written before the end.
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
from convdiff.report import figures, words
from convdiff.report.details import details
from convdiff.report.identical_rows import same_bits
from convdiff.report.page import Page
from convdiff.report.palette import STATES
from convdiff.report.rows import Waiting, table

if TYPE_CHECKING:
    from rich.live import Live


INDENT = " " * len("conv2d  ")


def render(report: Report, width: int, color: bool, exit_line: bool = True) -> str:
    """The finished table as text, with ANSI colours or without any control code.

    Without `exit_line` it ends with the conclusion: for where there is no process to exit.
    """
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="256" if color else None,
        no_color=not color,
        legacy_windows=False,
        _environ={},
    )
    return "".join(
        f"{line}\n"
        for line in _drawn(console, finished(report, Page(console), exit_line)).split("\n")
    )


def _drawn(console: Console, lines: Sequence[Text]) -> str:
    with console.capture() as capture:
        console.print(Page(console).show(lines), crop=False)
    return capture.get().rstrip("\n")


def finished(report: Report, page: Page, exit_line: bool = True) -> list[Text]:
    """All that stays."""
    lines = (
        [*heading(report.case, page), Text(), *table(report.rows, page)]
        if report.rows
        else heading(report.case, page)
    )
    alike = same_bits(report.rows)
    lines += [Text()] if alike else []
    for names in alike:
        lines += page.wrap(page.text(f"the same bit for bit: {', '.join(names)}", "dim"), rest="  ")
    lines += details(report.rows, report.case.spec.output_layout, page)
    return [*lines, Text(), *closing(report, page, exit_line)]


def heading(case: Case, page: Page) -> list[Text]:
    """What convolution was understood, and how."""
    operation, arrays, settings = words.spec_words(case.spec)
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
    whole = page.chunks([*first, *second], Text(), rest=INDENT)
    lines += (
        whole
        if len(whole) == 1
        else page.chunks(first, Text(), rest=INDENT) + page.chunks(second, Text(INDENT))
    )
    for note in case.notes:
        lines += page.wrap(page.text(note, "dim"), INDENT)
    return lines


def closing(report: Report, page: Page, exit_line: bool = True) -> list[Text]:
    """The conclusion in words, and what the exit code means."""
    state = {0: "identical", 1: "different"}.get(report.exit_code, "failed")
    sign = page.text(f"{page.glyphs.states[state]} ", STATES[state])
    lines = page.wrap(
        page.text(words.conclusion(report.rows, failed=report.exit_code == 1), "strong"), sign
    )
    if not exit_line:
        return lines
    small = [f"exit code {report.exit_code}: {words.exit_words(report)}"]
    if report.reference_seconds is not None:
        small.append(f"reference {figures.seconds(report.reference_seconds)}")
    told = [finding.codes[0] for row in report.rows for finding in row.findings if finding.codes]
    if told:
        small.append(f"see convdiff explain {told[0]}")
    return lines + page.chunks(
        [page.text(part, "dim") for part in small], Text("  "), page.text(page.glyphs.dot, "dim")
    )


def open_view(case: Case, console: Console, expected: Sequence[str]) -> TableView:
    """A view of a run whose rows, in their final order, are called `expected`; to be used as a
    context manager.
    """
    return TableView(case, console, expected)


class TableView:
    """A run as it is seen: `add` each row as it comes, then `finish`."""

    def __init__(self, case: Case, console: Console, expected: Sequence[str]) -> None:
        """See `open_view`."""
        self._case, self._console, self._expected = case, console, tuple(expected)
        self._rows: tuple[Row, ...] = ()
        self._live: Live | None = None
        self._below: tuple[int, int, list[Text]] = (0, 0, [])
        self._began = time.monotonic()

    def __enter__(self) -> TableView:
        """Start drawing, on a terminal."""
        if self._console.file.isatty() and not self._console.is_dumb_terminal:
            # Imported here: a pipe does without.
            from rich.live import Live

            self._live = Live(
                get_renderable=self._frame,
                console=self._console,
                transient=True,
                refresh_per_second=8,
                redirect_stdout=False,
                redirect_stderr=sys.stderr.isatty(),
            )
            self._live.start(refresh=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave the terminal clean, whatever happened; an interrupted run keeps the rows that have
        come.
        """
        drawn = self._live is not None
        self._stop()
        if drawn and kind is KeyboardInterrupt and self._rows:
            page = Page(self._console)
            lines = [*heading(self._case, page), Text(), *table(self._rows, page)]
            lines += [
                *details(self._rows, self._case.spec.output_layout, page),
                Text(),
                page.text("interrupted", "strong"),
            ]
            self._console.print(page.show(lines), crop=False)

    def add(self, row: Row) -> None:
        """A row has come; it takes its place in the final order."""
        self._rows = (*self._rows, row)
        if self._live is not None:
            self._live.refresh()

    def finish(self, report: Report) -> None:
        """Print what stays."""
        self._stop()
        page = Page(self._console)
        self._console.print(page.show(finished(report, page)), crop=False)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _frame(self) -> Text:
        page = Page(self._console)
        rows, spent = self._rows, time.monotonic() - self._began
        entries: list[Row | Waiting] = []
        left = list(rows)
        for name in self._expected:
            here = [row for row in left if row.answer.name == name][:1] or [
                row for row in left if _belongs(row, name, self._expected)
            ]
            left = [row for row in left if row not in here]
            entries += here or [Waiting(name, spent, int(spent * 10))]
        entries += left
        lines = [*heading(self._case, page), Text(), *table(entries, page)]
        arrived = [entry for entry in entries if isinstance(entry, Row)]
        if self._below[:2] != (len(arrived), page.width):
            self._below = (
                len(arrived),
                page.width,
                details(arrived, self._case.spec.output_layout, page),
            )
        # What is taller than the terminal could not be wiped again, and rich does not crop the last
        # frame.
        return page.show([*lines, *self._below[2]][: max(1, self._console.height - 1)])


def _belongs(row: Row, name: str, expected: Sequence[str]) -> bool:
    """A path's row stands in its backend's place."""
    return row.answer.name not in expected and row.answer.name.split(":")[0] == name
