"""A picture's map small, in block characters: where an output differs, at a glance in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from convdiff.picture import Grid, Picture
from convdiff.report.page import Page

# From no cell that differs to all of them.
UNICODE, ASCII = "·░▒▓█", ".-+*#"
ROWS, COLUMNS = 8, 32
# A map of fewer cells, or one that is all the same, says nothing that the words do not.
LEAST = 4


def blocks(picture: Picture, page: Page) -> list[Text]:
    """The map's lines; none where it would say nothing."""
    signs = ASCII if page.glyphs.dot == ", " else UNICODE
    shares = coarse(picture.levels, ROWS, COLUMNS)
    if sum(map(len, shares)) < LEAST or len({share for line in shares for share in line}) < 2:
        return []
    return [page.text("".join(signs[_step(share)] for share in line), "bad") for line in shares]


def _step(share: float) -> int:
    """0 only where nothing differs, 4 only where all does."""
    return 0 if share == 0 else 4 if share == 1 else 1 + min(2, int(share * 3))


def coarse(levels: Grid, rows: int, columns: int) -> list[list[float]]:
    """The share of cells that differ, in a grid no finer than this."""
    return [
        [_share(levels, lines, cells) for cells in _parts(len(levels[0]), columns)]
        for lines in _parts(len(levels), rows)
    ]


def _parts(length: int, most: int) -> list[range]:
    count = min(length, most)
    return [range(at * length // count, (at + 1) * length // count) for at in range(count)]


def _share(levels: Grid, lines: Sequence[int], cells: Sequence[int]) -> float:
    values = [levels[line][cell] for line in lines for cell in cells]
    return sum(value > 0 for value in values) / len(values)
