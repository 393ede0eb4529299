"""Outputs to which the input was added, beside other faults, and what looks like them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from convdiff.api import Result, diff
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(4)
X = RNG.standard_normal((2, 4, 9, 10)).astype(np.float32)
W = (RNG.standard_normal((4, 4, 3, 3)) / 6).astype(np.float32)
BIAS = RNG.standard_normal(4).astype(np.float32)
GEOMETRY = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))
SUMS = convolve(X, W, GEOMETRY)


def codes(result: Result) -> list[str]:
    return [edit["code"] for finding in result.findings[:1] for edit in finding.edits]


@pytest.mark.parametrize(
    ("obtained", "expected"),
    [
        (SUMS + X, ["input-added"]),
        (SUMS - X, ["input-added"]),
        (np.maximum(SUMS + X, 0), ["input-added", "activation-applied"]),
        (convolve(X, W[..., ::-1, ::-1], GEOMETRY) + X, ["input-added", "kernel-flipped"]),
        (SUMS + X + BIAS.reshape(-1, 1, 1), ["input-added", "bias-added"]),
        (X - SUMS, ["scaled", "input-added"]),
    ],
)
def test_the_input_was_added(obtained: Array, expected: list[str]) -> None:
    result = diff(X, W, obtained.astype(np.float32), padding=1)
    assert codes(result) == expected


def test_the_bias_came_before() -> None:
    obtained = SUMS + BIAS.reshape(-1, 1, 1) + X
    assert codes(diff(X, W, obtained.astype(np.float32), bias=BIAS, padding=1)) == ["input-added"]


def test_a_picture_minus_its_blurred_copy() -> None:
    picture = RNG.integers(0, 256, (20, 24)).astype(np.float64)
    blur = np.outer([1, 2, 1], [1, 2, 1]) / 16
    blurred = convolve(picture[None, None], blur[None, None], GEOMETRY)[0, 0]
    assert codes(diff(picture, blur, picture - blurred, padding=1)) == ["scaled", "input-added"]


@pytest.mark.parametrize("groups", [2, 4])
def test_groups(groups: int) -> None:
    w = W[:, : 4 // groups]
    obtained = convolve(X, w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), groups)) + X
    result = diff(X, w, obtained.astype(np.float32), padding=1, groups=groups)
    assert codes(result) == ["input-added"]


@pytest.mark.parametrize(
    "change",
    [
        lambda sums: sums + 2 * X,
        lambda sums: sums + X[:, ::-1],
        lambda sums: sums + RNG.standard_normal(sums.shape),
        lambda sums: np.where(np.arange(10) < 5, sums + X, sums),
    ],
)
def test_what_is_not_the_input_is_not_called_so(change: Callable[[Array], Array]) -> None:
    result = diff(X, W, change(SUMS).astype(np.float32), padding=1)
    assert not any("input-added" in finding.codes for finding in result.findings)
    assert not result.agrees


def test_a_right_output_stays_right() -> None:
    identity = W.copy()
    identity[range(4), range(4), 1, 1] += 1
    obtained = convolve(X, identity, GEOMETRY).astype(np.float32)
    assert diff(X, identity, obtained, padding=1).agrees
