"""Rounding to narrow types."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.numerics.precision import (
    MAX_FINITE,
    MIN_NORMAL,
    MIN_SUBNORMAL,
    ROUND_TO,
    UNIT_ROUNDOFF,
    cast,
    half_ulp,
    is_narrow,
    significand_bits,
    to_bfloat16,
    to_tf32,
    to_tf32_truncated,
)

VALUES = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -2.5], np.float32)


@pytest.mark.parametrize(("name", "bits"), [("tf32", 11), ("bf16", 8), ("fp16", 11)])
def test_values_are_rounded_to_nearest(name: str, bits: int) -> None:
    rounded = ROUND_TO[name](VALUES)
    assert rounded.dtype == np.float32
    mantissa, exponent = np.frexp(VALUES.astype(np.float64))
    np.testing.assert_array_equal(rounded, np.ldexp(np.rint(mantissa * 2.0**bits), exponent - bits))
    np.testing.assert_array_equal(ROUND_TO[name](rounded), rounded)


def test_ties_go_to_even() -> None:
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8], np.float32)
    np.testing.assert_array_equal(to_bfloat16(ties), [1, 1 + 2.0**-6])


def test_truncation_goes_towards_zero() -> None:
    truncated = to_tf32_truncated(VALUES)
    assert (np.abs(truncated) <= np.abs(VALUES)).all()
    assert (np.abs(truncated - VALUES) < 2 * UNIT_ROUNDOFF["float16"] * np.abs(VALUES)).all()
    np.testing.assert_array_equal(to_tf32(truncated), truncated)


@pytest.mark.parametrize("name", ROUND_TO)
def test_non_finite_values_and_zeros_stay(name: str) -> None:
    np.testing.assert_array_equal(ROUND_TO[name](SPECIAL), SPECIAL)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_constants_are_those_of_the_type(dtype: str) -> None:
    info = np.finfo(dtype)
    assert UNIT_ROUNDOFF[dtype] == info.eps / 2
    assert MIN_NORMAL[dtype] == info.smallest_normal
    assert MIN_SUBNORMAL[dtype] == info.smallest_subnormal
    assert MAX_FINITE[dtype] == info.max
    assert significand_bits(dtype) == info.nmant + 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bit_types_are_narrow(dtype: str) -> None:
    assert is_narrow(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_wider_types_and_integers_are_not_narrow(dtype: str) -> None:
    assert not is_narrow(dtype)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_rounding_moves_no_value_by_more_than_half_an_ulp(dtype: str) -> None:
    values = np.random.default_rng(1).standard_normal(1000)
    assert (np.abs(cast(values, dtype) - values) <= half_ulp(values, dtype)).all()


def test_integer_types_have_no_rounding_error() -> None:
    assert not half_ulp(np.array([1e6, 0.5]), "int32").any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_half_a_unit_of_the_largest_number_is_finite(dtype: str) -> None:
    largest = MAX_FINITE[dtype]
    at, before = half_ulp(np.array([largest, largest * (1 - 2.0**-8)]), dtype)
    assert at == before < np.inf
