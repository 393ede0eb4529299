"""Outputs of which a part was not computed, and outputs that only look like it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.records import Edit
from tests.diagnose.findings import conv, first_edits, normal, summary
from tests.diagnose.naive import Array

LAYOUTS = {"input_layout": "NCHW", "kernel_layout": "OIHW"}
INNER = (..., slice(1, -1), slice(1, -1))
BORDER: Edit = {"code": "not-computed", "left": "zero", "width": [[1, 1], [1, 1]]}


def arrays(channels: int = 3, outputs: int = 4) -> tuple[Array, Array]:
    return normal(2, channels, 9, 10), normal(outputs, channels, 3, 3)


def only_inner(output: Array, left: float | Array = 0.0) -> Array:
    """The output with its border, 1 wide, as it was before: `left`."""
    obtained = np.empty_like(output)
    obtained[...] = left
    obtained[INNER] = output[INNER]
    return obtained


def diff(x: Array, w: Array, obtained: Array, **options: Any) -> convdiff.Result:
    return convdiff.diff(x, w, obtained, **{"padding": 1, **LAYOUTS, **options})


def codes(result: convdiff.Result) -> list[str]:
    return [edit["code"] for finding in result.findings[:1] for edit in finding.edits]


@pytest.mark.parametrize(
    ("left", "value"), [("zero", 0.0), ("nan", np.nan), (-1.0, -1.0), (0.5, 0.5)]
)
def test_the_border_holds_what_it_held_before(left: str | float, value: float) -> None:
    x, w = arrays()
    obtained = only_inner(conv(x, w, 1), value)
    assert first_edits(x, w, obtained, padding=1, **LAYOUTS) == [{**BORDER, "left": left}]


def test_a_bias_was_added_to_the_border() -> None:
    x, w = arrays()
    bias = normal(4)
    obtained = only_inner(conv(x, w, 1)) + bias[:, None, None]
    edits = first_edits(x, w, obtained, bias=bias, padding=1, **LAYOUTS)
    assert edits == [{**BORDER, "plus": "bias"}]


def test_a_half_that_was_not_computed() -> None:
    x, w = arrays()
    obtained = conv(x, w, 1)
    obtained[..., 5:, :] = 0
    edits = first_edits(x, w, obtained, padding=1, **LAYOUTS)
    assert [edit["width"] for edit in edits] == [[[0, 4], [0, 0]]]


def test_the_border_is_a_copy_of_the_input() -> None:
    x, w = arrays(1, 1)
    obtained = only_inner(conv(x, w, 1), x)
    assert first_edits(x, w, obtained, padding=1, **LAYOUTS) == [{**BORDER, "left": "input"}]
    assert "copy of the input" in summary(x, w, obtained, padding=1, **LAYOUTS)


def test_an_output_of_the_size_of_the_input_where_no_padding_was_asked() -> None:
    x, w = arrays(1, 1)
    obtained = x.copy()
    obtained[INNER] = conv(x, w[..., ::-1, :])
    flipped = {"code": "kernel-flipped", "axes": ["H"]}
    edits = first_edits(x, w, obtained, **LAYOUTS)
    assert edits == [flipped, {**BORDER, "left": "input"}]


def test_an_unpadded_result_in_the_corner_of_a_padded_buffer() -> None:
    x, w = arrays()
    obtained = np.zeros_like(conv(x, w, 1))
    obtained[..., :-2, :-2] = conv(x, w)
    edits = {e["code"]: e for e in first_edits(x, w, obtained, padding=1, **LAYOUTS)}
    assert edits["not-computed"]["width"] == [[0, 2], [0, 2]]
    assert [lo for lo, _ in edits["wrong-padding"]["obtained"]] == [0, 0]
    assert edits["wrong-padding"]["asked"] == [[1, 1], [1, 1]]
    assert len(edits) == 2


def test_a_fault_beside_nan_in_whole_numbers() -> None:
    x = np.random.default_rng(4).integers(-9, 10, (1, 1, 12)).astype(np.float32)
    w = np.array([[[1, -2, 3]]], np.float32)
    obtained = np.full((1, 1, 12), np.nan, np.float32)
    obtained[..., 1:-1] = conv(x, w[..., ::-1])
    edits = first_edits(x, w, obtained, padding=1)
    assert [edit["code"] for edit in edits] == ["kernel-flipped", "not-computed"]


def test_a_channel_beside_zeros_that_are_right() -> None:
    # The windows of the last column meet nothing but padding.
    x, w = normal(2, 2, 6, 6), normal(3, 2, 2, 2)
    obtained = conv(x, w, ((0, 0), (0, 2)))
    obtained[:, 0] = 0
    asked = {"padding": [[0, 0], [0, 2]], **LAYOUTS}
    assert not obtained[..., -1].any()
    edits = first_edits(x, w, obtained, **asked)
    assert edits == [{"code": "not-computed", "left": "zero", "where": "channel 0"}]


def test_a_causal_window_starts_with_nan() -> None:
    x, w = normal(1, 1, 40), normal(1, 1, 5)
    obtained = np.full((1, 1, 40), np.nan, np.float32)
    obtained[..., 4:] = conv(x, w)
    edits = first_edits(x, w, obtained, padding=0)
    assert [(e["code"], e["left"], e["width"]) for e in edits] == [
        ("not-computed", "nan", [[4, 0]])
    ]


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ((1,), "item 1"),
        ((slice(None), 2), "channel 2"),
        ((slice(None), slice(1, 3)), "channels 1, 2"),
        ((..., -1, slice(None)), "the last row"),
        ((..., slice(0, 2)), "the first 2 columns"),
    ],
)
def test_a_part_is_named(part: Any, where: str) -> None:
    x, w = arrays()
    obtained = conv(x, w, 1)
    obtained[part] = 0
    edit, *others = first_edits(x, w, obtained, padding=1, **LAYOUTS)
    assert not others
    assert (edit["code"], edit["left"], edit["where"]) == ("not-computed", "zero", where)
    assert where in summary(x, w, obtained, padding=1, **LAYOUTS)


@pytest.mark.parametrize("transposed", [False, True])
def test_the_fault_of_the_rest_is_found(transposed: bool) -> None:
    x = normal(2, 3, 7, 7)
    w = normal(*((3, 4) if transposed else (4, 3)), 3, 3)
    stride = (2, 2) if transposed else (1, 1)
    obtained = only_inner(conv(x, w[..., ::-1, ::-1], 1, stride, transposed=transposed))
    edits = first_edits(x, w, obtained, padding=1, stride=stride[0], transposed=transposed)
    assert {edit["code"] for edit in edits} == {"kernel-flipped", "not-computed"}
    assert edits[-1] == BORDER


def test_another_stride_or_padding_of_the_rest() -> None:
    x, w = normal(1, 2, 15, 15), normal(3, 2, 3, 3)
    strided: dict[str, Any] = {"stride": 2, "padding": 1}
    for made, code in ((strided, "wrong-stride"), ({"padding": 0}, "wrong-padding")):
        obtained = only_inner(conv(x, w, **made))
        edits = first_edits(x, w, obtained, padding=1, **LAYOUTS)
        assert [edit["code"] for edit in edits] == [code, "not-computed"]
        assert edits[0]["obtained"] in ([2, 2], [[0, 0], [0, 0]])


def test_a_stride_and_a_dilation() -> None:
    x, w = normal(1, 2, 15, 15), normal(3, 2, 3, 3)
    obtained = only_inner(conv(x, w, 2, 2, 2))
    asked = {"padding": 2, "stride": 2, "dilation": 2}
    assert first_edits(x, w, obtained, **asked, **LAYOUTS) == [BORDER]


def test_a_black_part_of_the_picture_does_not_widen_the_border() -> None:
    x, w = arrays(1, 1)
    x[..., :3, :] = 0
    obtained = only_inner(conv(x, w, 1))
    assert first_edits(x, w, obtained, padding=1, **LAYOUTS) == [BORDER]


def test_whole_groups_that_were_left_out() -> None:
    x, w = normal(1, 4, 8, 8), normal(4, 1, 3, 3)
    obtained = conv(x, w, 1, groups=4)
    obtained[:, 3] = 0
    edits = first_edits(x, w, obtained, padding=1, groups=4, **LAYOUTS)
    assert edits == [{"code": "not-computed", "left": "zero", "where": "channel 3"}]


def test_a_zero_border_of_other_numbers_is_no_evidence() -> None:
    x, w = arrays()
    noise = normal(2, 4, 9, 10, seed=1)
    result = diff(x, w, only_inner(noise))
    assert result.verdict == "different"
    assert not result.findings


def test_few_or_equal_elements_are_no_evidence() -> None:
    x, w = normal(1, 1, 3, 3), normal(1, 1, 3, 3)
    assert "not-computed" not in codes(diff(x, w, only_inner(conv(x, w, 1))))


def test_one_wrong_number_at_the_end_is_not_left_over() -> None:
    x, w = normal(1, 1, 30), normal(1, 1, 3)
    obtained = conv(x, w, 1)
    obtained[..., -1] = 3.25
    result = convdiff.diff(x, w, obtained, padding=1)
    assert "not-computed" not in codes(result)


def test_an_input_with_zeros_at_its_border_gives_zeros() -> None:
    x, w = arrays()
    x[..., :2, :] = x[..., -2:, :] = 0
    x[..., :2] = x[..., -2:] = 0
    obtained = conv(x, w, 1)
    assert not obtained[..., 0, :].any()
    assert diff(x, w, obtained).agrees
    flipped = conv(x, w[..., ::-1, ::-1], 1)
    assert codes(diff(x, w, flipped)) == ["kernel-flipped"]


def test_a_kernel_of_zeros_gives_a_channel_of_zeros() -> None:
    x, w = arrays()
    w[1] = 0
    assert diff(x, w, conv(x, w, 1)).agrees
    assert codes(diff(x, w, conv(x, w[..., ::-1, ::-1], 1))) == ["kernel-flipped"]


def test_a_relu_that_kills_a_channel() -> None:
    x, w = arrays()
    x, w[2] = np.abs(x), -np.abs(w[2])
    obtained = np.maximum(conv(x, w, 1), 0)
    assert not obtained[:, 2].any()
    assert codes(diff(x, w, obtained)) == ["activation-applied"]


@pytest.mark.parametrize("pads", [((3, 3), (3, 3)), ((0, 0), (0, 0)), ((2, 0), (2, 0))])
def test_another_padding_is_no_missing_border(pads: Any) -> None:
    x, w = arrays()
    assert codes(diff(x, w, conv(x, w, pads))) == ["wrong-padding"]


def test_another_pad_mode_is_no_missing_border() -> None:
    x, w = arrays()
    obtained = conv(x, w, 1, pad_mode="reflect")
    assert codes(diff(x, w, obtained)) == ["wrong-pad-mode"]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (lambda sums: np.rint(sums).astype(np.uint8), {"type": "uint8", "rounding": "nearest"}),
        (np.trunc, {"type": "int64", "rounding": "toward-zero"}),
        (lambda sums: sums.astype(np.uint8), {"type": "uint8", "rounding": "toward-zero"}),
    ],
)
@pytest.mark.parametrize("left", ["zero", "input"])
def test_a_loop_over_the_inner_pixels_that_stores_whole_numbers(
    left: str, stored: Callable[[Array], Array], expected: dict[str, str]
) -> None:
    picture = np.random.default_rng(4).integers(0, 256, (1, 1, 14, 15)).astype(np.float32)
    # Symmetric, so that a flip changes nothing.
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32)[None, None] / 15
    whole = stored(conv(picture, kernel, 1) / 16 * 15)
    obtained = (picture if left == "input" else np.zeros_like(picture)).astype(whole.dtype)
    obtained[..., 1:-1, 1:-1] = whole[..., 1:-1, 1:-1]
    found = {e["code"]: e for e in first_edits(picture, kernel / 16 * 15, obtained, padding=1)}
    assert sorted(found) == ["not-computed", "stored-as-integer"]
    assert found["not-computed"]["left"] == left
    assert expected.items() <= found["stored-as-integer"].items()
