"""The table: a line of figures for each row and, dim, how it was aligned or why there is nothing to
show.

On a wide page the alignment stands to the right of the figures, on a narrow one on a line of its
own under the name; so does a reason.  A name that does not fit its column has a line of its own.
Nothing is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.text import Text

from convdiff.records import Row
from convdiff.report import figures
from convdiff.report.page import Page
from convdiff.report.palette import STATES
from convdiff.report.words import elide

GAP = "  "
HEADS = ("output", "verdict", "max error", "rounding units", "differ")
LEAST = (18, 13, 9, 14, 6)
WIDE = 108
NAME_LIMIT = 30


class Waiting(NamedTuple):
    """A row whose answer has not come: what to call it, and for how long it has been waited for."""

    name: str
    seconds: float
    tick: int = 0


class _Line(NamedTuple):
    """A row as text: its cells, the name's version, what stands beside or under them (across the
    figures where `spans`).
    """

    cells: tuple[Text, ...]
    version: Text
    beside: Text
    spans: bool


def table(entries: Sequence[Row | Waiting], page: Page) -> list[Text]:
    """The head, a rule, and every row."""
    lines = [_line(entry, page) for entry in entries]
    named = [
        line.cells[0].cell_len + bool(line.version.plain) + line.version.cell_len for line in lines
    ]
    heads = [page.text(head, "dim") for head in HEADS]
    widths = [
        max(
            least,
            head.cell_len,
            *(line.cells[at].cell_len for line in lines if not (line.spans and at > 1)),
            0,
        )
        for at, (least, head) in enumerate(zip(LEAST, heads, strict=True))
    ]
    widths[0] = max(widths[0], *named, 0)
    room = page.width - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
    wide = page.width >= WIDE
    widths[0] = min(widths[0], NAME_LIMIT if wide else max(room, LEAST[0]))
    across = sum(widths) + len(GAP) * (len(widths) - 1)
    if across > page.width:
        return _stacked(lines, page)
    beside = wide and page.width - across > 24
    made = [_cells(heads, widths)]
    for line in lines:
        made += _row(line, widths, page, beside)
    longest = max(made_line.cell_len for made_line in made)
    made.insert(1, page.text(page.glyphs.rule * (longest if beside else across), "dim"))
    return made


def _line(entry: Row | Waiting, page: Page) -> _Line:
    if isinstance(entry, Waiting):
        sign = page.glyphs.spinner[entry.tick % len(page.glyphs.spinner)]
        spent = page.text(figures.seconds(entry.seconds) if entry.seconds >= 1 else "", "dim")
        cells = (
            page.text(entry.name, "strong"),
            page.text(f"{sign} running", STATES["running"]),
            spent,
            Text(),
            Text(),
        )
        return _Line(cells, Text(), Text(), spans=False)
    answer = entry.answer
    name = page.text(elide(answer.name), "strong")
    version = page.text(
        answer.version if answer.version and answer.kind == "backend" else "", "dim"
    )
    state = entry.verdict or answer.status
    verdict = page.text(f"{page.glyphs.states[state]} {state}", STATES[state])
    said = ("", "", "")
    if (error := entry.error) is not None:
        said = (
            figures.short(error.max_abs),
            figures.units(error.units, error.terms),
            figures.share(error.differing, error.elements),
        )
    numbers = [
        page.text(figure, "dim" if entry.verdict == "identical" else "plain") for figure in said
    ]
    reason = answer.message if answer.status != "ok" else None
    if reason and reason.strip():
        beside = page.text(
            elide(reason.strip().splitlines()[0], 400), "dim" if STATES[state] == "dim" else "plain"
        )
    else:
        beside = _aligned(entry, page)
    return _Line((name, verdict, *numbers), version, beside, spans=entry.error is None)


def _aligned(row: Row, page: Page) -> Text:
    """Where it ran and what was done to the arrays on the way; for a saved output or a call, that
    it is one.
    """
    answer = row.answer
    words = []
    if answer.kind == "saved":
        words.append("saved output")
    elif answer.kind == "call":
        words.append(
            f"call in {answer.backend or 'python'}{f' {answer.version}' if answer.version else ''}"
        )
    if answer.path and answer.path not in answer.name:
        words.append(answer.path)
    if answer.stored and row.error is not None and answer.kind == "saved":
        words.append(answer.stored)
    words += answer.aligned
    return page.text(page.glyphs.dot.join(elide(word) for word in words), "dim")


def _cells(cells: Iterable[Text], widths: Sequence[int]) -> Text:
    """Cells side by side: the first two to the left, figures to the right."""
    padded = []
    for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        fill = Text(" " * max(0, width - cell.cell_len))
        padded.append(cell + fill if at < 2 else fill + cell)
    line = Text(GAP).join(padded)
    line.rstrip()
    return line


def _row(line: _Line, widths: Sequence[int], page: Page, beside: bool) -> list[Text]:
    made: list[Text] = []
    cells, note = list(line.cells), line.beside
    whole = cells[0] + Text(" ") + line.version if line.version.plain else cells[0]
    if whole.cell_len <= widths[0]:
        cells[0] = whole
    elif cells[0].cell_len <= widths[0]:
        note = page.join(
            [line.version, note] if note.plain else [line.version],
            page.text(page.glyphs.dot, "dim"),
        )
    else:
        made += page.wrap(whole, rest="  ")
        cells[0] = Text()
    figures_line = _cells(cells, widths)
    if not note.plain:
        return [*made, figures_line]
    if not beside:
        return [*made, figures_line, *page.wrap(note, "  ")]
    column = sum(widths[:2]) + 2 * len(GAP) if line.spans else sum(widths) + len(GAP) * len(widths)
    figures_line = figures_line + Text(" " * (column - figures_line.cell_len))
    return [*made, *page.wrap(note, figures_line)]


def _stacked(lines: Iterable[_Line], page: Page) -> list[Text]:
    """For pages too narrow for columns: the name, then what is known of it, each on lines of its
    own.
    """
    made: list[Text] = []
    for line in lines:
        made += page.wrap(page.join([line.cells[0], line.version], " "), rest="  ")
        labels = ("", *(f"{head} " for head in HEADS[2:]))
        pieces = [
            page.text(label, "dim") + cell
            for label, cell in zip(labels, line.cells[1:], strict=True)
            if cell.plain
        ]
        made += page.chunks(pieces, Text("  "))
        if line.beside.plain:
            made += page.wrap(line.beside, "  ")
    return made
