"""Obtained values that are 16-bit or printed numbers suggest a precision model."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from convdiff.diagnose.core.precision_evidence import (
    natural_decimals,
    printed_grids,
    suggested_models,
)
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import to_bfloat16, to_float16
from tests.diagnose.naive import Array, Geometry, convolve

VALUES = np.random.default_rng(0).standard_normal(500).astype(np.float32)
OPERANDS = (VALUES, VALUES)
FLOAT32 = Rounding("float32", "float32", 27)


def suggested(obtained: Array, rounding: Rounding = FLOAT32) -> list[list[tuple[str, str]]]:
    """The (obtained, where) of each suggested model's edits."""
    return [
        [(edit["obtained"], edit["where"]) for edit in precision.edits]
        for precision in suggested_models(obtained, rounding, OPERANDS)
    ]


def test_float32_values_suggest_nothing() -> None:
    assert not suggested(VALUES)


@pytest.mark.parametrize(("round_to", "name"), [(to_bfloat16, "bf16"), (to_float16, "fp16")])
def test_16_bit_values_suggest_rounded_outputs_operands_and_sums(round_to, name: str) -> None:
    assert suggested(round_to(VALUES)) == [
        [(name, "output")],
        [(name, "inputs"), (name, "output")],
        [(name, "accumulator")],
    ]


def test_a_declared_16_bit_output_suggests_only_how_it_was_computed() -> None:
    stored = Rounding("float32", "float16", 27)
    assert suggested(to_float16(VALUES), stored) == [
        [("fp16", "inputs")],
        [("fp16", "accumulator")],
    ]


@pytest.mark.parametrize(
    "values",
    [
        np.arange(-50, 50, dtype=np.float32),
        np.arange(-50, 50, dtype=np.float32) / 8,
        np.full(500, np.float32(1.5)),
        to_float16(VALUES[:2]),
    ],
    ids=["whole numbers", "multiples of 1/8", "a constant", "two values"],
)
def test_values_that_any_type_holds_suggest_no_16_bit_type(values: Array) -> None:
    names = {name for edits in suggested(values) for name, _ in edits}
    assert not names & {"bf16", "fp16"}


@pytest.mark.parametrize("decimals", [0, 1, 3])
def test_rounded_decimals(decimals: int) -> None:
    grid = next(printed_grids(np.round(100 * VALUES, decimals), natural=20))
    assert grid == (f"{decimals} decimal{'' if decimals == 1 else 's'}", 0.5 * 10.0**-decimals)


def test_significant_digits() -> None:
    printed = np.array([float(f"{value:.3g}") for value in VALUES])
    assert ("3 digits", 0.005) in list(printed_grids(printed, natural=20))


def test_the_decimals_that_sums_have_anyway() -> None:
    tenths, hundredths, whole = np.array([0.5, 1.1]), np.array([0.25, 3.01]), np.arange(4.0)
    assert natural_decimals((tenths, hundredths)) == 3
    assert natural_decimals((whole, whole)) == 0
    assert natural_decimals((whole, whole, hundredths)) == 2
    assert natural_decimals((VALUES, whole)) >= 99


@pytest.mark.parametrize("seed", range(8))
def test_whole_numbers_are_not_taken_for_printed_ones(seed: int) -> None:
    """Sums of whole numbers lie on a decimal grid by nature, even with the errors of an FFT."""
    signal = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 10, (6, 7)).astype(np.float32)
    w = rng.integers(0, 10, (3, 3)).astype(np.float32)
    obtained = signal.correlate(x, w, "same", method="fft")
    result = convdiff.diff(x, w, obtained, padding="same", input_layout="HW", kernel_layout="HW")
    assert "reduced-precision" not in {
        code for finding in result.findings for code in finding.codes
    }


def test_whole_numbers_printed_with_fewer_digits() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 200, (1, 3, 9, 9)).astype(np.float32)
    w = rng.integers(-90, 90, (4, 3, 3, 3)).astype(np.float32)
    exact = convolve(x, w, Geometry((1, 1), ((0, 0), (0, 0)), (1, 1)))
    printed = np.array([float(f"{value:.3g}") for value in exact.ravel()], np.float32)
    (edit,) = convdiff.diff(x, w, printed.reshape(exact.shape)).findings[0].edits
    assert edit["obtained"] == "3 digits"


def test_sums_of_operands_with_few_decimals_are_not_taken_for_printed_ones() -> None:
    """Their few decimals are no loss of precision; rounding them to fewer is.

    float32 holds none of these operands exactly.
    """
    x = (np.arange(1, 101) * 0.01).reshape(4, 1, 5, 5)
    w = (np.arange(1, 9) * 0.125).reshape(2, 2, 1, 2).transpose(3, 2, 0, 1)
    output = convolve(x, w, Geometry((2, 2), ((0, 0), (0, 0)), (1, 1)))
    x, w = x.astype(np.float32), w.astype(np.float32)
    assert convdiff.diff(x, w, output.astype(np.float32), stride=2).verdict == "rounding"
    printed = np.round(output, 2).astype(np.float32)
    edits = convdiff.diff(x, w, printed, stride=2).findings[0].edits
    assert edits == ({"code": "reduced-precision", "obtained": "2 decimals", "where": "output"},)
