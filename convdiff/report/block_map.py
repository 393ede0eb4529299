"""The map of a picture in block characters: where an output differs, at a glance in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from convdiff.picture import Grid, Picture
from convdiff.report.page import Page
from convdiff.report.palette import ASCII as ASCII_GLYPHS

# From a cell where nothing differs to one where everything does.
UNICODE_BLOCKS, ASCII_BLOCKS = "·░▒▓█", ".-+*#"
MAX_ROWS, MAX_COLUMNS = 8, 32
# A smaller map says no more than the words do.
MIN_CELLS = 4


def block_map(picture: Picture, page: Page) -> list[Text]:
    """The lines of the map; none where it would be small or uniform."""
    blocks = ASCII_BLOCKS if page.glyphs is ASCII_GLYPHS else UNICODE_BLOCKS
    shares = coarse(picture.levels, MAX_ROWS, MAX_COLUMNS)
    cells = [share for line in shares for share in line]
    if len(cells) < MIN_CELLS or len(set(cells)) < 2:
        return []
    return [page.text("".join(blocks[_step(share)] for share in line), "bad") for line in shares]


def _step(share: float) -> int:
    """The block for a share: the first and the last stand for exactly none and exactly all."""
    return 0 if share == 0 else 4 if share == 1 else 1 + min(2, int(share * 3))


def coarse(levels: Grid, max_rows: int, max_columns: int) -> list[list[float]]:
    """The share of cells that differ, in a grid of at most this size."""
    return [
        [_share(levels, lines, cells) for cells in _ranges(len(levels[0]), max_columns)]
        for lines in _ranges(len(levels), max_rows)
    ]


def _ranges(length: int, most: int) -> list[range]:
    """`length` positions split into at most `most` consecutive ranges.

    The first and the last position are by themselves, so that a border shows.
    """
    if length <= most or most < MIN_CELLS:
        count = min(length, most)
        return [range(at * length // count, (at + 1) * length // count) for at in range(count)]
    inner = [
        range(1 + at * (length - 2) // (most - 2), 1 + (at + 1) * (length - 2) // (most - 2))
        for at in range(most - 2)
    ]
    return [range(1), *inner, range(length - 1, length)]


def _share(levels: Grid, lines: Sequence[int], cells: Sequence[int]) -> float:
    values = [levels[line][cell] for line in lines for cell in cells]
    return sum(value > 0 for value in values) / len(values)
