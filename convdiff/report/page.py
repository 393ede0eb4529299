"""A `Page`: the width, colors and symbols of one output, and text laid out in lines for it.

Tables are laid out here and not with rich.table, because the second line of a row (how it was
aligned, why it could not run) spans all columns.  No text is ever parsed as rich's markup: every
piece is plain text with a style.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from convdiff.report.escape import printable
from convdiff.report.palette import ANSI_STYLES, ASCII, CUBE_STYLES, UNICODE

# However wide the terminal: longer lines are hard to read.
MAX_WIDTH = 118
# However narrow the terminal.
MIN_WIDTH = 32


class Page:
    """Makes styled text (`text`) and lines of it (`wrap`, `chunks`) for one console."""

    def __init__(self, console: Console) -> None:
        """A page for `console`: its width within bounds, its colors, its alphabet."""
        self.console = console
        self.width = max(MIN_WIDTH, min(console.width, MAX_WIDTH))
        self.glyphs = ASCII if console.options.ascii_only else UNICODE
        few_colors = console.color_system in ("standard", "windows")
        self.styles = ANSI_STYLES if few_colors else CUBE_STYLES

    def text(self, text: object, style: str = "plain", lines: bool = False) -> Text:
        """A piece of text in a style of the palette, printable in this console's alphabet."""
        plain = printable(text, lines)
        if self.glyphs is ASCII:
            plain = plain.encode("ascii", "backslashreplace").decode()
        piece = Text(plain)
        # As a span: the base style of a Text would spread to whatever is joined to it.
        piece.stylize(self.styles[style])
        return piece

    def join(self, pieces: Iterable[Text], gap: Text | str = "  ") -> Text:
        """The pieces on one line, with `gap` between them."""
        return (Text(gap) if isinstance(gap, str) else gap).join(pieces)

    def wrap(
        self, text: Text, first: Text | str = "", rest: str | None = None, width: int | None = None
    ) -> list[Text]:
        """The text as lines of at most `width` cells (default: the page's).

        The first line starts with `first`, the others with `rest` or as many spaces as `first` has
        cells.
        """
        start = Text(first) if isinstance(first, str) else first
        indent = " " * start.cell_len if rest is None else rest
        room = max(8, (width or self.width) - max(start.cell_len, len(indent)))
        lines: list[Text] = []
        for paragraph in text.split("\n", allow_blank=False) or [text]:
            for line in paragraph.wrap(self.console, room):
                line.rstrip()
                lines.append((Text(indent) if lines else start.copy()) + line)
        return lines

    def chunks(
        self, pieces: Iterable[Text], first: Text, gap: Text | str = "  ", rest: str | None = None
    ) -> list[Text]:
        """Pieces side by side; lines break between pieces, and within one only if it must be.

        `first` and `rest` are as for `wrap`.
        """
        indent = " " * first.cell_len if rest is None else rest
        between = Text(gap) if isinstance(gap, str) else gap
        lines, line, empty = [], first.copy(), True
        for piece in pieces:
            if not empty and line.cell_len + between.cell_len + piece.cell_len > self.width:
                lines.append(line)
                line, empty = Text(indent), True
            line = line + piece if empty else line + between + piece
            empty = False
        return [
            short
            for line in [*lines, line]
            for short in (self.wrap(line) if line.cell_len > self.width else [line])
        ]

    def show(self, lines: Iterable[Text]) -> Text:
        """The lines as one renderable for the console."""
        return Text("\n", no_wrap=True, overflow="ignore").join(lines)
