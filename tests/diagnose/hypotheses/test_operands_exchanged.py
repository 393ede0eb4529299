"""Exchanged operands are found where they reverse the output, and what looks like it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(3)


def codes(result: convdiff.Result) -> list[str]:
    return [edit["code"] for finding in result.findings[:1] for edit in finding.edits]


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_exchanged_operands_of_np_correlate(mode: Any) -> None:
    x, k = RNG.standard_normal(24), RNG.standard_normal(7)
    result = convdiff.diff(x, k, np.correlate(k, x, mode), padding=mode)
    assert codes(result) == ["operands-exchanged"]
    assert "input and kernel were exchanged" in result.findings[0].summary


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_exchanged_operands_with_channels(rank: int, channels: int) -> None:
    x = RNG.standard_normal((1, channels, 8, 7, 6)[: rank + 2])
    w = RNG.standard_normal((1, channels, 3, 2, 4)[: rank + 2])
    ones = (1,) * rank
    full = tuple((n - 1, n - 1) for n in x.shape[2:])
    y = convolve(w, x, Geometry(ones, full, ones, 1))
    assert codes(convdiff.diff(x, w, y, padding="full")) == ["operands-exchanged"]
    scaled = convdiff.diff(x, w, 2 * y, padding="full")
    assert set(codes(scaled)) == {"operands-exchanged", "scaled"}


def reversed_in_the_middle(x: Array, k: Array) -> Array:
    """The full correlation, of which only the inner part is reversed."""
    y = np.correlate(x, k, "full")
    return np.concatenate([y[:3], y[3:-3][::-1], y[-3:]])


@pytest.mark.parametrize(
    ("obtained", "expected"),
    [
        (lambda x, k: np.correlate(x, k, "full"), []),
        (lambda x, k: np.convolve(x, k, "full"), ["kernel-flipped"]),
        (lambda x, k: np.correlate(x[::-1], k, "full"), ["input-reversed"]),
        (reversed_in_the_middle, []),
        (lambda x, k: np.random.default_rng(0).standard_normal(30), []),
    ],
)
def test_what_looks_like_it_is_named_otherwise(obtained: Any, expected: list[str]) -> None:
    x, k = RNG.standard_normal(24), RNG.standard_normal(7)
    assert codes(convdiff.diff(x, k, obtained(x, k), padding="full")) == expected


def test_a_convolution_is_the_same_either_way() -> None:
    x, k = RNG.standard_normal(24), RNG.standard_normal(7)
    result = convdiff.diff(x, k, np.convolve(k, x, "full"), as_="numpy", padding="full")
    assert result.agrees


def test_a_symmetric_kernel_leaves_it_a_rival_of_a_reversed_input() -> None:
    x, k = RNG.standard_normal(24), np.array([1.0, 2.0, 4.0, 2.0, 1.0])
    finding = convdiff.diff(x, k, np.correlate(k, x, "full"), padding="full").findings[0]
    offered = [[edit["code"] for edit in edits] for edits in (finding.edits, *finding.rivals)]
    assert ["input-reversed"] in offered
    assert ["operands-exchanged"] in offered
