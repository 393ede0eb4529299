"""Sample points come in pairs of one channel, where the values distinguish candidates."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack
from convdiff.diagnose.search.sample_points import POINT_PAIRS, choose_sample_points
from convdiff.diagnose.search.windows import SamplePoint
from tests.diagnose.naive import Array


def points_of(output: Array) -> list[SamplePoint]:
    return choose_sample_points(ArrayViewStack([ArrayView.of(output)]))


@pytest.mark.parametrize("shape", [(2, 3, 20), (2, 3, 9, 8), (1, 1, 5, 4, 6), (1, 1, 1)])
def test_pairs_are_in_one_channel_and_reach_every_corner(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(18)
    points = points_of(rng.standard_normal(shape))
    assert len(points) == 2 * POINT_PAIRS
    assert all(a.channel == b.channel for a, b in zip(points[::2], points[1::2], strict=True))
    corners = {
        point.position
        for point in points
        if all(p in (0, n - 1) for p, n in zip(point.position, shape[2:], strict=True))
    }
    assert len(corners) == np.prod([min(n, 2) for n in shape[2:]])


def test_the_first_value_is_not_zero_and_few_others_are() -> None:
    rng = np.random.default_rng(84)
    output = np.maximum(rng.standard_normal((2, 4, 9, 9)), 0)
    values = [output[(p.item, p.channel, *p.position)] for p in points_of(output)]
    assert values[0] != 0
    assert np.mean(np.array(values) == 0) < 0.3


def test_values_that_are_not_finite_are_avoided() -> None:
    rng = np.random.default_rng(72)
    output = rng.standard_normal((1, 2, 8, 8))
    output[:, :, ::2] = np.nan
    values = np.array([output[(p.item, p.channel, *p.position)] for p in points_of(output)])
    assert len(values)
    assert np.isfinite(values).all()
    assert not points_of(np.full((1, 2, 8), np.inf))
