"""Which output elements to look at first: few, and telling.

They come in pairs of one channel, so that a constant added to the channel drops out of their
difference.  The first of a pair lies inside, where padding plays no part, the second at a corner,
which shows it; the last pairs lie anywhere.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack
from convdiff.diagnose.search.windows import SamplePoint
from convdiff.spec.layout import Array

PAIRS = 14
# Places drawn for each point; the one where most forms have a value to tell apart is taken.
DRAWN = 6
# The last pairs may be zeros: an activation shows there alone.
ANY_VALUE = 4


def choose_sample_points(outputs: ArrayViewStack) -> list[SamplePoint]:
    """Elements of outputs (N, O, *space), in pairs; finite, and not zero, in as many of them as can
    be had; none if none is.
    """
    drawn = _drawn(outputs.shape)
    values = outputs.gather(*drawn)
    telling = np.isfinite(values) * (
        1.0 + ((values != 0) & (np.arange(2 * PAIRS) < 2 * (PAIRS - ANY_VALUE))[:, None])
    )
    # The first form, which is the output as it was asked, counts as much as all others together.
    score = telling[0] * len(values) + telling.sum(axis=0)
    at = np.arange(2 * PAIRS), score.argmax(axis=1)
    chosen = values[0][at].reshape(PAIRS, 2)
    # A factor is told by the first value of all: it must not be zero, if any is not.
    order = np.argsort(chosen[:, 0] == 0, kind="stable")
    order = order[np.isfinite(chosen[order]).all(axis=1)]
    numbers = (2 * order[:, None] + np.arange(2)).reshape(-1)
    item, channel, *place = (each[at][numbers].tolist() for each in drawn)
    return [
        SamplePoint(*numbers)
        for numbers in zip(item, channel, zip(*place, strict=True), strict=True)
    ]


@lru_cache(maxsize=256)
def _drawn(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """(points, places drawn for each) of the item, the channel and the index along every axis."""
    generator = np.random.default_rng(7)
    items, channels, *space = shape
    corners = list(itertools.product(*((0, size - 1) for size in space)))
    counts = 2 * PAIRS, DRAWN
    inside = (np.arange(2 * PAIRS) % 2 == 0) & (np.arange(2 * PAIRS) < PAIRS)
    item = generator.integers(items, size=counts)
    channel = np.broadcast_to(generator.integers(channels, size=PAIRS).repeat(2)[:, None], counts)
    place = np.stack([generator.integers(size, size=counts) for size in space])
    for axis, size in enumerate(space):
        place[axis, inside] = generator.integers(
            size // 4, max(size - size // 4, size // 4 + 1), size=counts
        )[inside]
    for number in range(1, min(2 * PAIRS, 2 * len(corners) + 4), 2):
        place[:, number] = np.array(corners[number // 2 % len(corners)])[:, None]
    return item, channel, *place
