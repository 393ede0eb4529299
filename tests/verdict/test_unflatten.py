"""Outputs that were flattened, and outputs that are a part of the asked one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(3)
X, W = (RNG.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 6, 5), (4, 3, 3, 3)))


def conv(x: Array, w: Array) -> Array:
    return convolve(x, w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))).astype(np.float32)


def message(obtained: Array) -> str:
    return convdiff.diff(X, W, obtained, padding=1).row.message or ""


@pytest.mark.parametrize("shape", [(-1,), (2, -1), (2, 4, -1), (8, 6, 5)])
def test_an_output_flattened_in_the_asked_order_agrees_with_a_note(shape: tuple[int, ...]) -> None:
    result = convdiff.diff(X, W, conv(X, W).reshape(shape), padding=1)
    assert result.agrees
    assert "it was flattened" in (result.row.message or "")


@pytest.mark.parametrize(
    ("shape", "edit"),
    [
        ((2, -1), {"code": "output-reshaped", "asked": "NHWC", "obtained": "NCHW"}),
        ((-1,), {"code": "output-reshaped", "asked": "NHWC", "obtained": "NCHW"}),
        ((-1, 4), {"code": "output-axes-permuted", "asked": "NCHW", "obtained": "NHWC"}),
        ((2, 30, 4), {"code": "output-axes-permuted", "asked": "NCHW", "obtained": "NHWC"}),
    ],
)
def test_an_output_flattened_in_another_order_differs_by_that_order(
    shape: tuple[int, ...], edit: dict[str, Any]
) -> None:
    obtained = conv(X, W).transpose(0, 2, 3, 1).reshape(shape)
    result = convdiff.diff(X, W, obtained, padding=1, input_layout="NCHW")
    assert result.findings[0].edits == (edit,)
    assert "it was flattened" in (result.row.message or "")


def test_a_flattened_output_is_diagnosed() -> None:
    result = convdiff.diff(X, W, conv(X, W[..., ::-1, ::-1]).reshape(2, -1), padding=1)
    assert result.findings[0].codes == ("kernel-flipped",)


def test_a_shape_that_no_merging_of_axes_gives_is_not_read_as_flattened() -> None:
    result = convdiff.diff(X, W, conv(X, W).reshape(16, 15), padding=1)
    assert result.verdict == "different"
    assert "another number of axes" in (result.row.message or "")


@pytest.mark.parametrize(
    ("part", "phrase"),
    [
        ((slice(1),), "1 of 2 batch items, which agree"),
        ((slice(None), slice(3)), "3 of 4 output channels, which agree"),
        ((slice(1), slice(3)), "1 of 2 batch items and 3 of 4 output channels, which agree"),
    ],
)
def test_the_first_part_of_the_output_is_recognized(part: tuple[slice, ...], phrase: str) -> None:
    obtained = conv(X, W)[part]
    assert convdiff.diff(X, W, obtained, padding=1).verdict == "different"
    assert phrase in message(obtained)


def test_the_last_items_are_not_the_first() -> None:
    assert "which agree" not in message(conv(X, W)[1:])
