"""The grid that values lie on is read off them, unless such sums lie on one anyway."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.core.output_grid import natural_step, output_grid, raw_grid
from tests.diagnose.naive import Array

RANDOM = np.random.default_rng(2)
OPERANDS = RANDOM.standard_normal((2, 50)).astype(np.float32)


def multiples(step: float, low: int, high: int) -> Array:
    numbers = np.concatenate([[low, high], RANDOM.integers(low, high + 1, 300)])
    return (numbers * np.float32(step)).astype(np.float32)


@pytest.mark.parametrize(
    ("low", "high", "bits", "zero_point"),
    [(-127, 127, 8, 0), (0, 255, 8, 0), (-130, 120, 8, 130), (-8, 7, 4, 0), (-3000, 9000, 16, 0)],
)
def test_step_width_and_zero_point_are_read(
    low: int, high: int, bits: int, zero_point: int
) -> None:
    grid = output_grid(multiples(0.0371, low, high), OPERANDS)
    assert grid is not None
    assert grid.step == pytest.approx(0.0371, rel=1e-6)
    assert (grid.low, grid.high, grid.bits, grid.zero_point) == (low, high, bits, zero_point)


def test_far_apart_multiples_are_enough() -> None:
    values = np.float32(0.0371) * np.array([-120, -104, -77, -50, 0, 3, 31, 64, 99], np.float32)
    grid = output_grid(values, OPERANDS)
    assert grid is not None
    assert grid.step == pytest.approx(0.0371, rel=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.standard_normal(500).astype(np.float32),
        np.array([0, 1.7], np.float32)[RANDOM.integers(0, 2, 500)],
        RANDOM.standard_normal(20)[RANDOM.integers(0, 20, 500)].astype(np.float32),
        multiples(0.01, -100, 100),
        multiples(1.0, -100, 100),
    ],
    ids=["any values", "a mask", "few values", "decimals", "whole numbers"],
)
def test_other_values_lie_on_no_grid(values: Array) -> None:
    assert output_grid(values, OPERANDS) is None


def test_sums_of_whole_numbers_lie_on_a_grid_by_nature() -> None:
    pixels, kernel = np.arange(256.0), np.array([1, 2, 4]) / 16
    assert natural_step([pixels, kernel]) == pytest.approx(1 / 16)
    assert natural_step([pixels, OPERANDS[0]]) == 0
    assert output_grid(multiples(1 / 16, 0, 200), [pixels, kernel]) is None
    assert output_grid(multiples(0.37, 0, 200), [pixels, kernel]) is not None


def test_whole_numbers_on_a_line_over_the_sums_have_a_zero_point() -> None:
    sums = RANDOM.standard_normal(400)
    grid = raw_grid(np.clip(np.rint(sums / 0.0371) + 20, -128, 127), sums, "int8")
    assert grid is not None
    assert grid.zero_point == 20
    assert grid.step == pytest.approx(0.0371, rel=1e-3)
    assert raw_grid(RANDOM.integers(-128, 128, 400), sums, "int8") is None
