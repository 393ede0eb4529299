"""The arithmetics that an output may have been computed in, by its type and the arrays'."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.numerics.arithmetic import (
    Operands,
    possible_arithmetics,
    rounding_as_asked,
    stored_dtype,
)
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings

X, W = np.ones((1, 2, 5, 5)), np.full((3, 2, 3, 3), -2.0)


def spec_in(dtype: str) -> ConvSpec:
    return read_spec(X.shape, W.shape, Settings(), bias=False, dtype=dtype)[0]


@pytest.mark.parametrize(
    ("asked", "stored", "from_backend", "expected"),
    [
        ("float32", "float32", False, ["float32 arrays in float32, stored as float32"]),
        ("float32", "float16", False, ["float32 arrays in float32, stored as float16"]),
        (
            "float16",
            "float16",
            True,
            [
                "float16 arrays in float32, stored as float16",
                "float16 arrays in float16, stored as float16",
            ],
        ),
        (
            "bfloat16",
            "float32",
            True,
            [
                "bfloat16 arrays in float32, stored as bfloat16",
                "bfloat16 arrays in bfloat16, stored as bfloat16",
            ],
        ),
        ("float64", "float64", True, ["float64 arrays in float64, stored as float64"]),
        (
            "float64",
            "float64",
            False,
            [
                "float64 arrays in float64, stored as float64",
                "float32 arrays in float32, stored as float64",
            ],
        ),
        (
            "float64",
            "float32",
            True,
            [
                "float64 arrays in float64, stored as float32",
                "float32 arrays in float32, stored as float32",
            ],
        ),
    ],
)
def test_possible_arithmetics(
    asked: str, stored: str, from_backend: bool, expected: list[str]
) -> None:
    found = possible_arithmetics(
        spec_in(asked), stored, from_backend, lambda dtype: Operands(dtype, X, W, None)
    )
    assert [
        f"{operands.dtype} arrays in {rounding.compute_dtype}, stored as {rounding.stored_dtype}"
        for operands, rounding in found
    ] == expected


def test_arrays_are_cast_only_for_the_arithmetics_that_are_asked_for() -> None:
    cast_to: list[str] = []

    def operands(dtype: str) -> Operands:
        cast_to.append(dtype)
        return Operands(dtype, X, W, None)

    next(possible_arithmetics(spec_in("float64"), "float64", False, operands))
    assert cast_to == ["float64"]


def test_the_type_that_an_output_was_stored_in() -> None:
    assert stored_dtype(np.ones(3, np.float16)) == "float16"
    assert stored_dtype(np.ones(3, np.float32), "float32") == "float32"
    assert stored_dtype(np.ones(3, np.float32), "bfloat16") == "bfloat16"
    assert stored_dtype(np.ones(3, np.uint8)) == "float64"


def test_magnitudes_of_operands() -> None:
    assert Operands("float64", X, W, None).reach == 4
    infinite = X.copy()
    infinite[0, 0, 0, 0] = -np.inf
    assert Operands("float64", infinite, W, None).reach == 4
    assert Operands("float64", X[:0], W, None).reach == 3


def test_one_large_bias_does_not_count_for_all_channels() -> None:
    sizes = [
        Operands("float64", X, W, bias).bias_size
        for bias in (None, np.zeros(3), np.array([1.0, -2.0, 0.0]), np.array([1.0, 1.0, 1000.0]))
    ]
    assert sizes == [0, 0, 2, 8]


def test_the_rounding_of_an_output_computed_as_asked() -> None:
    rounding = rounding_as_asked(spec_in("float32"), "float16", Operands("float32", X, W, None))
    assert (rounding.compute_dtype, rounding.stored_dtype) == ("float32", "float16")
    assert (rounding.terms, rounding.operand_reach) == (18, 4)
