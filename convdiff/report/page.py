"""A page: the width, colours and signs of one output, and text laid out in lines for it.

The table is laid out here by cells and not by rich.table, because a row's second line (how it was
aligned, why it could not run) runs across all columns.  Nothing is ever read as rich's markup:
every piece goes in as plain text with a style.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from convdiff.report.palette import ASCII, CUBE, NAMED, UNICODE
from convdiff.report.words import literal

# Wider than this a line is no longer read with ease, however wide the terminal.
WIDEST = 118
NARROWEST = 32


class Page:
    """Where lines are made: `text` for a piece, `wrap` for a paragraph."""

    def __init__(self, console: Console) -> None:
        """The page that fits the console: its width within bounds, its colours, its alphabet."""
        self.console = console
        self.width = max(NARROWEST, min(console.width, WIDEST))
        self.glyphs = ASCII if console.options.ascii_only else UNICODE
        self.styles = NAMED if console.color_system in ("standard", "windows") else CUBE

    def text(self, text: object, style: str = "plain", lines: bool = False) -> Text:
        """A piece of text, harmless and in a style of the palette."""
        plain = literal(text, lines)
        if self.glyphs is ASCII:
            plain = plain.encode("ascii", "backslashreplace").decode()
        made = Text(plain)
        # A span and not the text's base style, which would spread to whatever is joined to it.
        made.stylize(self.styles[style])
        return made

    def join(self, pieces: Iterable[Text], gap: Text | str = "  ") -> Text:
        """The pieces on one line."""
        return (Text(gap) if isinstance(gap, str) else gap).join(pieces)

    def wrap(
        self, text: Text, first: Text | str = "", rest: str | None = None, width: int | None = None
    ) -> list[Text]:
        """The text as lines no wider than `width`, after `first` on its first line and `rest` (or
        as much space) on the others.
        """
        start = Text(first) if isinstance(first, str) else first
        after = " " * start.cell_len if rest is None else rest
        room = max(8, (width or self.width) - max(start.cell_len, len(after)))
        made: list[Text] = []
        for paragraph in text.split("\n", allow_blank=False) or [text]:
            for line in paragraph.wrap(self.console, room):
                line.rstrip()
                made.append((Text(after) if made else start.copy()) + line)
        return made

    def chunks(
        self, pieces: Iterable[Text], first: Text, gap: Text | str = "  ", rest: str | None = None
    ) -> list[Text]:
        """Pieces side by side; a line breaks between two of them, and in one only where it is wider
        than a line.
        """
        after = " " * first.cell_len if rest is None else rest
        between = Text(gap) if isinstance(gap, str) else gap
        lines, line, empty = [], first.copy(), True
        for piece in pieces:
            if not empty and line.cell_len + between.cell_len + piece.cell_len > self.width:
                lines.append(line)
                line, empty = Text(after), True
            line = line + piece if empty else line + between + piece
            empty = False
        return [
            short
            for line in [*lines, line]
            for short in (self.wrap(line) if line.cell_len > self.width else [line])
        ]

    def show(self, lines: Iterable[Text]) -> Text:
        """The lines as one renderable."""
        return Text("\n", no_wrap=True, overflow="ignore").join(lines)
