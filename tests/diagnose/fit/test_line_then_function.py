"""Outputs that were scaled and shifted before an activation, clipping or storage as integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import convdiff
from tests.diagnose.findings import conv, first_edits, normal
from tests.diagnose.naive import Array

FACTORS, CONSTANTS = (
    np.array(values, np.float32)[:, None, None]
    for values in ((1.5, 0.7, 2.2, 1.1), (0.4, -0.3, 0.1, 0.8))
)


def arrays() -> tuple[Array, Array]:
    return normal(2, 3, 10, 11), normal(4, 3, 3, 3) / 3


def silu(values: Array) -> Array:
    return np.asarray(values / (1 + np.exp(-values)))


def leaky(values: Array) -> Array:
    return np.where(values < 0, 0.1 * values, values)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda values: np.maximum(values, 0),
    "relu6": lambda values: np.clip(values, 0, 6),
    "leaky_relu": leaky,
    "silu": silu,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("beside", ["", "kernel-flipped", "wrong-padding"])
def test_a_normalization_before_an_activation_is_found(name: str, beside: str) -> None:
    x, w = arrays()
    kernel = w[:, :, ::-1, ::-1] if beside == "kernel-flipped" else w
    padding = ((0, 2), (0, 2)) if beside == "wrong-padding" else 1
    obtained = ACTIVATIONS[name](3 * conv(x, kernel, padding) * FACTORS + CONSTANTS)
    edits = {e["code"]: e for e in first_edits(x, w, obtained.astype(np.float32), padding=1)}
    assert sorted(edits) == sorted(
        ["channels-scaled", "activation-applied", *([beside] if beside else [])]
    )
    assert edits["activation-applied"]["obtained"] == name
    scaled = edits["channels-scaled"]
    np.testing.assert_allclose(scaled["factors"], 3 * FACTORS.ravel(), rtol=1e-3)
    np.testing.assert_allclose(scaled["values"], CONSTANTS.ravel(), atol=1e-3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_one_factor_before_an_activation_is_found(name: str) -> None:
    x, w = arrays()
    obtained = ACTIVATIONS[name](5 * conv(x, w, 1))
    edits = {e["code"]: e for e in first_edits(x, w, obtained.astype(np.float32), padding=1)}
    assert sorted(edits) == ["activation-applied", "scaled"]
    assert edits["scaled"]["factor"] == 5 and edits["activation-applied"]["obtained"] == name


def as_picture(values: Array) -> Array:
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def around_128(values: Array) -> Array:
    return np.clip(np.rint(values * 20 + 128), 0, 255).astype(np.uint8)


def stretched(values: Array) -> Array:
    share = (values - values.min()) / np.ptp(values)
    return np.rint(share * 255).astype(np.uint8)


def magnitudes(values: Array) -> Array:
    return (np.abs(values) / np.abs(values).max() * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("shown", "codes"),
    [
        (as_picture, ["scaled", "stored-as-integer"]),
        (around_128, ["bias-added", "scaled", "stored-as-integer"]),
        (stretched, ["bias-added", "scaled", "stored-as-integer"]),
        (magnitudes, ["activation-applied", "scaled", "stored-as-integer"]),
    ],
)
def test_an_output_that_was_made_a_picture_is_found(
    shown: Callable[[Array], Array], codes: list[str]
) -> None:
    x, w = arrays()
    obtained = shown(2 * conv(x, w, 1))
    edits = {edit["code"]: edit for edit in first_edits(x, w, obtained, padding=1)}
    # Whole numbers with a zero point may as well be those of a quantized output.
    is_quantized = shown is around_128 and list(edits) == ["quantized"]
    assert sorted(edits) == codes or is_quantized
    expected = {as_picture: 510, around_128: 40}.get(shown)
    if expected and not is_quantized:
        assert edits["scaled"]["factor"] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shown", [*ACTIVATIONS.values(), around_128, stretched, magnitudes])
def test_other_weights_and_noise_are_not_scaled(shown: Callable[[Array], Array], seed: int) -> None:
    x, w = arrays()
    for made in (conv(x, normal(4, 3, 3, 3, seed=seed + 1), 1), normal(2, 4, 10, 11, seed=seed)):
        obtained = shown(made * FACTORS + CONSTANTS)
        assert not convdiff.diff(x, w, obtained, padding=1).findings


@pytest.mark.parametrize("slope", [0.37, 0.03, 1.5])
def test_the_slope_of_a_leaky_relu_is_read_off(slope: float) -> None:
    x, w = arrays()
    made = conv(x, w[:, :, ::-1, ::-1], 1)
    obtained = np.where(made < 0, np.float32(slope) * made, made)
    edits = {edit["code"]: edit for edit in first_edits(x, w, obtained, padding=1)}
    assert sorted(edits) == ["activation-applied", "kernel-flipped"]
    activation = edits["activation-applied"]
    assert activation["obtained"] == "leaky_relu"
    assert activation["slope"] == pytest.approx(slope, rel=1e-5)


def test_the_slopes_of_channels_are_read_off() -> None:
    x, w = arrays()
    made, slopes = conv(x, w, 1), np.array([0.1, 0.25, 0.3, 0.02], np.float32)
    obtained = np.where(made < 0, slopes[:, None, None] * made, made)
    (edit,) = first_edits(x, w, obtained, padding=1)
    assert edit["obtained"] == "prelu"
    np.testing.assert_allclose(edit["slopes"], slopes, rtol=1e-4)


def test_noise_below_zero_has_no_slope() -> None:
    x, w = arrays()
    made = conv(x, w, 1)
    obtained = np.where(made < 0, made * np.abs(normal(*made.shape)), made)
    assert not convdiff.diff(x, w, obtained, padding=1).findings
