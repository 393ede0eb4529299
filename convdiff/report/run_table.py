"""The table of a run: a line of figures for each row and, dimmed, a remark.

The remark says how the arrays were aligned, or why there is nothing to show.  On a wide page it
stands to the right of the figures, on a narrow one on a line of its own under the name.  A name
that does not fit its column gets a line of its own.  Nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.text import Text

from convdiff.records import Row
from convdiff.report import number_format
from convdiff.report.escape import shorten
from convdiff.report.page import Page
from convdiff.report.palette import STATES

GAP = "  "
HEADERS = ("output", "verdict", "max error", "rounding units", "differ")
MIN_WIDTHS = (18, 13, 9, 14, 6)
# From this page width on, remarks may stand beside the figures, if they get this many cells.
MIN_PAGE_FOR_REMARKS, MIN_REMARK = 108, 24
# How wide the column of names may get on such a page.
MAX_NAME = 30
# How many characters of a reason are shown.
MAX_REASON = 400


class AwaitedRow(NamedTuple):
    """A row without an answer yet: its name, and for how many seconds it has been awaited.

    `tick` counts the frames of the spinner.
    """

    name: str
    seconds: float
    tick: int = 0


class _RowCells(NamedTuple):
    """A row as text: its cells, the version that belongs to its name, and its remark.

    A row that `spans` has no figures, and its remark may take their place.
    """

    cells: tuple[Text, ...]
    version: Text
    remark: Text
    spans: bool


def run_table(rows: Sequence[Row | AwaitedRow], page: Page) -> list[Text]:
    """The lines of the table: headers, a rule, and every row."""
    entries = [_row_cells(row, page) for row in rows]
    headers = [page.text(header, "dim") for header in HEADERS]
    widths = _column_widths(entries, headers, page)
    total = sum(widths) + len(GAP) * (len(widths) - 1)
    if total > page.width:
        return _stacked(entries, page)
    beside = page.width >= MIN_PAGE_FOR_REMARKS and page.width - total > MIN_REMARK
    lines = [_columns(headers, widths)]
    for entry in entries:
        lines += _row_lines(entry, widths, page, beside)
    longest = max(line.cell_len for line in lines)
    lines.insert(1, page.text(page.glyphs.rule * (longest if beside else total), "dim"))
    return lines


def _column_widths(entries: list[_RowCells], headers: list[Text], page: Page) -> list[int]:
    widths = [
        max(
            least,
            header.cell_len,
            *(entry.cells[at].cell_len for entry in entries if not (entry.spans and at > 1)),
            0,
        )
        for at, (least, header) in enumerate(zip(MIN_WIDTHS, headers, strict=True))
    ]
    names = [_name_with_version(entry).cell_len for entry in entries]
    room = page.width - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
    most = MAX_NAME if page.width >= MIN_PAGE_FOR_REMARKS else max(room, MIN_WIDTHS[0])
    widths[0] = min(max(widths[0], *names, 0), most)
    return widths


def _name_with_version(entry: _RowCells) -> Text:
    name = entry.cells[0]
    return name + Text(" ") + entry.version if entry.version.plain else name


def _row_cells(row: Row | AwaitedRow, page: Page) -> _RowCells:
    if isinstance(row, AwaitedRow):
        spinner = page.glyphs.spinner[row.tick % len(page.glyphs.spinner)]
        seconds = number_format.duration(row.seconds) if row.seconds >= 1 else ""
        awaited_cells = (
            page.text(row.name, "strong"),
            page.text(f"{spinner} running", STATES["running"]),
            page.text(seconds, "dim"),
            Text(),
            Text(),
        )
        return _RowCells(awaited_cells, Text(), Text(), spans=False)
    answer = row.answer
    has_version = answer.version and answer.kind == "backend"
    state = row.verdict or answer.status
    figures = ("", "", "")
    if (error := row.error) is not None:
        figures = (
            number_format.short(error.max_abs),
            number_format.units(error.units, error.terms),
            number_format.share(error.differing, error.elements),
        )
    style = "dim" if row.verdict == "identical" else "plain"
    cells = (
        page.text(shorten(answer.name), "strong"),
        page.text(f"{page.glyphs.states[state]} {state}", STATES[state]),
        *(page.text(figure, style) for figure in figures),
    )
    version = page.text(answer.version if has_version else "", "dim")
    return _RowCells(cells, version, _remark(row, page), spans=row.error is None)


def _remark(row: Row, page: Page) -> Text:
    """Why the row has no output; else where it ran and how its arrays were aligned."""
    answer = row.answer
    reason = (answer.message or "").strip() if answer.status != "ok" else ""
    if reason:
        style = "dim" if STATES[row.verdict or answer.status] == "dim" else "plain"
        return page.text(shorten(reason.splitlines()[0], MAX_REASON), style)
    words = []
    if answer.kind == "saved":
        words.append("saved output")
    elif answer.kind == "call":
        version = f" {answer.version}" if answer.version else ""
        words.append(f"call in {answer.backend or 'python'}{version}")
    if answer.path and answer.path not in answer.name:
        words.append(answer.path)
    if answer.stored and row.error is not None and answer.kind == "saved":
        words.append(answer.stored)
    words += answer.aligned
    return page.text(page.glyphs.dot.join(shorten(word) for word in words), "dim")


def _columns(cells: Iterable[Text], widths: Sequence[int]) -> Text:
    """Cells side by side: name and verdict to the left, figures to the right of their columns."""
    padded = []
    for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        fill = Text(" " * max(0, width - cell.cell_len))
        padded.append(cell + fill if at < 2 else fill + cell)
    line = Text(GAP).join(padded)
    line.rstrip()
    return line


def _row_lines(entry: _RowCells, widths: Sequence[int], page: Page, beside: bool) -> list[Text]:
    lines: list[Text] = []
    cells, remark = list(entry.cells), entry.remark
    name = _name_with_version(entry)
    if name.cell_len <= widths[0]:
        cells[0] = name
    elif cells[0].cell_len <= widths[0]:
        remark = page.join(
            [entry.version, remark] if remark.plain else [entry.version],
            page.text(page.glyphs.dot, "dim"),
        )
    else:
        lines += page.wrap(name, rest="  ")
        cells[0] = Text()
    figures = _columns(cells, widths)
    if not remark.plain:
        return [*lines, figures]
    if not beside:
        return [*lines, figures, *page.wrap(remark, "  ")]
    columns = widths[:2] if entry.spans else widths
    start = sum(columns) + len(GAP) * len(columns)
    figures = figures + Text(" " * (start - figures.cell_len))
    return [*lines, *page.wrap(remark, figures)]


def _stacked(entries: Iterable[_RowCells], page: Page) -> list[Text]:
    """For pages that are too narrow for columns: each name, and the figures under it."""
    lines: list[Text] = []
    for entry in entries:
        lines += page.wrap(page.join([entry.cells[0], entry.version], " "), rest="  ")
        labels = ("", *(f"{header} " for header in HEADERS[2:]))
        pieces = [
            page.text(label, "dim") + cell
            for label, cell in zip(labels, entry.cells[1:], strict=True)
            if cell.plain
        ]
        lines += page.chunks(pieces, Text("  "))
        if entry.remark.plain:
            lines += page.wrap(entry.remark, "  ")
    return lines
