"""How much the obtained values must hold for a number of edits to be believed."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff

X, W = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 0, -1, 2])


def test_another_size_of_the_output_is_evidence_for_two_edits() -> None:
    obtained = np.convolve(np.pad(X, 2), W, "valid")
    edits = convdiff.diff(X, W, obtained, padding="same").findings[0].edits
    assert [edit["code"] for edit in edits] == ["kernel-flipped", "wrong-padding"]


@pytest.mark.parametrize("size", [3, 6, 7, 8])
def test_a_few_whole_numbers_are_not_explained(size: int) -> None:
    noise = np.random.default_rng(size).integers(0, 5, size).astype(float)
    assert not convdiff.diff(X, W, noise, padding="same").findings
