"""Averages by count, shuffled pixels, ignored multipliers, dilation 0, and what looks like them."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from convdiff.diagnose.fit.restored_output import channels_to_pixels, pixels_to_channels
from tests.diagnose.findings import conv, explanations, first_edits, normal
from tests.diagnose.naive import Array, Geometry, convolve

LAYOUTS = {"input_layout": "NCHW", "kernel_layout": "OIHW"}
AVERAGED = [{"code": "averaged-by-count"}]


def inside(shape: tuple[int, ...], kernel: Array) -> Array:
    """The sum of the kernel's values, (O, 1, H, W), inside an input padded by 1."""
    return conv(np.ones((1, 1, *shape), np.float32), kernel, 1)


@pytest.mark.parametrize("total", [9, 1])
def test_an_average_leaves_the_padding_out(total: int) -> None:
    x, w = normal(2, 1, 8, 9), np.full((1, 1, 3, 3), total / 9, np.float32)
    obtained = conv(x, np.ones_like(w), 1) / inside((8, 9), np.ones_like(w))
    assert first_edits(x, w, obtained, padding=1, **LAYOUTS) == AVERAGED


def test_a_normalized_filter_divides_by_the_weights_inside() -> None:
    x = normal(1, 1, 8, 9)
    w = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32)[None, None]
    obtained = conv(x, w, 1) / inside((8, 9), w)
    for asked in (w, w / 16):
        assert first_edits(x, asked, obtained, padding=1, **LAYOUTS) == AVERAGED


def test_a_partial_convolution_adds_its_bias_afterwards() -> None:
    x, w, bias = normal(1, 2, 8, 9), normal(3, 2, 3, 3), normal(3)
    counts = inside((8, 9), np.ones((1, 1, 3, 3), np.float32))
    obtained = conv(x, w, 1) * 9 / counts + bias.reshape(1, -1, 1, 1)
    found = first_edits(x, w, obtained.astype(np.float32), bias=bias, padding=1, **LAYOUTS)
    assert found == AVERAGED


def test_an_average_without_padding_is_right() -> None:
    x, w = normal(1, 1, 8, 9), np.full((1, 1, 3, 3), 1 / 9, np.float32)
    assert convdiff.diff(x, w, conv(x, w), **LAYOUTS).agrees
    scaled = explanations(x, w, conv(x, w) * 9, **LAYOUTS)
    assert AVERAGED not in scaled and scaled[0][0]["code"] == "scaled"


def test_another_padding_or_other_numbers_are_no_average() -> None:
    x, w = normal(1, 1, 8, 9), np.full((1, 1, 3, 3), 1 / 9, np.float32)
    edge = conv(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "edge"), w)
    assert first_edits(x, w, edge, padding=1, **LAYOUTS)[0]["code"] == "wrong-pad-mode"
    border = conv(x, w, 1)
    border[..., 0, :] *= 1.7
    assert not convdiff.diff(x, w, border, padding=1, **LAYOUTS).findings


def test_known_counts_win_over_fitted_ones() -> None:
    x, w = normal(1, 2, 8, 9), normal(3, 2, 2, 2)
    counts = inside((8, 9), np.ones((1, 1, 2, 2), np.float32))
    obtained = conv(x, w, 1) * 4 / counts
    assert first_edits(x, w, obtained, padding=1, **LAYOUTS) == AVERAGED


@pytest.mark.parametrize("order", ["DCR", "CRD"])
def test_shuffled_pixels_are_found_beside_another_edit(order: str) -> None:
    x, w = normal(1, 3, 6, 8), normal(8, 3, 3, 3)
    output = conv(x, w[:, :, ::-1, ::-1], 1)
    for code, change in (
        ("depth-to-space", channels_to_pixels),
        ("space-to-depth", pixels_to_channels),
    ):
        obtained = np.ascontiguousarray(change(output, 2, order))
        edits = first_edits(x, w, obtained, padding=1, **LAYOUTS)
        assert {"code": code, "block": 2, "order": order} in edits
        assert [edit["code"] for edit in edits][:1] == ["kernel-flipped"]


def test_a_single_channel_of_pixels_has_no_order() -> None:
    x, w = normal(1, 3, 6, 8), normal(4, 3, 3, 3)
    obtained = channels_to_pixels(conv(x, w, 1), 2, "CRD")
    found = explanations(x, w, obtained, padding=1, **LAYOUTS)
    assert {edits[0]["order"] for edits in found} == {"DCR", "CRD"}


def test_noise_in_the_shape_of_shuffled_pixels_is_unexplained() -> None:
    x, w = normal(1, 3, 6, 8), normal(8, 3, 3, 3)
    noise = np.random.default_rng(8).standard_normal((1, 2, 12, 16)).astype(np.float32)
    assert not convdiff.diff(x, w, noise, padding=1, **LAYOUTS).findings


def test_the_second_filter_of_each_channel_is_no_ignored_multiplier() -> None:
    x, w = normal(1, 4, 7, 8), normal(8, 1, 3, 3)
    output = convolve(x, w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 4)).astype(np.float32)
    asked = {"padding": 1, "groups": 4, **LAYOUTS}
    first, second = (np.ascontiguousarray(output[:, start::2]) for start in (0, 1))
    assert first_edits(x, w, first, **asked) == [{"code": "multiplier-ignored"}]
    assert not convdiff.diff(x, w, second, **asked).findings


def test_taps_that_all_read_one_element() -> None:
    x, w = normal(1, 2, 8, 8), normal(3, 2, 3, 3)
    sums = conv(x, w.sum((2, 3), keepdims=True))
    expected = {"code": "wrong-dilation", "asked": [1, 1], "obtained": [0, 0]}
    assert first_edits(x, w, sums, padding=0, **LAYOUTS) == [expected]
    # The middle tap alone has the same size.
    middle = conv(x, w[:, :, 1:2, 1:2])
    assert not convdiff.diff(x, w, middle, padding=0, **LAYOUTS).findings
