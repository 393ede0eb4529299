"""The usual grids: their scales, zero points and ends, and the values on them."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.core.operand_grid import GridRule

VALUES = np.array([[-1.0, 0.5, 0.25], [0.1, -0.2, 0.127]], np.float32)


def test_a_symmetric_grid_has_the_largest_magnitude() -> None:
    grid = GridRule(8, 127.0).grid(VALUES)
    assert float(grid.scale) == pytest.approx(1 / 127)
    np.testing.assert_allclose(grid.round(VALUES), np.rint(VALUES * 127) / 127, rtol=1e-6)


def test_a_grid_with_a_zero_point_spans_the_range() -> None:
    grid = GridRule(8).grid(VALUES)
    assert float(grid.scale) == pytest.approx(1.5 / 255)
    assert (float(grid.zero_point), float(grid.low), float(grid.high)) == (170, -170, 85)
    assert grid.round(np.zeros(1)) == 0


def test_each_channel_has_its_scale() -> None:
    grid = GridRule(8, 127.0, axis=0).grid(VALUES)
    np.testing.assert_allclose(grid.scale.ravel(), [1 / 127, 0.2 / 127], rtol=1e-6)
    np.testing.assert_array_equal(grid.only(1).round(VALUES[1]), grid.round(VALUES)[1])


def test_a_power_of_two_is_large_enough() -> None:
    assert float(GridRule(8, 127.0, power_of_two=True).grid(VALUES).scale) == 2.0**-6


def test_8_bit_floats_have_few_digits() -> None:
    grid = GridRule(8, float_format="e4m3", scale=1.0).grid(VALUES)
    values = np.array([1.0, 1.06, 1.07, 500.0, 0.001, -17.0])
    np.testing.assert_array_equal(grid.round(values), [1, 1, 1.125, 448, 2.0**-9 * 1, -16])
