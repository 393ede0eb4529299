"""A precision model rounds operands and bias as the computation would have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convdiff.diagnose.core.precision_model import PrecisionModel, precision_edit
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import to_bfloat16

VALUES = np.random.default_rng(0).standard_normal(50).astype(np.float32)
ASKED = PrecisionModel(Rounding("float32", "float32", 27))
BFLOAT16 = replace(ASKED, operand_format="bf16", edits=(precision_edit("bf16", "inputs"),))


def test_the_asked_precision_leaves_operands_and_bias_as_they_are() -> None:
    assert ASKED.round_operand(VALUES, "input") is VALUES
    assert ASKED.possible_biases(VALUES) == (VALUES,)
    assert ASKED.cost == 0


def test_only_the_named_operands_are_rounded() -> None:
    kernel_only = replace(BFLOAT16, rounded_operands=("kernel",))
    assert kernel_only.round_operand(VALUES, "input") is VALUES
    rounded = kernel_only.round_operand(VALUES, "kernel")
    assert rounded.dtype == np.float64
    np.testing.assert_array_equal(rounded, to_bfloat16(VALUES))


def test_a_bias_is_rounded_or_not_where_both_operands_are() -> None:
    narrow, wide = BFLOAT16.possible_biases(VALUES)
    np.testing.assert_array_equal(narrow, to_bfloat16(VALUES))
    assert wide is VALUES
    assert len(BFLOAT16.possible_biases(to_bfloat16(VALUES))) == 1


def test_a_tensor_core_adds_the_bias_in_float32() -> None:
    assert replace(BFLOAT16, operand_format="tf32").possible_biases(VALUES) == (VALUES,)


def test_screening_allows_for_the_error_of_rounding_both_operands() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 1000, 27)).astype(np.float32)
    error = np.abs((x * w).sum(axis=1) - (to_bfloat16(x) * to_bfloat16(w)).sum(axis=1))
    rounding = BFLOAT16.screening_model.rounding
    norm = np.linalg.norm(x, axis=1) * np.abs(w).max(axis=1)
    assert (error <= rounding.bound_units * rounding.unit_roundoff * norm).all()
    assert BFLOAT16.screening_model.operand_format is None
