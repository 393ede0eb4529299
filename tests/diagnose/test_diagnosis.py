"""What is said of an output that no combination of edits explains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import convdiff
from tests.diagnose.faults import Work, draw
from tests.diagnose.findings import conv, normal
from tests.diagnose.naive import Array


def test_the_nearest_miss_is_reported() -> None:
    x, w = normal(2, 3, 10, 10), normal(4, 3, 3, 3)
    obtained = conv(x, w[:, :, ::-1, ::-1], 1)
    few = obtained.copy()
    few[..., 7:] += normal(*obtained[..., 7:].shape)
    many = obtained.copy()
    many[..., 5:] += normal(*obtained[..., 5:].shape)
    result = convdiff.diff(x, w, few, padding=1)
    assert not result.findings
    # What gives no more than half of the elements is no explanation of most.
    assert "nearest miss" not in (convdiff.diff(x, w, many, padding=1).row.message or "")
    words = "the nearest miss, the kernel was flipped along H and W, gives 70% of them"
    assert words in (result.row.message or "")


def with_one_other_weight(w: Array) -> tuple[Array, str]:
    other = w.copy()
    other[3, 2, 1, 0] += 0.5
    return other, f"[3, 2, 1, 0] is {other[3, 2, 1, 0]:.4g}"


def with_one_scaled_channel(w: Array) -> tuple[Array, str]:
    other = w.copy()
    other[4] *= 0.25
    return other, "output channel 4"


def with_all_other_weights(w: Array) -> tuple[Array, str]:
    return normal(*w.shape, seed=1), "all 270 differ"


@pytest.mark.parametrize(
    "change", [with_one_other_weight, with_one_scaled_channel, with_all_other_weights]
)
def test_other_weights_are_reported(change: Callable[[Array], tuple[Array, str]]) -> None:
    x, w = normal(2, 5, 12, 12), normal(6, 5, 3, 3)
    other, words = change(w)
    result = convdiff.diff(x, w, conv(x, other, 1), padding=1)
    assert not result.findings
    assert words in (result.row.message or "")


def wrong_output(kind: str, work: Work, rng: np.random.Generator) -> Array:
    """The output (N, O, *space) of `work`, made wrong in a way that no edit describes."""
    output = work.output()
    if kind == "noise":
        return output + 0.1 * rng.standard_normal(output.shape)
    if kind == "other kernel":
        work.w = rng.standard_normal(work.w.shape)
        return work.output()
    if kind == "one element":
        output[0, 0, 1, 1] += rng.standard_normal() + 3
        return output
    output[:, 0] += rng.standard_normal() + 3
    output[:, 0] *= rng.uniform(0.9, 1.1, output[:, 0].shape)
    return output


@pytest.mark.parametrize("kind", ["noise", "other kernel", "one element", "one channel"])
@pytest.mark.parametrize("seed", range(3))
def test_an_output_without_an_explanation_has_no_finding(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = draw(rng, rank=2, transposed=False)
    work = Work(drawn, drawn.x, drawn.w, drawn.geometry)
    obtained = wrong_output(kind, work, rng).astype(np.float32)
    result = convdiff.diff(drawn.x, drawn.w, obtained, bias=drawn.bias, **drawn.options())
    assert result.verdict == "different"
    assert not result.findings, result.findings
    assert result.row.message
    if kind == "one element":
        assert "one element" in result.row.message


@pytest.mark.parametrize("operand", ["input", "kernel"])
def test_an_infinite_operand_is_diagnosed(operand: str) -> None:
    x, w = normal(1, 2, 6, 6), normal(3, 2, 3, 3)
    (x if operand == "input" else w)[0, 0, 0, 0] = np.inf
    assert str(convdiff.diff(x, w, normal(1, 3, 4, 4)))


def test_an_infinite_output_element_is_reported() -> None:
    x, w = normal(1, 2, 6, 6), normal(3, 2, 3, 3)
    obtained = conv(x, w)
    obtained[0, 0, 0, 0] = -np.inf
    assert "inf" in str(convdiff.diff(x, w, obtained))
