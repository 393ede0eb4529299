"""Outputs that were multiplied by something and shifted: before a bias, beside one, channel by
channel, beside other faults.
"""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Array, Geometry, convolve

DENSE = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))


def conv(x: Array, w: Array, geometry: Geometry = DENSE) -> Array:
    return convolve(x, w, geometry).astype(np.float32)


def told(result: convdiff.Result) -> list[list[str]]:
    """The codes of everything told, sorted; none where there is no finding."""
    first = result.findings[:1]
    return [
        sorted(edit["code"] for edit in edits)
        for finding in first
        for edits in (finding.edits, *finding.rivals)
    ]


@pytest.mark.parametrize("size", [1.0, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_a_picture_divided_again_beside_a_bias_is_told(size: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random((1, 3, 9, 9)).astype(np.float32)
    w, other = (0.1 * rng.uniform(-1, 1, (4, 3, 3, 3)).astype(np.float32) for _ in range(2))
    bias = (size * rng.standard_normal(4)).astype(np.float32)
    divided, shift = x / np.float32(255), bias[:, None, None]
    result = convdiff.diff(x, w, conv(divided, w) + shift, bias=bias, padding=1)
    assert result.findings[0].edits == ({"code": "scaled", "of": "sums", "factor": 1 / 255},)
    # The same of other weights is no factor, however small it is beside the bias.
    assert not told(convdiff.diff(x, w, conv(divided, other) + shift, bias=bias, padding=1))
    assert not told(convdiff.diff(x, w, conv(divided / 255, other) + shift, bias=bias, padding=1))


SHIFTED = {
    "nothing": lambda x, w, scale: scale(conv(x, w)),
    "kernel-flipped": lambda x, w, scale: scale(conv(x, w[:, :, ::-1, ::-1])),
    "kernel-axes-permuted": lambda x, w, scale: scale(conv(x, w.swapaxes(0, 1))),
    "wrong-padding": lambda x, w, scale: scale(
        conv(x, w, Geometry((1, 1), ((0, 2), (0, 2)), (1, 1)))
    ),
    "wrong-pad-mode": lambda x, w, scale: scale(
        conv(x, w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), pad_mode="reflect"))
    ),
    "output-axes-permuted": lambda x, w, scale: np.moveaxis(scale(conv(x, w)), 1, -1),
    "activation-applied": lambda x, w, scale: np.maximum(scale(conv(x, w)), 0),
}


@pytest.mark.parametrize("beside", SHIFTED)
@pytest.mark.parametrize("one_factor", [False, True])
def test_scaled_and_shifted_channels_are_told_beside_another_fault(
    beside: str, one_factor: bool
) -> None:
    rng = np.random.default_rng(3)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 4, 9, 9), (4, 4, 3, 3)))
    factors, values = (
        np.full(4, 1 / 255) if one_factor else rng.uniform(0.5, 2, 4),
        rng.standard_normal(4),
    )
    if one_factor:
        values *= 0.01

    def scale(made: Array) -> Array:
        return (made * factors[:, None, None] + values[:, None, None]).astype(np.float32)

    result = convdiff.diff(x, w, SHIFTED[beside](x, w, scale), padding=1)
    named = ["scaled", "bias-added"] if one_factor else ["channels-scaled"]
    first = {edit["code"]: edit for edit in result.findings[0].edits}
    assert sorted(first) == sorted([*named, *([beside] if beside != "nothing" else [])])
    np.testing.assert_allclose(first[named[-1]]["values"], values, rtol=1e-3, atol=1e-5)
    if one_factor:
        assert first["scaled"]["factor"] == 1 / 255
    else:
        np.testing.assert_allclose(first["channels-scaled"]["factors"], factors, rtol=1e-4)


def test_a_normalised_input_is_a_factor_and_constants_beside_the_bias_that_was_asked() -> None:
    rng = np.random.default_rng(4)
    x, w = (
        rng.random((1, 3, 9, 9)).astype(np.float32),
        rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
    )
    bias = np.array([1, -2, 3, 4], np.float32)
    valid = Geometry((1, 1), ((0, 0), (0, 0)), (1, 1))
    scaled, added = (
        convdiff.diff(x, w, conv(2 * x - 1, w, valid) + bias[:, None, None], bias=bias)
        .findings[0]
        .edits
    )
    assert scaled == {"code": "scaled", "of": "sums", "factor": 2.0}
    np.testing.assert_allclose(added["values"], -w.sum(axis=(1, 2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "kind", ["noise", "other weights", "one weight", "a channel's own noise", "dropped"]
)
@pytest.mark.parametrize("seed", range(3))
def test_scaled_and_shifted_is_no_story_for_anything(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((1, 3, 6, 6), (4, 3, 3, 3)))
    factors, values = rng.uniform(0.5, 2, (4, 1, 1)), rng.standard_normal((4, 1, 1))
    one = w.copy()
    one[1, 2, 0, 0] += 0.1
    made = conv(
        x,
        {"other weights": rng.standard_normal(w.shape).astype(np.float32), "one weight": one}.get(
            kind, w
        ),
    )
    if kind == "noise":
        made += 1e-2 * rng.standard_normal(made.shape).astype(np.float32)
    elif kind == "a channel's own noise":
        made[:, 2] = rng.standard_normal(made[:, 2].shape)
    elif kind == "dropped":
        made *= rng.random(made.shape) < 0.8
    for obtained in (
        made * factors + values,
        made * 0.5 + values,
        np.maximum(made * factors + values, 0),
    ):
        assert not told(convdiff.diff(x, w, obtained.astype(np.float32), padding=1))


@pytest.mark.parametrize("tiles", [True, False])
@pytest.mark.parametrize("beside", ["bias-added", "scaled"])
def test_overlapping_windows_are_told_beside_constants_or_a_factor(
    beside: str, tiles: bool
) -> None:
    rng = np.random.default_rng(6)
    x, w = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((1, 4, 12, 12), (4, 4, 3, 3))
    )
    added, made = rng.standard_normal(4), conv(x, w)
    line = (
        np.array([1] * 5 + [2] * 2 + [1] * 5)
        if tiles
        else np.minimum(np.minimum(np.arange(12) + 1, 12 - np.arange(12)), 3)
    )

    def after(y: Array) -> Array:
        return (y + added[:, None, None] if beside == "bias-added" else y / 2).astype(np.float32)

    counts, other = (
        convdiff.diff(x, w, after(made * np.outer(line, line)), padding=1).findings[0].edits
    )
    assert counts == {"code": "overlap-accumulated", "counts": [line.tolist()] * 2}
    if beside == "bias-added":
        np.testing.assert_allclose(other["values"], added, rtol=1e-4)
    else:
        assert other["factor"] == 0.5
    # Numbers that are not whole, or go with no position, are no windows.
    assert not told(convdiff.diff(x, w, after(made * np.outer(line, line**1.5)), padding=1))
    assert not told(convdiff.diff(x, w, after(made * rng.integers(1, 4, (12, 12))), padding=1))
