"""Reduced precision is found alone and beside faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.numerics.precision import ROUND_TO
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(30)
X = RNG.standard_normal((2, 4, 8, 8)).astype(np.float32)
W = RNG.standard_normal((4, 4, 3, 3)).astype(np.float32)
BIAS = RNG.standard_normal(4).astype(np.float32)
PADDED = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))
FAULTS = ("kernel-flipped", "input-channels-reversed", "wrong-padding")


def round_to(name: str, array: Array) -> Array:
    return np.asarray(ROUND_TO[name](array))


def faulty_convolution(operands: str, faults: tuple[str, ...], bias: Array | None) -> Array:
    """A convolution with padding 1, of rounded operands, with these faults; summed in float32."""
    x, w = (round_to(operands, array) for array in (X, W))
    if "kernel-flipped" in faults:
        w = w[:, :, ::-1, ::-1]
    if "input-channels-reversed" in faults:
        x = x[:, ::-1]
    padding = ((0, 2), (0, 2)) if "wrong-padding" in faults else ((1, 1), (1, 1))
    output = convolve(x, w, Geometry((1, 1), padding, (1, 1)))
    return (output if bias is None else output + bias.reshape(1, -1, 1, 1)).astype(np.float32)


@pytest.mark.parametrize("operands", ["tf32", "bf16", "fp16"])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("bias", ["none", "narrow", "wide"])
def test_faults_are_found_beside_rounded_operands(operands: str, count: int, bias: str) -> None:
    added = None if bias == "none" else BIAS
    if bias == "narrow" and operands != "tf32":
        added = round_to(operands, BIAS)
    result = convdiff.diff(
        X,
        W,
        faulty_convolution(operands, FAULTS[:count], added),
        padding=1,
        bias=None if bias == "none" else BIAS,
    )
    # TF32 and float16 round alike within float16's range.
    names = {"bf16"} if operands == "bf16" else {"tf32", "fp16"}
    edits = {edit["code"]: edit for edit in result.findings[0].edits}
    assert edits.pop("reduced-precision")["obtained"] in names
    assert set(edits) == set(FAULTS[:count])
    assert result.verdict == ("different" if count else "reduced-precision")


@pytest.mark.parametrize("stored", ["bf16", "fp16"])
@pytest.mark.parametrize("operand", ["input", "kernel"])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_single_rounded_operand(stored: str, operand: str, flipped: bool) -> None:
    x, w = (
        round_to(stored, array) if name == operand else array
        for name, array in (("input", X), ("kernel", W))
    )
    obtained = convolve(x, w[:, :, ::-1, ::-1] if flipped else w, PADDED).astype(np.float32)
    *others, precision = convdiff.diff(X, W, obtained, padding=1).findings[0].edits
    assert [edit["code"] for edit in others] == (["kernel-flipped"] if flipped else [])
    assert precision == {"code": "reduced-precision", "obtained": stored, "where": operand}


@pytest.mark.parametrize("operands", ["tf32", "bf16", "fp16"])
@pytest.mark.parametrize(("computed", "saved"), [("f4", "f4"), ("f8", "f4"), ("f8", "f8")])
def test_rounded_operands_of_float64_arrays(operands: str, computed: str, saved: str) -> None:
    """As of NumPy arrays, where nothing says what type was computed in."""
    x, w = RNG.standard_normal((2, 4, 8, 8)), RNG.standard_normal((4, 4, 3, 3))
    narrow = (round_to(operands, array).astype(computed) for array in (x, w))
    obtained = convolve(*narrow, PADDED)
    result = convdiff.diff(x, w, obtained.astype(computed).astype(saved), padding=1)
    assert result.verdict == "reduced-precision"
    assert [edit["code"] for edit in result.findings[0].edits] == ["reduced-precision"]


@pytest.mark.parametrize("stored", ["bf16", "fp16"])
def test_rounded_operands_of_a_narrow_output_are_not_narrow_sums(stored: str) -> None:
    obtained = round_to(stored, faulty_convolution(stored, (), None))
    if stored == "fp16":
        obtained = obtained.astype(np.float16)
    edits = convdiff.diff(X, W, obtained, padding=1).findings[0].edits
    # Only the values show that the output was stored as bfloat16, so the finding says that too.
    assert [edit["where"] for edit in edits] == (
        ["inputs"] if stored == "fp16" else ["inputs", "output"]
    )


@pytest.mark.parametrize(
    ("round_output", "obtained"),
    [
        (lambda y: y.astype(np.float16).astype(np.float32), "fp16"),
        (lambda y: np.round(y, 4), "4 decimals"),
        (np.round, "0 decimals"),
    ],
)
def test_a_rounded_output_alone_and_beside_a_fault(round_output: Any, obtained: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 8, 8)).astype(np.float32)
    w = rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
    edit = {"code": "reduced-precision", "obtained": obtained, "where": "output"}
    correct, flipped = (
        round_output(convolve(x, kernel, PADDED).astype(np.float32))
        for kernel in (w, w[:, :, ::-1, ::-1])
    )
    alone = convdiff.diff(x, w, correct, padding=1)
    assert (alone.verdict, alone.findings[0].edits) == ("reduced-precision", (edit,))
    beside = convdiff.diff(x, w, flipped, padding=1)
    assert beside.findings[0].edits == ({"code": "kernel-flipped", "axes": ["H", "W"]}, edit)


def overlapped(y: Array) -> Array:
    """Sums that were added up to three times along both axes."""
    counts = np.minimum(np.minimum(np.arange(8) + 1, 8 - np.arange(8)), 3)
    return y * counts * counts[:, None]


def normalized(y: Array) -> Array:
    """Each channel scaled and shifted, as by a BatchNorm."""
    return y * np.array([0.6, 1.7, 0.9, 1.3]).reshape(1, -1, 1, 1) + BIAS.reshape(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("operation", "code", "flipped"),
    [
        (overlapped, "overlap-accumulated", False),
        (overlapped, "overlap-accumulated", True),
        (normalized, "channels-scaled", False),
        (np.tanh, "activation-applied", False),
        (np.tanh, "activation-applied", True),
        (lambda y: y / 3, "scaled", True),
    ],
)
@pytest.mark.parametrize("stored", ["bf16", "fp16"])
def test_sums_stored_in_16_bits_before_and_after_an_operation(
    operation: Any, code: str, flipped: bool, stored: str
) -> None:
    x, asked = (round_to(stored, array) for array in (X, W / 8))
    w = asked[:, :, ::-1, ::-1] if flipped else asked
    sums = round_to(stored, convolve(x, w, PADDED).astype(np.float32))
    obtained = round_to(stored, operation(sums).astype(np.float32))
    edits = convdiff.diff(x, asked, obtained, padding=1).findings[0].edits
    codes = {edit["code"] for edit in edits} - {"reduced-precision"}
    assert codes == {code, *(["kernel-flipped"] if flipped else [])}


def test_three_faults_beside_sums_accumulated_in_float16() -> None:
    x, w = X.astype(np.float16), W[:, :, ::-1, ::-1].astype(np.float16)
    padded = np.pad(x, ((0, 0), (0, 0), (0, 2), (0, 2)))
    sums = np.zeros((2, 4, 8, 8), np.float16)
    for channel, row, column in np.ndindex(4, 3, 3):
        sums += (
            w[:, channel, row, column].reshape(1, -1, 1, 1)
            * padded[:, channel, None, row : row + 8, column : column + 8]
        )
    (finding,) = convdiff.diff(X, W, sums[:, ::-1].astype(np.float32), padding=1).findings
    candidates = [
        {edit["code"] for edit in edits} - {"reduced-precision"}
        for edits in (finding.edits, *finding.rivals)
    ]
    assert {"kernel-flipped", "wrong-padding", "output-channels-reversed"} in candidates
