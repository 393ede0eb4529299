"""Channels that hold the same, as where a ReLU has silenced several: those that nothing tells apart
stay in their places.
"""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from convdiff.diagnose.fit.channel_order import identical_channels, settle_identical_channels
from tests.diagnose.naive import Geometry, convolve


@pytest.mark.parametrize(
    "order", [[1, 0, 2, 3, 4, 5, 6, 7], [1, 2, 0, 3, 4, 5, 6, 7], [0, 1, 7, 3, 4, 5, 6, 2]]
)
def test_only_what_shows_is_told(order: list[int]) -> None:
    random = np.random.default_rng(4)
    x = np.maximum(random.standard_normal((2, 8, 7, 7)), 0).astype(np.float32)
    x[:, 3:7] = 0
    w = random.standard_normal((4, 8, 3, 3)).astype(np.float32)
    made = convolve(x[:, order], w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))).astype(np.float32)
    (edit,) = convdiff.diff(x, w, made, padding=1).findings[0].edits
    assert edit == {"code": "input-channels-permuted", "permutation": order}


def test_the_reading_stays_the_same() -> None:
    x = np.array([[5, 0, 7, 0, 0, 5]]).T
    same = identical_channels(x, axis=0)
    assert same == [0, 1, 2, 1, 1, 0]
    order = [3, 5, 4, 2, 1, 0]
    made = settle_identical_channels(order, same)
    assert np.array_equal(x[made], x[order]) and sorted(made) == list(range(6)) and made[4] == 4
