"""Windows hold the input elements that the definition of a convolution reads."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack
from convdiff.diagnose.search.geometry_table import TRIED_PAD_MODES
from convdiff.diagnose.search.windows import (
    ON_DILATED_ZERO,
    ON_PADDING,
    PaddingTaps,
    SamplePoint,
    WindowTable,
    gather_windows,
    gather_windows_by_row,
    tap_indices,
    unpadded_index,
)


@pytest.mark.parametrize("mode", [mode for mode in TRIED_PAD_MODES if mode != "constant"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_padded_elements_come_from_where_numpy_takes_them(mode: str, size: int) -> None:
    padded = np.pad(np.arange(size), (7, 8), mode=mode)  # type: ignore[call-overload]
    np.testing.assert_array_equal(unpadded_index(np.arange(-7, size + 8), size, mode), padded)


@pytest.mark.parametrize("mode", TRIED_PAD_MODES)
@pytest.mark.parametrize(
    ("stride", "lo", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 3, 2), (3, -1, 1)]
)
def test_taps_read_the_padded_input(mode: str, stride: int, lo: int, dilation: int) -> None:
    rng = np.random.default_rng(65)
    x = rng.standard_normal(9)
    padded = np.pad(x, (max(lo, 0), 9), mode=mode)[max(-lo, 0) :]  # type: ignore[call-overload]
    for position in range(3):
        index = tap_indices(np.array([[stride], [lo], [dilation], [1]]), position, 3, 9, mode)
        expected = padded[position * stride : position * stride + 2 * dilation + 1 : dilation]
        np.testing.assert_array_equal(np.where(index < 0, 0, x[index]), expected)


def test_a_dilated_input_is_zero_between_its_elements() -> None:
    index = tap_indices(np.array([[1], [1], [1], [2]]), 0, 6, 3, "constant")
    assert index.tolist() == [ON_PADDING, 0, ON_DILATED_ZERO, 1, ON_DILATED_ZERO, 2]


def test_windows_are_gathered_from_all_inputs() -> None:
    rng = np.random.default_rng(4)
    inputs = rng.standard_normal((2, 3, 4, 5))
    stack = ArrayViewStack([ArrayView.of(x) for x in inputs])
    points = [SamplePoint(1, 0, (0,)), SamplePoint(2, 0, (2,))]
    # (points, geometries, taps)
    index = np.array([[[0, 1], [0, 0]], [[2, 3], [4, 4]]])
    inside = np.array([[[True, True], [False, True]], [[True, True], [True, False]]])
    rows = gather_windows(stack, slice(1, 3), points, WindowTable((index,), inside))
    assert rows.shape == (2, 2, 2, 4)
    for number, point in enumerate(points):
        for geometry in range(2):
            window = inputs[:, point.item, 1:3][:, :, index[number, geometry]]
            window = np.where(inside[number, geometry], window, 0.0)
            np.testing.assert_array_equal(rows[:, number, geometry], window.reshape(2, -1))
    which, items = np.array([1, 0]), np.array([2, 1])
    channels = np.array([[0, 1], [2, 3]])
    table = WindowTable((index[1],), inside[1])
    single = gather_windows_by_row(stack, which, items, channels, table)
    for row in range(2):
        window = inputs[which[row], items[row], channels[row]][:, index[1, row]]
        window = np.where(inside[1, row], window, 0.0)
        np.testing.assert_array_equal(single[row], window.reshape(-1))


def test_numbers_in_the_padding_are_gathered_by_channel() -> None:
    stack = ArrayViewStack([ArrayView.of(np.arange(24.0).reshape(2, 3, 4))])
    index = np.array([[[0, 3]]])
    inside, on_padding = np.array([[[False, True]]]), np.array([[[True, False]]])
    table = WindowTable((index,), inside, PaddingTaps(on_padding, np.array([7.0, 8.0, 9.0])))
    (window,) = gather_windows(stack, slice(1, 3), [SamplePoint(1, 0, (0,))], table)[0, 0]
    assert window.tolist() == [8, 19, 9, 23]
    channels = np.array([[2, 0]])
    by_row = WindowTable((index[0],), inside[0], PaddingTaps(on_padding[0], np.arange(3.0) + 7))
    (row,) = gather_windows_by_row(stack, np.array([0]), np.array([1]), channels, by_row)
    assert row.tolist() == [9, 23, 7, 15]
