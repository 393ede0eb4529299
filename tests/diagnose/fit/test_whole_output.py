"""Outputs that are the input or are rolled, and outputs that only look like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from tests.diagnose.findings import conv, explanations, first_edits, normal, summary
from tests.diagnose.naive import Array

LAYOUTS = {"input_layout": "NCHW", "kernel_layout": "OIHW"}
COPY = [{"code": "output-is-input"}]


def identity(channels: int, scale: float = 1.0) -> Array:
    """A 3 x 3 kernel that copies each channel."""
    w = np.zeros((channels, channels, 3, 3), np.float32)
    w[range(channels), range(channels), 1, 1] = scale
    return w


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_the_input_came_back(dtype: Any) -> None:
    x, w = normal(2, 3, 8, 9), normal(3, 3, 3, 3)
    assert first_edits(x, w, x.astype(dtype), padding=1, **LAYOUTS) == COPY


def test_float64_arrays_came_back() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((12, 13)), rng.standard_normal((3, 3))
    assert first_edits(x, w, x.copy(), padding=1) == COPY


def test_a_crop_of_the_input_came_back() -> None:
    x, w = normal(1, 2, 8, 8), normal(2, 2, 3, 3)
    cropped = np.ascontiguousarray(x[:, :, 1:-1, 1:-1])
    assert first_edits(x, w, cropped, **LAYOUTS) == COPY
    strided = np.ascontiguousarray(x[:, :, ::2, ::2])
    assert first_edits(x, w, strided, padding=1, stride=2, **LAYOUTS) == COPY


def test_an_input_of_ones_came_back() -> None:
    x, w = np.ones(3), np.full(1, 2.0)
    assert COPY in explanations(x, w, x.copy(), padding="same")


def test_an_identity_kernel_is_right_to_copy() -> None:
    x = normal(1, 3, 8, 8)
    assert convdiff.diff(x, identity(3), x, padding=1, **LAYOUTS).agrees


def test_an_identity_kernel_beside_another_fault() -> None:
    x = normal(1, 3, 8, 8)
    cropped = np.ascontiguousarray(x[:, :, 1:-1, 1:-1])
    found = explanations(x, identity(3), cropped, padding=1, **LAYOUTS)
    assert found[0] != COPY
    assert ["wrong-padding"] in [[edit["code"] for edit in edits] for edits in found]


def test_two_factors_make_a_scaled_identity_or_a_copy() -> None:
    x = normal(1, 3, 8, 8)
    found = explanations(x, identity(3, 255), x, padding=1, **LAYOUTS)
    assert {edit["code"] for edits in found for edit in edits} >= {"output-is-input", "scaled"}


def test_another_input_of_the_same_kind_is_no_copy() -> None:
    x, w = normal(1, 3, 8, 8), normal(3, 3, 3, 3)
    obtained = x.copy()
    obtained[0, 0, 0, 0] += 1
    result = convdiff.diff(x, w, obtained, padding=1, **LAYOUTS)
    assert not result.findings


@pytest.mark.parametrize("shift", [(0, 2), (-1, -1), (3, -4)])
def test_a_roll_is_read_off(shift: tuple[int, int]) -> None:
    x, w = normal(2, 3, 9, 10), normal(4, 3, 3, 3)
    obtained = np.roll(conv(x, w, 1), shift, (2, 3))
    edits = first_edits(x, w, obtained, padding=1, **LAYOUTS)
    assert edits == [{"code": "output-rolled", "shift": list(shift)}]


def test_a_roll_in_one_and_three_dimensions() -> None:
    x, w = normal(1, 2, 20), normal(3, 2, 5)
    edits = first_edits(x, w, np.roll(conv(x, w), 4, 2))
    assert edits == [{"code": "output-rolled", "shift": [4]}]
    x, w = normal(1, 2, 5, 6, 7), normal(3, 2, 2, 2, 2)
    edits = first_edits(x, w, np.roll(conv(x, w, 1), (1, 0, -2), (2, 3, 4)), padding=1)
    assert edits == [{"code": "output-rolled", "shift": [1, 0, -2]}]


def test_a_product_of_fourier_transforms_without_an_ifftshift() -> None:
    x, w = normal(12, 12), normal(12, 12)
    product = np.fft.fft2(x.astype(float)) * np.fft.fft2(w.astype(float))
    asked = {"padding": "same", "pad_mode": "wrap", "flip": True}
    obtained = np.fft.ifft2(product).real
    right = np.roll(obtained, (-6, -6), (0, 1))
    results = [convdiff.diff(x, w, y.astype(np.float32), **asked) for y in (right, obtained)]
    assert any(result.agrees for result in results) or results[1].findings
    shifts = [e["shift"] for e in first_edits(x, w, obtained.astype(np.float32), **asked)]
    assert shifts in ([[6, 6]], [[5, 5]])
    assert "ifftshift" in summary(x, w, obtained.astype(np.float32), **asked)


def test_a_small_kernel_in_a_corner_of_a_transform() -> None:
    # The circular convolution of a kernel that was padded at its end: three edits, since a
    # cross-correlation with zero padding was asked.
    x, w = normal(11, 12), normal(3, 3)
    padded = np.zeros(x.shape)
    padded[:3, :3] = w
    obtained = np.fft.ifft2(np.fft.fft2(x) * np.fft.fft2(padded)).real.astype(np.float32)
    found = explanations(x, w, obtained, padding=1)
    expected = {"kernel-flipped", "wrong-pad-mode", "output-rolled"}
    assert expected in [{edit["code"] for edit in edits} for edits in found]


@pytest.mark.parametrize("pads", [((2, 0), (2, 0)), ((0, 2), (1, 1))])
def test_another_padding_is_no_roll(pads: Any) -> None:
    x, w = normal(1, 2, 9, 10), normal(3, 2, 3, 3)
    found = explanations(x, w, conv(x, w, pads), padding=1, **LAYOUTS)
    assert [[edit["code"] for edit in edits] for edits in found] == [["wrong-padding"]]


def test_elements_in_another_order_are_no_roll() -> None:
    x, w = normal(1, 1, 9, 10), normal(1, 1, 3, 3)
    obtained = np.random.default_rng(1).permutation(conv(x, w, 1).reshape(-1)).reshape(1, 1, 9, 10)
    assert not convdiff.diff(x, w, obtained, padding=1, **LAYOUTS).findings
