"""The precision models that an output allows, and the one that fits it."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.api import diff
from convdiff.diagnose.core.precision_fit import (
    best_model,
    narrow_sum_models,
    operand_models,
    rounded_problems,
)
from convdiff.diagnose.core.problem import Problem
from convdiff.numerics.error_bound import Rounding, compare
from convdiff.numerics.precision import ROUND_TO
from convdiff.numerics.reference import compute_reference
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(30)
X = RNG.standard_normal((2, 8, 10, 10)).astype(np.float32)
W = RNG.standard_normal((4, 8, 3, 3)).astype(np.float32)
BIAS = RNG.standard_normal(4).astype(np.float32)
SHAPE = (2, 4, 8, 8)


def problem(
    obtained: Array, x: Array = X, w: Array = W, bias: Array | None = None, dtype: str = "float32"
) -> Problem:
    spec, _ = read_spec(x.shape, w.shape, Settings(), bias=bias is not None, dtype=dtype)
    rounding = Rounding("float32", obtained.dtype.name, spec.terms)
    return Problem(spec, x, w, bias, obtained, rounding)


def correlated(x: Array, w: Array) -> Array:
    return convolve(x, w, Geometry((1, 1), ((0, 0), (0, 0)), (1, 1))).astype(np.float32)


def accumulated_in_float16() -> Array:
    sums = np.zeros(SHAPE, np.float16)
    x, w = X.astype(np.float16), W.astype(np.float16)
    for channel, row, column in np.ndindex(W.shape[1:]):
        window = x[:, channel, None, row : row + 8, column : column + 8]
        sums += w[:, channel, row, column].reshape(1, -1, 1, 1) * window
    return sums


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            None,
            [
                "tf32 of input and kernel",
                "tf32 (truncated) of input and kernel",
                "bf16 of input and kernel",
                "fp16 of input and kernel",
                "fp16 of kernel",
                "bf16 of kernel",
                "fp16 of input",
                "bf16 of input",
            ],
        ),
        (1.0, []),
        (2.0**-7, ["bf16 of input and kernel", "bf16 of kernel", "bf16 of input"]),
    ],
    ids=["float32 numbers", "whole numbers", "multiples of 1/128"],
)
def test_only_formats_that_change_the_operands_are_tried(
    step: float | None, expected: list[str]
) -> None:
    x, w = (
        (np.rint(array / step) * step).astype(np.float32) if step else array for array in (X, W)
    )
    assert [
        f"{precision.operand_format} of {' and '.join(precision.rounded_operands)}"
        for precision in operand_models(problem(np.zeros(SHAPE, np.float32), x, w))
    ] == expected


def test_each_possible_bias_is_a_problem_of_its_own() -> None:
    given = problem(np.zeros(SHAPE, np.float32), bias=BIAS)
    (bfloat16,) = (
        precision
        for precision in operand_models(given)
        if (precision.operand_format, len(precision.rounded_operands)) == ("bf16", 2)
    )
    narrow, wide = rounded_problems(bfloat16, given)
    for rounded in (narrow, wide):
        np.testing.assert_array_equal(rounded.input, ROUND_TO["bf16"](X))
        np.testing.assert_array_equal(rounded.kernel, ROUND_TO["bf16"](W))
    np.testing.assert_array_equal(narrow.bias, ROUND_TO["bf16"](BIAS))
    np.testing.assert_array_equal(wide.bias, BIAS)


@pytest.mark.parametrize(
    ("dtype", "names"), [("float32", ["fp16"]), ("float16", [])], ids=["not asked", "asked"]
)
def test_narrow_sums_of_a_float16_output(dtype: str, names: list[str]) -> None:
    (precision,) = narrow_sum_models(problem(np.ones(SHAPE, np.float16), dtype=dtype))
    assert [edit["obtained"] for edit in precision.edits] == names
    assert precision.could_hide_fault
    assert precision.rounding.compute_dtype == "float16"
    # No more than the typical error is allowed for, which is far below the bound.
    assert precision.rounding.terms < 72


def test_no_narrow_sums_of_a_float32_output_or_of_few_elements() -> None:
    assert not list(narrow_sum_models(problem(RNG.standard_normal(SHAPE).astype(np.float32))))
    few = problem(np.ones((1, 4, 2, 2), np.float16), X[:1, :, :4, :4])
    assert not list(narrow_sum_models(few))


def fitted(obtained: Array) -> list[tuple[str, str]] | None:
    """The (obtained, where) of the best model's edits."""
    given = problem(obtained)
    reference = compute_reference(given.spec, X, W)
    comparison = compare(given.obtained, reference, given.rounding)
    precision = best_model(given, reference, comparison)
    return precision and [(edit["obtained"], edit["where"]) for edit in precision.edits]


@pytest.mark.parametrize(
    ("format_name", "edit"),
    [
        ("tf32", ("tf32", "inputs")),
        ("tf32 (truncated)", ("tf32", "inputs")),
        ("bf16", ("bf16", "inputs")),
    ],
)
def test_rounded_operands_are_the_best_model(format_name: str, edit: tuple[str, str]) -> None:
    x, w = (np.asarray(ROUND_TO[format_name](array)) for array in (X, W))
    assert fitted(correlated(x, w)) == [edit]


def test_sums_accumulated_in_float16_are_the_best_model() -> None:
    assert fitted(accumulated_in_float16()) == [("fp16", "accumulator")]


def test_a_wrong_element_is_not_explained_by_narrow_sums() -> None:
    obtained = accumulated_in_float16()
    obtained[1, 2, 3, 4] += 1
    assert fitted(obtained) is None


def test_no_model_fits_correct_sums_or_a_fault() -> None:
    assert fitted(correlated(X, W)) is None
    assert fitted(correlated(X, W[:, :, ::-1, ::-1])) is None


def test_suggested_models_are_computed_once_per_problem() -> None:
    given = problem(accumulated_in_float16())
    assert given.suggested_models is given.suggested_models
    assert len(given.suggested_models) == 2
    assert problem(correlated(X, W)).suggested_models == ()


@pytest.mark.parametrize("fault", ["weights", "noise", "clamped"])
def test_faults_in_a_float16_output_are_not_narrow_sums(fault: str) -> None:
    rng = np.random.default_rng(8)
    x = rng.standard_normal((1, 16, 20, 20)).astype(np.float32)
    w = (rng.standard_normal((8, 16, 3, 3)) / 36).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 3), (2, 3))
    used = np.round(w, 2) if fault == "weights" else w
    y = np.einsum("ncyxhw,ochw->noyx", windows, used.astype(np.float64))
    if fault == "noise":
        y += 0.02 * rng.standard_normal(y.shape)
    if fault == "clamped":
        # Beyond the largest number of float16: what is finite there is wrong.
        x, y = x * 2.0**10, np.clip(y * 2.0**18, -60000, 60000)
        w = w * 2.0**8
    result = diff(x, w, y.astype(np.float16), padding=0)
    assert result.verdict == "different"


def test_a_small_bias_that_is_missing_in_float16_is_no_fast_algorithm() -> None:
    rng = np.random.default_rng(9)
    x = rng.standard_normal((1, 3, 32, 32)).astype(np.float16)
    w = (rng.standard_normal((8, 3, 3, 3)) / 16).astype(np.float16)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 3), (2, 3))
    y = np.einsum("ncyxhw,ochw->noyx", windows, w.astype(np.float64)).astype(np.float16)
    bias = (0.01 * rng.standard_normal(8)).astype(np.float16)
    result = diff(x, w, y, padding=0, bias=bias)
    assert [edit["code"] for edit in result.findings[0].edits] == ["bias-missing"]
