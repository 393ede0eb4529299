"""The output elements that candidates are compared at before any is proved.

They come in pairs of one output channel, so that an unknown constant added to the channel drops out
of the difference of a pair.  In the first pairs one point lies in the interior, which padding does
not reach, and the other at a corner, which shows the padding; the last pairs lie anywhere.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack
from convdiff.diagnose.search.windows import SamplePoint
from convdiff.spec.layout import Array

# Pairs of points.  Each pair dismisses nearly all wrong candidates that are left; the late ones
# decide between candidates that differ in a few elements.
POINT_PAIRS = 14
# Elements drawn for each point, of which the most informative is taken.
DRAWS_PER_POINT = 6
# The last pairs may fall on zeros, where alone an activation such as ReLU shows.
PAIRS_WITH_ZEROS = 4


def choose_sample_points(outputs: ArrayViewStack) -> list[SamplePoint]:
    """Points of outputs (N, O, *space), two by two; each pair is in one channel.

    Where there is a choice, the values there are finite and, but for the last pairs, not zero.
    Pairs at which the first output is not finite are left out, so that there may be none at all.
    """
    drawn = _drawn_indices(outputs.shape)
    # (outputs, points, draws)
    values = outputs.gather(*drawn)
    wants_nonzero = np.arange(2 * POINT_PAIRS) < 2 * (POINT_PAIRS - PAIRS_WITH_ZEROS)
    usefulness = np.isfinite(values) * (1.0 + ((values != 0) & wants_nonzero[:, None]))
    # The first output, which is read as asked, counts as much as all others together.
    score = usefulness[0] * len(values) + usefulness.sum(axis=0)
    best = np.arange(2 * POINT_PAIRS), score.argmax(axis=1)
    pairs = values[0][best].reshape(POINT_PAIRS, 2)
    # An unknown factor is taken from the first value of all, which must not be zero if any is not.
    order = np.argsort(pairs[:, 0] == 0, kind="stable")
    order = order[np.isfinite(pairs[order]).all(axis=1)]
    points = (2 * order[:, None] + np.arange(2)).reshape(-1)
    item, channel, *position = (index[best][points].tolist() for index in drawn)
    return [
        SamplePoint(*indices)
        for indices in zip(item, channel, zip(*position, strict=True), strict=True)
    ]


@lru_cache(maxsize=256)
def _drawn_indices(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """One array (points, draws) of indices for each axis of outputs of this shape."""
    generator = np.random.default_rng(7)
    items, channels, *space = shape
    corners = list(itertools.product(*((0, size - 1) for size in space)))
    counts = 2 * POINT_PAIRS, DRAWS_PER_POINT
    # The first point of each pair in the first half.
    in_interior = (np.arange(2 * POINT_PAIRS) % 2 == 0) & (np.arange(2 * POINT_PAIRS) < POINT_PAIRS)
    item = generator.integers(items, size=counts)
    channel_of_pair = generator.integers(channels, size=POINT_PAIRS)
    channel = np.broadcast_to(channel_of_pair.repeat(2)[:, None], counts)
    position = np.stack([generator.integers(size, size=counts) for size in space])
    for axis, size in enumerate(space):
        # The middle half of the axis.
        position[axis, in_interior] = generator.integers(
            size // 4, max(size - size // 4, size // 4 + 1), size=counts
        )[in_interior]
    # The second point of the first pairs: every corner once, the first two again.
    for point in range(1, min(2 * POINT_PAIRS, 2 * len(corners) + 4), 2):
        position[:, point] = np.array(corners[point // 2 % len(corners)])[:, None]
    return item, channel, *position
