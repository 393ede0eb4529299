"""The Python interface."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from convdiff.errors import ConvdiffError
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1, 2, 6, 6)).astype(np.float32)
W = RNG.standard_normal((3, 2, 3, 3)).astype(np.float32)


def conv(kernel: Array) -> Array:
    return convolve(X, kernel, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))).astype(np.float32)


CORRECT, FLIPPED = conv(W), conv(W[:, :, ::-1, ::-1])


def test_a_result_has_verdict_and_findings() -> None:
    result = convdiff.diff(X, W, CORRECT, padding=1)
    assert result.agrees and result.verdict in ("identical", "rounding")
    result = convdiff.diff(X, W, FLIPPED, padding=1, name="mine")
    assert not result.agrees and result.verdict == "different"
    assert result.findings[0].codes == ("kernel-flipped",)
    assert result.to_dict()["name"] == "mine"
    assert "the kernel was flipped along H and W" in str(result)


def test_a_name_is_a_string() -> None:
    with pytest.raises(ConvdiffError, match="name: found 3, expected a string"):
        convdiff.diff(X, W, CORRECT, padding=1, name=3)


def test_assert_agrees_raises_with_the_diagnosis() -> None:
    convdiff.assert_agrees(X, W, CORRECT, padding=1)
    with pytest.raises(AssertionError, match="the kernel was flipped along H and W"):
        convdiff.assert_agrees(X, W, FLIPPED, padding=1)


def test_allowed_findings_do_not_fail() -> None:
    convdiff.assert_agrees(X, W, FLIPPED, padding=1, allow=["kernel-flipped"])
    convdiff.assert_agrees(X, W, FLIPPED, padding=1, allow="kernel-flipped")
    with pytest.raises(AssertionError):
        convdiff.assert_agrees(X, W, FLIPPED, padding=1, allow="wrong-padding")


def test_the_mildest_verdict_that_fails_can_be_chosen() -> None:
    nearly = CORRECT * np.float32(1 + 2e-7)
    convdiff.assert_agrees(X, W, nearly, padding=1)
    with pytest.raises(AssertionError, match="rounding"):
        convdiff.assert_agrees(X, W, nearly, padding=1, fail_on="rounding")
    with pytest.raises(
        ConvdiffError,
        match="fail_on: found 'never', expected one of different, reduced-precision, rounding",
    ):
        convdiff.assert_agrees(X, W, CORRECT, padding=1, fail_on="never")
