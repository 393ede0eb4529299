"""Grids as pictures inside an HTML page: PNG for maps, SVG for charts and kernels."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from html import escape

from convdiff.picture import NO_ERROR, Grid, KernelPair, Picture

# The colors of levels: none (transparent), three for rounding, six for orders of magnitude beyond
# the bound.  Each stands out on white and on near black.  They go from cold to warm and from light
# to dark, so that they can be told apart without seeing every hue.
TRANSPARENT = (0, 0, 0)
ROUNDING = ((168, 190, 208), (138, 168, 194), (104, 143, 178))
BEYOND = (
    (244, 196, 72),
    (242, 160, 52),
    (234, 120, 44),
    (218, 76, 52),
    (190, 42, 72),
    (150, 30, 92),
)
PALETTE = (TRANSPARENT, *ROUNDING, *BEYOND)
# How many palette entries an order of magnitude beyond the bound takes.
STEPS_PER_DECADE = 0.75

# The sizes of charts and of a kernel's cells, in pixels.
CHART_WIDTH, HISTOGRAM_HEIGHT, HISTOGRAM_BASE, BARS_HEIGHT = 320, 120, 96, 36
# The values of the taps are written into the cells of a kernel up to this many columns.
MAX_LABELLED_COLUMNS = 5


def step(level: float) -> int:
    """The palette entry for a level."""
    if level <= NO_ERROR:
        return 0
    if level <= 0:
        return 1 + (level > -2) + (level > -1)
    return 1 + len(ROUNDING) + min(len(BEYOND) - 1, int(level * STEPS_PER_DECADE))


def png(levels: Grid) -> str:
    """The grid as the data: address of a PNG, with one pixel per cell."""
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


def color(entry: int) -> str:
    """A palette entry in CSS."""
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[entry])


def histogram(picture: Picture) -> str:
    """How many elements (logarithmically) have how large an error, with the bound on rounding."""
    bins = picture.histogram
    top = max((count for _, count in bins), default=0)
    left, right = bins[0][0], bins[-1][0] + 0.5
    scale = CHART_WIDTH / (right - left)
    base = HISTOGRAM_BASE
    parts = []
    for edge, count in bins:
        if count:
            tall = base * (0.08 + 0.92 * _magnitude(count) / max(_magnitude(top), 1e-9))
            x = (edge - left) * scale
            fill = color(step(edge + 0.25 - picture.bound))
            elements = "1 element" if count == 1 else f"{count:,} elements"
            label = f"{elements}, 10^{edge:g} to 10^{edge + 0.5:g} units"
            parts.append(
                f'<rect x="{x:.1f}" y="{base - tall:.1f}" width="{scale * 0.5 - 1:.1f}" '
                f'height="{tall:.1f}" fill="{fill}">'
                f"<title>{label}</title></rect>"
            )
    at = (picture.bound - left) * scale
    parts.append(
        f'<path d="M{at:.1f} 0V{base}" class="bound"/><text x="{at + 3:.1f}" y="9">bound</text>'
    )
    parts.append(f'<path d="M0 {base}H{CHART_WIDTH}" class="axis"/>')
    parts += [
        f'<text x="{(power - left) * scale:.1f}" y="{base + 13}" text-anchor="middle">10<tspan '
        f'dy="-4">{power}</tspan></text>'
        for power in range(-2, 12, 2)
    ]
    parts.append(
        f'<text x="{CHART_WIDTH / 2}" y="{HISTOGRAM_HEIGHT + 4}" text-anchor="middle">rounding '
        "units</text>"
    )
    label = f"histogram of errors; {picture.exact:,} elements have no error"
    return (
        f'<svg viewBox="-8 0 {CHART_WIDTH + 16} {HISTOGRAM_HEIGHT + 8}" class="histogram" '
        f'role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def _magnitude(count: int) -> float:
    """Grows like the logarithm of a count; 0 for 0."""
    digits = len(str(count))
    return digits - 1 + count / 10**digits if count else 0.0


def bars(picture: Picture) -> str:
    """The share of elements that differ, channel by channel."""
    width, height = CHART_WIDTH, BARS_HEIGHT
    bar = width / len(picture.channels)
    parts = []
    for at, share in enumerate(picture.channels):
        if share:
            tall = max(1.5, height * share)
            parts.append(
                f'<path d="M{at * bar:.2f} {height}v{-tall:.2f}h{max(bar - 0.6, 0.6):.2f}'
                f'v{tall:.2f}z"/>'
            )
    label = f"share of elements that differ in each of {picture.channel_count} output channels"
    return (
        f'<svg viewBox="0 0 {width} {height + 1}" class="bars" role="img" '
        f'aria-label="{label}">{"".join(parts)}'
        f'<path d="M0 {height + 0.5}H{width}" class="axis"/></svg>'
    )


def kernel(grid: Grid, scale: float, label: str) -> str:
    """The taps of a kernel as colored cells: cold is negative, warm positive.

    A tap of magnitude `scale` has full color.  The values are written in where there is room.
    """
    rows, columns = len(grid), len(grid[0])
    cell = 34 if columns <= MAX_LABELLED_COLUMNS else 16 if columns <= 11 else 9
    parts = []
    for y, line in enumerate(grid):
        for x, value in enumerate(line):
            strength = min(1.0, abs(value) / scale) if scale else 0.0
            kind = "cold" if value < 0 else "warm"
            parts.append(
                f'<rect x="{x * cell}" y="{y * cell}" width="{cell}" height="{cell}" '
                f'class="{kind}" fill-opacity="{strength:.2f}">'
                f"<title>{value:g}</title></rect>"
            )
            if columns <= MAX_LABELLED_COLUMNS:
                middle = f'x="{x * cell + cell / 2:g}" y="{y * cell + cell / 2 + 3:g}"'
                parts.append(f'<text {middle} text-anchor="middle">{_tap(value)}</text>')
    size = (
        f'width="{columns * cell}" height="{rows * cell}" viewBox="0 0 {columns * cell} '
        f'{rows * cell}"'
    )
    return (
        f'<svg {size} class="kernel" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _tap(value: float) -> str:
    """A value in about five characters."""
    text = f"{value:.2g}"
    if not value or abs(value) >= 1:
        return text
    return text.replace("e-0", "e-").replace("e+0", "e").replace("0.", ".", 1)


def largest(pairs: Sequence[KernelPair]) -> float:
    """The largest magnitude in any of the planes: the scale that they share."""
    grids = [grid for pair in pairs for grid in (pair.asked, pair.obtained) if grid]
    return max((abs(value) for grid in grids for line in grid for value in line), default=0.0)
