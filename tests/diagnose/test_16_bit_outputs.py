"""Outputs that were computed or saved in 16 bits: what is rounding, and what is a fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from tests.diagnose.findings import conv, first_edits, normal
from tests.diagnose.naive import Array


def flipped(w: Array) -> Array:
    return w[:, :, ::-1, ::-1]


@pytest.mark.parametrize("fault", [None, "kernel-flipped"])
def test_a_16_bit_layer_may_store_its_sums_before_the_bias_too(fault: str | None) -> None:
    x, w, bias = normal(2, 3, 8, 8), normal(4, 3, 3, 3), normal(4)
    kernel = flipped(w) if fault else w
    half_x, half_w, half_bias = (array.astype(np.float16) for array in (x, kernel, bias))
    sums = conv(half_x, half_w, 1).astype(np.float16)
    obtained = (sums + half_bias.reshape(1, -1, 1, 1)).astype(np.float32)
    result = convdiff.diff(x, w, obtained, bias=bias, padding=1)
    assert result.verdict == ("different" if fault else "reduced-precision")
    codes = {edit["code"] for edit in result.findings[0].edits}
    assert codes == {"reduced-precision", *([fault] if fault else [])}


@pytest.mark.parametrize("fault", [None, "kernel-flipped"])
@pytest.mark.parametrize("stored", [np.float16, np.float32])
def test_sums_kept_in_float16_are_found(fault: str | None, stored: Any) -> None:
    x, w = normal(2, 4, 6, 6), normal(4, 4, 3, 3, seed=1)
    half_x, half_w = (array.astype(np.float16) for array in (x, flipped(w) if fault else w))
    obtained = np.zeros((2, 4, 4, 4), np.float16)
    for c, i, j in np.ndindex(4, 3, 3):
        taps = half_w[:, c, i, j].reshape(1, -1, 1, 1)
        obtained = obtained + half_x[:, c : c + 1, i : i + 4, j : j + 4] * taps
    result = convdiff.diff(x, w, obtained.astype(stored))
    assert result.verdict == ("different" if fault else "reduced-precision")
    edits = {edit["code"]: edit for edit in result.findings[0].edits}
    assert edits.pop("reduced-precision") == {
        "code": "reduced-precision",
        "obtained": "fp16",
        "where": "accumulator",
    }
    assert set(edits) == ({fault} if fault else set())


def test_float16_sums_that_cancel_are_rounding() -> None:
    x, w = normal(1, 24, 7, 7) * 10 + 1000, normal(12, 24, 3, 3)
    w -= w.mean(axis=(1, 2, 3), keepdims=True)
    x, w = x.astype(np.float16), w.astype(np.float16)
    # The error that sums of such large terms have in float16, the same along each channel.
    error = 40 * normal(1, 12, 1, 1)
    obtained = (conv(x, w, 1) + error).astype(np.float16)
    assert convdiff.diff(x, w, obtained, padding=1).verdict == "rounding"


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_a_correct_output_saved_as_float16_agrees(seed: int, with_bias: bool) -> None:
    x, w = normal(2, 8, 9, 9, seed=seed), normal(8, 8, 3, 3, seed=seed)
    bias = normal(8, seed=seed) if with_bias else None
    output = conv(x, w, 1) + (0 if bias is None else bias.reshape(1, -1, 1, 1))
    result = convdiff.diff(x, w, output.astype(np.float16), bias=bias, padding=1)
    assert result.verdict in ("identical", "rounding")


@pytest.mark.parametrize("where", [(0, 3, 4, 5), (1, slice(None), 0, 0), (slice(None), 2)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_wrong_elements_of_a_wide_16_bit_layer_are_not_rounding(where: Any, dtype: Any) -> None:
    x, w = normal(2, 32, 10, 10), normal(16, 32, 3, 3)
    output = conv(x, w, 1)
    output[where] += 1.5 * output.std() * normal(*np.shape(output[where]))
    result = convdiff.diff(x, w, output.astype(np.float16).astype(dtype), padding=1)
    assert result.verdict == "different"
    assert not result.findings


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("elements", [1, 2])
def test_one_or_two_random_16_bit_numbers_are_not_explained(dtype: Any, elements: int) -> None:
    layouts = {"input_layout": "NCHW", "kernel_layout": "OIHW"}
    for seed in range(20):
        x, w = normal(1, 3, 3, 3, seed=seed), normal(elements, 3, 3, 3, seed=seed + 100)
        noise = (5 * normal(1, elements, 1, 1, seed=seed)).astype(np.float16).astype(dtype)
        assert not convdiff.diff(x, w, noise, **layouts).findings


@pytest.mark.parametrize("stored", [np.float16, np.float32])
def test_a_fault_is_found_in_an_output_saved_as_float16(stored: Any) -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    obtained = conv(x, flipped(w), 1).astype(np.float16).astype(stored)
    assert "kernel-flipped" in {edit["code"] for edit in first_edits(x, w, obtained, padding=1)}
