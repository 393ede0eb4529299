"""Grids as pictures that a page can hold: PNG of a palette as a data: address, and SVG for what has
text in it.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from html import escape

from convdiff.picture import NONE, Grid, KernelPair, Picture

# The colours of levels: none (clear), three of rounding, then orders of magnitude beyond the bound.
# Each stands out on white and on near black, and they go from cold to warm and from light to dark,
# for those who see fewer hues.
CLEAR = (0, 0, 0)
ROUNDING = ((168, 190, 208), (138, 168, 194), (104, 143, 178))
BEYOND = (
    (244, 196, 72),
    (242, 160, 52),
    (234, 120, 44),
    (218, 76, 52),
    (190, 42, 72),
    (150, 30, 92),
)
PALETTE = (CLEAR, *ROUNDING, *BEYOND)


def step(level: float) -> int:
    """The place of a level in the palette."""
    if level <= NONE:
        return 0
    if level <= 0:
        return 1 + (level > -2) + (level > -1)
    return 4 + min(len(BEYOND) - 1, int(level * 0.75))


def png(levels: Grid) -> str:
    """The grid as the address of a PNG, a pixel a cell; cells without error are clear."""
    height, width = len(levels), len(levels[0])
    raw = b"".join(b"\0" + bytes(step(level) for level in line) for line in levels)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(part for color in PALETTE for part in color)),
        (b"tRNS", b"\0" + b"\xff" * (len(PALETTE) - 1)),
        (b"IDAT", zlib.compress(raw, 9)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()


def color(at: int) -> str:
    """A palette entry as CSS has it."""
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[at])


def histogram(picture: Picture) -> str:
    """The errors against their bound: how many elements (on a logarithmic axis) have how many
    units.
    """
    width, height, base = 320, 120, 96
    bins = picture.histogram
    top = max((count for _, count in bins), default=0)
    left, right = bins[0][0], bins[-1][0] + 0.5
    scale = width / (right - left)
    parts = []
    for edge, count in bins:
        if count:
            tall = base * (0.08 + 0.92 * _log(count) / max(_log(top), 1e-9))
            x = (edge - left) * scale
            fill = color(step(edge + 0.25 - picture.bound))
            label = f"{count:,} elements, 10^{edge:g} to 10^{edge + 0.5:g} units"
            parts.append(
                f'<rect x="{x:.1f}" y="{base - tall:.1f}" width="{scale * 0.5 - 1:.1f}" '
                f'height="{tall:.1f}" fill="{fill}">'
                f"<title>{label}</title></rect>"
            )
    at = (picture.bound - left) * scale
    parts.append(
        f'<path d="M{at:.1f} 0V{base}" class="bound"/><text x="{at + 3:.1f}" y="9">bound</text>'
    )
    parts.append(f'<path d="M0 {base}H{width}" class="axis"/>')
    parts += [
        f'<text x="{(power - left) * scale:.1f}" y="{base + 13}" text-anchor="middle">10<tspan '
        f'dy="-4">{power}</tspan></text>'
        for power in range(-2, 12, 2)
    ]
    parts.append(
        f'<text x="{width / 2}" y="{height + 4}" text-anchor="middle">rounding units</text>'
    )
    said = f"{picture.exact:,} elements have no error at all"
    return (
        f'<svg viewBox="-8 0 {width + 16} {height + 8}" class="histogram" role="img" '
        f'aria-label="{said}">{"".join(parts)}</svg>'
    )


def _log(count: int) -> float:
    return len(str(count)) - 1 + count / 10 ** len(str(count)) if count else 0.0


def bars(picture: Picture) -> str:
    """The share of elements that differ, channel by channel."""
    width, height = 320, 36
    one = width / len(picture.channels)
    parts = []
    for at, share in enumerate(picture.channels):
        tall = max(1.5, height * share) if share else 0
        parts.append(
            f'<path d="M{at * one:.2f} '
            f'{height}v{-tall:.2f}h{max(one - 0.6, 0.6):.2f}v{tall:.2f}z"/>'
            if tall
            else ""
        )
    said = f"share of elements that differ in each of {picture.channel_count} output channels"
    return (
        f'<svg viewBox="0 0 {width} {height + 1}" class="bars" role="img" '
        f'aria-label="{said}">{"".join(parts)}'
        f'<path d="M0 {height + 0.5}H{width}" class="axis"/></svg>'
    )


def kernel(grid: Grid, largest: float, label: str) -> str:
    """A tap plane: cold is negative, warm positive, the values in it where there is room."""
    rows, columns = len(grid), len(grid[0])
    cell = 34 if columns <= 5 else 16 if columns <= 11 else 9
    parts = []
    for y, line in enumerate(grid):
        for x, value in enumerate(line):
            strength = min(1.0, abs(value) / largest) if largest else 0.0
            kind = "cold" if value < 0 else "warm"
            parts.append(
                f'<rect x="{x * cell}" y="{y * cell}" width="{cell}" height="{cell}" '
                f'class="{kind}" fill-opacity="{strength:.2f}">'
                f"<title>{value:g}</title></rect>"
            )
            if columns <= 5:
                middle = f'x="{x * cell + cell / 2:g}" y="{y * cell + cell / 2 + 3:g}"'
                parts.append(f'<text {middle} text-anchor="middle">{short(value)}</text>')
    size = (
        f'width="{columns * cell}" height="{rows * cell}" viewBox="0 0 {columns * cell} '
        f'{rows * cell}"'
    )
    return (
        f'<svg {size} class="kernel" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def short(value: float) -> str:
    """A value in five characters or so."""
    text = f"{value:.2g}"
    return (
        text.replace("e-0", "e-").replace("e+0", "e").replace("0.", ".", 1)
        if value and abs(value) < 1
        else text
    )


def largest(pairs: Sequence[KernelPair]) -> float:
    """The largest magnitude in any of the planes, which all share a scale."""
    grids = [grid for pair in pairs for grid in (pair.asked, pair.obtained) if grid]
    return max((abs(value) for grid in grids for line in grid for value in line), default=0.0)
