"""Hypotheses about the output's values, beside edits of its order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import convdiff
from tests.diagnose.findings import conv, explanations, first_edits, normal
from tests.diagnose.naive import Array


def accumulated(y: Array) -> Array:
    """Every position counted as often as three windows of each axis overlap there."""
    counts = np.minimum(np.minimum(np.arange(9) + 1, 9 - np.arange(9)), 3)
    return y * (counts if y.ndim == 3 else np.outer(counts, counts))


@pytest.mark.parametrize(
    ("beside", "change"),
    [
        ("overlap-accumulated", accumulated),
        ("output-channels-permuted", lambda y: y[:, [3, 0, 4, 1, 2]]),
        ("output-batch-permuted", lambda y: y[[1, 2, 0]]),
    ],
)
@pytest.mark.parametrize("rank", [1, 2])
def test_an_activation_is_found_beside_another_edit_of_the_output(
    beside: str, change: Callable[[Array], Array], rank: int
) -> None:
    space = "HW"[-rank:]
    x, w = normal(3, 3, *(9,) * rank), normal(5, 3, *(3,) * rank)
    obtained = change(np.maximum(conv(x, w, 1), 0)).astype(np.float32)
    layouts = {"input_layout": f"NC{space}", "kernel_layout": f"OI{space}"}
    found = explanations(x, w, obtained, padding=1, **layouts)
    codes = [sorted(edit["code"] for edit in edits) for edits in found]
    assert sorted(["activation-applied", beside]) in codes


def test_clipping_is_told_from_relu() -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    obtained = np.clip(conv(x, w, 1), 0, 1)
    edits = explanations(x, w, obtained, padding=1)[0]
    assert edits == [{"code": "clipped", "limits": [0, 1]}]


def test_wrapped_sums_are_found() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 256, (1, 1, 9, 9)), rng.integers(-3, 4, (2, 1, 3, 3))
    obtained = conv(x, w).astype(np.int64).astype(np.uint8)
    edits = explanations(x.astype(np.float32), w.astype(np.float32), obtained)[0]
    assert edits == [{"code": "integer-wrapped", "obtained": "uint8"}]


@pytest.mark.parametrize("flipped", [False, True])
def test_magnitudes_are_found(flipped: bool) -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    obtained = np.abs(conv(x, w[:, :, ::-1, ::-1] if flipped else w, 1)).astype(np.float32)
    edits = explanations(x, w, obtained, padding=1)[0]
    expected = [{"code": "activation-applied", "obtained": "abs"}]
    assert edits == [{"code": "kernel-flipped", "axes": ["H", "W"]}] * flipped + expected


def test_sums_of_one_sign_are_scaled_by_minus_1_not_magnitudes() -> None:
    x, w = np.abs(normal(2, 3, 8, 8)), -np.abs(normal(4, 3, 3, 3))
    edits = explanations(x, w, np.abs(conv(x, w, 1)).astype(np.float32), padding=1)[0]
    assert edits == [{"code": "scaled", "factor": -1.0}]


def test_magnitudes_of_noise_are_not_explained() -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    assert not convdiff.diff(x, w, np.abs(normal(2, 4, 8, 8, seed=5)), padding=1).findings


@pytest.mark.parametrize("limits", [(-2.5, 2.5), (-1, 6), (-0.3, 0.2), (0.25, 8.5)])
@pytest.mark.parametrize("flipped", [False, True])
def test_any_limits_are_read_off(limits: tuple[float, float], flipped: bool) -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    obtained = np.clip(conv(x, w[:, :, ::-1, ::-1] if flipped else w, 1), *limits)
    edits = explanations(x, w, obtained.astype(np.float32), padding=1)[0]
    assert edits[-1]["code"] == "clipped"
    assert edits[-1]["limits"] == pytest.approx(limits, rel=1e-6)
    assert len(edits) == 1 + flipped


@pytest.mark.parametrize(("sign", "limits"), [(1, [None, 2.5]), (-1, [-2.5, None])])
def test_a_limit_that_no_value_met_is_unknown(sign: int, limits: list[float | None]) -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    obtained = sign * np.minimum(sign * conv(x, w, 1), np.float32(2.5))
    edits = explanations(x, w, obtained, padding=1)[0]
    assert edits == [{"code": "clipped", "limits": limits}]


def test_one_limit_that_was_met_stands_for_both_signs() -> None:
    x, w = np.abs(normal(2, 3, 8, 8)), np.abs(normal(4, 3, 3, 3))
    obtained = np.minimum(conv(x, w, 1), np.float32(9.5))
    edits = explanations(x, w, obtained, padding=1)[0]
    assert edits == [{"code": "clipped", "limits": [-9.5, 9.5]}]


@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
def test_any_share_of_the_sums_may_be_beyond_the_limits_of_a_type(share: float) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.integers(-128, 128, (1, 4, 10, 10)), rng.integers(-128, 128, (6, 4, 3, 3))
    sums = conv(x.astype(float), w.astype(float)).astype(np.float64)
    w = np.rint(w * 32767 / np.quantile(np.abs(sums), 1 - share))
    sums = conv(x.astype(float), w).astype(np.float64)
    obtained = np.clip(sums, -32768, 32767).astype(np.int16)
    edits = explanations(x.astype(np.float32), w.astype(np.float32), obtained)[0]
    assert edits == [{"code": "clipped", "limits": [-32768, 32767]}]


def test_noise_that_was_clipped_is_not_explained() -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    noise = np.clip(normal(2, 4, 8, 8, seed=5), -0.4, 0.3)
    assert not convdiff.diff(x, w, noise, padding=1).findings


def test_magnitudes_are_clipped() -> None:
    image = np.random.default_rng(8).integers(0, 256, (1, 1, 14, 15)).astype(np.float32)
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)[None, None]
    obtained = np.clip(np.abs(conv(image, sobel, 1)), 0, 255).astype(np.uint8)
    edits = first_edits(image, sobel, obtained, padding=1)
    assert [edit["code"] for edit in edits] == ["activation-applied", "clipped"]
    # Beside a border that was never computed.
    obtained[..., [0, -1], :] = obtained[..., [0, -1]] = 0
    codes = {edit["code"] for edit in first_edits(image, sobel, obtained, padding=1)}
    assert codes == {"activation-applied", "clipped", "not-computed"}
