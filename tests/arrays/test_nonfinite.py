"""NaN and infinity are counted, in little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np

from convdiff.arrays import from_memory, nonfinite_notes
from convdiff.records import Stored


def test_nan_and_infinity_are_counted() -> None:
    array = np.ones((700, 800), np.float32)
    array[3, 5] = array[699, 799] = np.nan
    array[0, 0] = -np.inf
    for view in (array, array.T, array[:, ::1][::-1]):
        assert nonfinite_notes(from_memory(view, "input"), "input") == [
            "input: 2 NaN and 1 infinite of 560,000 values; they are compared by place and kind"
        ]
    assert nonfinite_notes(from_memory(np.ones(3), "input"), "input") == []
    assert nonfinite_notes(from_memory(np.ones(3, int), "input"), "input") == []


def test_counting_takes_little_memory() -> None:
    array = np.ones((2048, 4096), np.float32).T[::2]
    tracemalloc.start()
    nonfinite_notes(Stored(array, "float32"), "input")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
