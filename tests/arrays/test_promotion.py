"""The type that a convolution is computed in."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.arrays import compute_dtype
from convdiff.records import Stored


@pytest.mark.parametrize(
    ("input", "kernel", "expected"),
    [
        ("float32", "float32", "float32"),
        ("float16", "float16", "float16"),
        ("float16", "float32", "float32"),
        ("float32", "float64", "float64"),
        ("uint8", "int64", "float32"),
        ("uint8", "float16", "float32"),
        ("float64", "uint8", "float64"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("bfloat16", "float16", "float32"),
        ("bfloat16", "uint8", "float32"),
        ("bfloat16", "float64", "float64"),
    ],
)
def test_the_type_to_compute_in(input: str, kernel: str, expected: str) -> None:
    arrays = [
        Stored(np.ones(2, "float32" if name == "bfloat16" else name), name)
        for name in (input, kernel)
    ]
    assert compute_dtype(arrays[0], arrays[1], None) == expected
    assert compute_dtype(arrays[1], arrays[0], None) == expected
    assert compute_dtype(arrays[0], arrays[1], "float64") == "float64"


LARGE_INTEGERS = [
    (2**24, "float32"),
    (2**24 + 1, "float64"),
    (-(2**24) - 1, "float64"),
    (-(2**63), "float64"),
]


@pytest.mark.parametrize(("value", "expected"), LARGE_INTEGERS)
def test_integers_beyond_float32_are_computed_in_float64(value: int, expected: str) -> None:
    small = Stored(np.ones(2, np.uint8), "uint8")
    assert compute_dtype(Stored(np.array([0, value]), "int64"), small, None) == expected
