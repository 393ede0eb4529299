"""Two edits that change the output's values one by one, beside a third edit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.diagnose.findings import conv, first_edits, normal
from tests.diagnose.naive import Array

X, W = normal(2, 3, 9, 10), normal(4, 3, 3, 3)
BIAS = np.array([0.5, -1.0, 2.0, 1.5], np.float32)
FAULTS = {
    "kernel-flipped": conv(X, W[:, :, ::-1, ::-1], 1),
    "wrong-pad-mode": conv(X, W, 1, pad_mode="reflect"),
}


def codes(x: Array, w: Array, y: Array, **options: object) -> set[str]:
    return {edit["code"] for edit in first_edits(x, w, y.astype(np.float32), padding=1, **options)}


@pytest.mark.parametrize("beside", FAULTS)
def test_two_edits_of_values_beside_another_one(beside: str) -> None:
    sums = FAULTS[beside]
    activated = {beside, "activation-applied"}
    assert codes(X, W, np.maximum(sums, 0), bias=BIAS) == {*activated, "bias-missing"}
    assert codes(X, W, np.maximum(sums / 2, 0)) == {*activated, "scaled"}


def test_magnitudes_cut_off_to_whole_numbers_beside_a_flip() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (1, 1, 20, 24)).astype(np.uint8)
    sobel = np.array([[1, 0, -1], [2, 0.1, -2.5], [1, 0, -1]])[None, None] * 0.3
    y = np.abs(conv(picture, sobel[:, :, ::-1, ::-1], 1))
    edits = first_edits(picture, sobel, np.clip(y, 0, 255).astype(np.uint8), padding=1)
    assert {e["code"] for e in edits} == {
        "kernel-flipped",
        "activation-applied",
        "stored-as-integer",
    }
