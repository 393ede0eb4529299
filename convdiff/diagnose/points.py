"""Which output elements to look at first: few, and telling.

They come in pairs of one channel, so that a constant added to the channel drops out of their difference.  The first lie
inside, where padding plays no part; then come the corners and edges, which show it; then any.
"""

from __future__ import annotations

import itertools

import numpy as np

from convdiff.diagnose.windows import Point
from convdiff.layout import Array

PAIRS = 14


def choose_points(output: Array) -> list[Point]:
    """Elements of `output` (N, O, *space), in pairs, all finite, not zero where that can be had; empty if none is finite."""
    generator = np.random.default_rng(7)
    _, channels, *space = output.shape
    corners = list(itertools.product(*((0, size - 1) for size in space)))
    points: list[Point] = []
    for number in range(PAIRS):
        channel = int(generator.integers(channels))
        for half in range(2):
            fixed = corners[(number - 2) % len(corners)] if number >= 2 and half == 0 and number % 2 == 0 else None
            # The last pairs may be zeros: an activation shows there alone.
            point = _informative(output, channel, fixed, generator, points, number < PAIRS - 4)
            if point is not None:
                points.append(point)
            elif half == 1 and points:
                points.append(points[-1])
    return points[: len(points) // 2 * 2]


def _informative(
    output: Array, channel: int, fixed: tuple[int, ...] | None, generator: np.random.Generator, taken: list[Point], not_zero: bool
) -> Point | None:
    """A finite element of the channel, at `fixed` if given; not taken yet, and not zero if asked, if a few tries find it."""
    items, _, *space = output.shape
    fallback: Point | None = None
    for attempt in range(12):
        # Away from the border for the first tries, so that the first points do not depend on padding.
        place = fixed or tuple(int(generator.integers(size // 4, max(size - size // 4, size // 4 + 1))) if attempt < 6 and size > 3
                               else int(generator.integers(size)) for size in space)
        if taken and len(taken) > 8 and fixed is None:
            place = tuple(int(generator.integers(size)) for size in space)
        point = Point(int(generator.integers(items)), channel, place)
        value = float(output[point.item, channel][place])
        if not np.isfinite(value):
            continue
        if (value != 0 or not not_zero) and point not in taken:
            return point
        fallback = fallback or point
    return fallback
