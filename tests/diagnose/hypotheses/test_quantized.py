"""Inputs, kernels and outputs on grids of a few bits, alone and beside faults; and lookalikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.records import Edit
from tests.diagnose.findings import conv, first_edits, normal
from tests.diagnose.naive import Array

X, W, BIAS = normal(2, 3, 12, 13), normal(5, 3, 3, 3) * np.float32(0.3), normal(5)
FEATURES = np.maximum(X, 0)
PICTURE = np.random.default_rng(3).integers(0, 256, (1, 3, 16, 18)).astype(np.float32)
SUMS = conv(X, W, 1)


def on_grid(values: Array, step: Any, low: float = -128, high: float = 127) -> Array:
    """The values rounded to multiples of the step, from `low` to `high` of them, in float32."""
    return (np.clip(np.rint(values / step), low, high) * step).astype(np.float32)


def symmetric(values: Array, divisor: float = 127, axes: tuple[int, ...] | None = None) -> Array:
    """The values with a scale that follows from the largest magnitude along these axes."""
    scale = np.abs(values).max(axis=axes, keepdims=True) / np.float32(divisor)
    return on_grid(values, scale, -np.ceil(divisor), np.floor(divisor))


def asymmetric(values: Array, most: int = 255) -> Array:
    """The values with a scale that follows from their range, and a zero point."""
    least = min(float(values.min()), 0.0)
    scale = np.float32((max(float(values.max()), 0.0) - least) / most)
    zero_point = np.rint(-least / scale)
    return on_grid(values, scale, -zero_point, most - zero_point)


def diff(x: Array, w: Array, obtained: Array, **options: Any) -> convdiff.Result:
    return convdiff.diff(x, w, obtained, **{"padding": 1, **options})


def edits_of(x: Array, w: Array, obtained: Array, **options: Any) -> list[Edit]:
    result = diff(x, w, obtained, **options)
    assert result.findings, result.row.message
    return list(result.findings[0].edits)


def places(edits: list[Edit]) -> list[str]:
    """The codes, for rounded values what was rounded."""
    return [edit["where"] if edit["code"] == "quantized" else edit["code"] for edit in edits]


def fields(edit: Edit) -> tuple[Any, ...]:
    return tuple(edit[name] for name in ("code", "where", "bits", "per"))


@pytest.mark.parametrize(
    ("step", "low", "high", "bits", "zero_point"),
    [
        (float(np.ptp(SUMS)) / 255, -300, 300, 8, None),
        (float(np.abs(SUMS).max()) / 127, -128, 127, 8, 0),
        (float(np.abs(SUMS).max()) / 7, -8, 7, 4, 0),
        (float(np.abs(SUMS).max()) / 8000, -8000, 8000, 16, 0),
        # Small steps, so that many values are beyond the limits.
        (0.02, -100, 155, 8, 100),
    ],
)
def test_an_output_on_a_grid_does_not_differ(
    step: float, low: int, high: int, bits: int, zero_point: int | None
) -> None:
    result = diff(X, W, on_grid(SUMS, step, low, high))
    assert result.verdict == "reduced-precision"
    (edit,) = result.findings[0].edits
    assert fields(edit) == ("quantized", "output", bits, "tensor")
    assert edit["scale"] == pytest.approx(step, rel=1e-5)
    assert zero_point is None or edit["zero_point"] == zero_point


def test_a_grid_without_zero_is_found() -> None:
    low, step = float(SUMS.min()), float(np.ptp(SUMS)) / 255
    obtained = (np.rint((SUMS - low) / step) * step + low).astype(np.float32)
    assert places(edits_of(X, W, obtained)) == ["output"]


@pytest.mark.parametrize("relu", [False, True])
def test_an_output_that_was_rounded_down_is_not_shifted(*, relu: bool) -> None:
    pixels = PICTURE[:, :1] / np.float32(255)
    w = W[:1, :1] if relu else np.full((1, 1, 3, 3), 1 / 9, np.float32)
    sums = conv(pixels, w, 1)
    obtained = (np.floor(np.maximum(sums, 0) * 255) / 255).astype(np.float32)
    edits = edits_of(pixels, w, obtained)
    assert places(edits) == ["activation-applied"] * relu + ["output"]
    assert edits[-1]["rounding"] == "down"


@pytest.mark.parametrize(
    ("beside", "options", "change"),
    [
        ("kernel-flipped", {}, lambda: conv(X, W[:, :, ::-1, ::-1], 1)),
        ("wrong-padding", {"padding": 0}, lambda: conv(X, W, ((0, 2), (0, 2)))),
        ("wrong-stride", {"stride": 3}, lambda: conv(X, W, 1, stride=2)),
        ("bias-missing", {"bias": BIAS}, lambda: SUMS),
        ("activation-applied", {}, lambda: np.maximum(SUMS, 0)),
        (
            "wrong-pad-value",
            {},
            lambda: conv(np.pad(X, [(0, 0)] * 2 + [(1, 1)] * 2, constant_values=1.5), W),
        ),
    ],
)
@pytest.mark.parametrize("saturated", [False, True])
def test_an_output_on_a_grid_is_found_beside_a_fault(
    beside: str, options: dict[str, Any], change: Any, *, saturated: bool
) -> None:
    if beside == "wrong-padding":
        options = {"padding": 1}
    sums = change()
    step = float(np.abs(sums).max()) / (150 if saturated else 127)
    assert places(edits_of(X, W, on_grid(sums, step), **options)) == [beside, "output"]


def test_two_faults_beside_an_output_on_a_grid_are_found() -> None:
    sums = np.maximum(conv(X, W[:, :, ::-1, ::-1], 1), 0)
    obtained = on_grid(sums, float(sums.max()) / 255, 0, 255)
    expected = ["kernel-flipped", "activation-applied", "output"]
    assert places(edits_of(X, W, obtained)) == expected


@pytest.mark.parametrize("x", [X, FEATURES, PICTURE], ids=["normal", "features", "picture"])
@pytest.mark.parametrize(
    "rounded",
    [
        symmetric,
        lambda x: symmetric(x, 127.5),
        lambda x: asymmetric(x, 127),
        lambda x: on_grid(x, 2.0 ** np.ceil(np.log2(np.abs(x).max() / 127))),
    ],
    ids=["127", "127.5", "7 bits", "power of two"],
)
def test_an_input_on_a_usual_grid_is_found(x: Array, rounded: Any) -> None:
    result = diff(x, W, conv(rounded(x), W, 1))
    assert result.verdict == "reduced-precision"
    assert places(list(result.findings[0].edits)) == ["inputs"]


def test_the_scale_of_an_input_that_follows_from_nothing_is_read_off() -> None:
    scale = 0.0271828
    (edit,) = edits_of(X, W, conv(on_grid(X, scale), W, 1))
    assert fields(edit) == ("quantized", "inputs", 8, "tensor")
    assert edit["scale"] == pytest.approx(scale, rel=1e-4)


ALL_BUT_O, ALL_BUT_I = (1, 2, 3), (0, 2, 3)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(
    ("rounded", "bits", "per"),
    [
        (symmetric, 8, "tensor"),
        (lambda w: symmetric(w, 127, ALL_BUT_O), 8, "O"),
        (lambda w: symmetric(w, 127.5, ALL_BUT_O), 8, "O"),
        (lambda w: symmetric(w, 127, ALL_BUT_I), 8, "I"),
        (asymmetric, 8, "tensor"),
    ],
)
def test_weights_of_8_bits_are_found(rounded: Any, bits: int, per: str, *, flipped: bool) -> None:
    w = rounded(W)
    result = diff(X, W, conv(X, w[:, :, ::-1, ::-1] if flipped else w, 1))
    assert result.verdict == ("different" if flipped else "reduced-precision")
    edits = result.findings[0].edits
    assert places(list(edits)) == ["kernel-flipped"] * flipped + ["kernel"]
    assert fields(edits[-1]) == ("quantized", "kernel", bits, per)


@pytest.mark.parametrize(
    ("rounded", "bits", "per"),
    [
        (lambda w: symmetric(w, 7, ALL_BUT_O), 4, "O"),
        (lambda w: symmetric(w, 7), 4, "tensor"),
        (lambda w: symmetric(w, 63), 7, "tensor"),
        (lambda w: asymmetric(w, 127), 7, "tensor"),
    ],
)
def test_weights_of_fewer_bits_are_found(rounded: Any, bits: int, per: str) -> None:
    (edit,) = edits_of(X, W, conv(X, rounded(W), 1))
    assert fields(edit) == ("quantized", "kernel", bits, per)


def to_e4m3(values: Array) -> Array:
    exponent = np.maximum(np.floor(np.log2(np.maximum(np.abs(values), 1e-30))), -6)
    step = 2.0 ** (exponent - 3)
    return (np.rint(values / step) * step).astype(np.float32)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_8_bit_floats_are_found(*, both: bool, scaled: bool) -> None:
    scale = np.abs(W).max() / np.float32(448) if scaled else np.float32(1)
    w = to_e4m3(W / scale) * scale
    edits = edits_of(X, W, conv(to_e4m3(X) if both else X, w, 1))
    assert places(edits) == ["inputs"] * both + ["kernel"]
    assert edits[-1]["type"] == "e4m3"


@pytest.mark.parametrize("weights", [symmetric, lambda w: symmetric(w, 127, ALL_BUT_O)])
@pytest.mark.parametrize("beside", ["nothing", "kernel-flipped", "activation-applied"])
def test_a_layer_that_is_quantized_throughout_is_right(weights: Any, beside: str) -> None:
    w = weights(W)
    sums = conv(asymmetric(X), w[:, :, ::-1, ::-1] if beside == "kernel-flipped" else w, 1)
    sums = sums + BIAS.reshape(1, -1, 1, 1)
    if beside == "activation-applied":
        sums = np.maximum(sums, 0)
    result = diff(X, W, asymmetric(sums), bias=BIAS)
    others = [] if beside == "nothing" else [beside]
    assert result.verdict == ("different" if others else "reduced-precision")
    assert places(list(result.findings[0].edits)) == [*others, "inputs", "kernel", "output"]


@pytest.mark.parametrize("relu", [False, True])
def test_scales_that_were_calibrated_on_other_inputs_are_read_off(*, relu: bool) -> None:
    sums = conv(on_grid(X, 0.0291), symmetric(W, 127, ALL_BUT_O), 1)
    obtained = on_grid(np.maximum(sums, 0) if relu else sums, 0.0317)
    edits = edits_of(X, W, obtained)
    assert places(edits) == ["activation-applied"] * relu + ["inputs", "kernel", "output"]
    assert edits[relu]["scale"] == pytest.approx(0.0291, rel=1e-3)


@pytest.mark.parametrize("operands", ["as asked", "quantized"])
@pytest.mark.parametrize("saved_as", [np.uint8, np.float32])
def test_numbers_that_were_not_dequantized_are_read(operands: str, saved_as: Any) -> None:
    sums = SUMS if operands == "as asked" else conv(asymmetric(X), symmetric(W), 1)
    scale = float(np.ptp(sums)) / 255
    zero_point = float(np.rint(-sums.min() / scale))
    numbers = np.clip(np.rint(sums / scale) + zero_point, 0, 255).astype(saved_as)
    result = diff(X, W, numbers)
    assert result.verdict == "reduced-precision"
    edit = result.findings[0].edits[-1]
    assert fields(edit) == ("quantized", "output", 8, "tensor")
    assert edit["scale"] == pytest.approx(scale, rel=1e-3)
    assert edit["zero_point"] == zero_point
    assert "saved as they are" in result.findings[0].summary


def test_numbers_of_int8_without_a_zero_point_are_read() -> None:
    scale = float(np.abs(SUMS).max()) / 127
    (edit,) = edits_of(X, W, np.rint(SUMS / scale).astype(np.int8))
    assert fields(edit) == ("quantized", "output", 8, "tensor")


def test_a_scaled_picture_that_was_stored_in_bytes_is_not_quantized() -> None:
    w = np.abs(W[:1])
    sums = conv(PICTURE, w, 1)
    obtained = np.rint(sums / 8).astype(np.uint8)
    assert places(edits_of(PICTURE, w, obtained)) == ["scaled", "stored-as-integer"]


def test_rounded_weights_are_found_beside_numbers_in_the_padding() -> None:
    padded = np.pad(X, [(0, 0)] * 2 + [(1, 1)] * 2, constant_values=0.7)
    edits = edits_of(X, W, conv(padded, symmetric(W)))
    assert places(edits) == ["wrong-pad-value", "kernel"]


def test_bytes_of_a_sharpened_picture_are_on_the_grid_of_bytes() -> None:
    pixels = PICTURE[:, :1] / np.float32(255)
    w = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)[None, None] * np.float32(1.01)
    obtained = on_grid(conv(pixels, w, 1), 1 / 255, 0, 255)
    assert places(edits_of(pixels, w, obtained)) == ["activation-applied", "output"]


def test_pixels_in_unit_steps_of_a_byte_are_on_their_grid_already() -> None:
    pixels = PICTURE / np.float32(255)
    assert diff(pixels, W, conv(asymmetric(pixels), W, 1)).agrees


@pytest.mark.parametrize(
    "kernel",
    [
        np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32),
        np.ones((3, 3), np.float32) / 9,
        np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 16,
    ],
)
def test_sums_that_lie_on_a_grid_by_nature_were_not_rounded(kernel: Array) -> None:
    w = np.broadcast_to(kernel, (2, 3, 3, 3)) * np.array([1, -2], np.float32).reshape(-1, 1, 1, 1)
    assert diff(PICTURE, w, conv(PICTURE, w, 1)).agrees
    assert places(edits_of(PICTURE, w, conv(PICTURE, w, ((0, 2), (0, 2))))) == ["wrong-padding"]
    assert places(edits_of(PICTURE, w, conv(PICTURE, w, 1) * np.float32(3))) == ["scaled"]


def test_decimals_are_no_grid_of_bits() -> None:
    for decimals in (1, 2):
        (edit,) = edits_of(X, W, np.round(SUMS, decimals))
        assert edit["code"] == "reduced-precision"


@pytest.mark.parametrize(
    "obtained",
    [
        (SUMS > 0).astype(np.float32),
        on_grid(normal(*SUMS.shape, seed=4), 0.03),
        SUMS + np.float32(0.01) * normal(*SUMS.shape, seed=5),
        on_grid(SUMS + np.float32(0.05) * normal(*SUMS.shape, seed=5), 0.03),
        conv(X, W + np.abs(W).max() / 254 * normal(*W.shape, seed=6), 1),
    ],
    ids=["mask", "noise", "noise beside sums", "noise under a grid", "noise of the weights"],
)
def test_noise_is_not_explained(obtained: Array) -> None:
    result = diff(X, W, obtained)
    assert result.verdict == "different"
    assert not result.findings


def test_one_wrong_value_on_the_grid_is_not_explained() -> None:
    obtained = on_grid(SUMS, 0.05)
    obtained[0, 1, 4, 5] += np.float32(0.05) * 3
    result = diff(X, W, obtained)
    assert result.verdict == "different"
    assert not result.findings


def test_a_zero_point_that_cuts_off_one_end_of_the_input_is_read_off() -> None:
    scale, zero_point = 0.03, 100
    x, w = normal(1, 4, 12, 12, seed=2), normal(4, 4, 3, 3) / 6
    x = np.clip(x, -2.9, 2.9)
    x[0, 1, 5, 6] = -3.4
    numbers = np.clip(np.rint(x / scale) + zero_point, 0, 255) - zero_point
    obtained = conv((numbers * scale).astype(np.float32), w, 1)
    (edit,) = first_edits(x, w, obtained, padding=1)
    assert (edit["where"], edit["zero_point"]) == ("inputs", zero_point)
    assert edit["scale"] == pytest.approx(scale, rel=1e-3)
