"""Shuffled pixels, ignored multipliers, dilation 0, and what looks like them."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from convdiff.diagnose.fit.restored_output import channels_to_pixels, pixels_to_channels
from tests.diagnose.findings import conv, explanations, first_edits, normal
from tests.diagnose.naive import Geometry, convolve

LAYOUTS = {"input_layout": "NCHW", "kernel_layout": "OIHW"}


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


@pytest.mark.parametrize("beside", ["kernel-flipped", "bias-missing", "activation-applied"])
def test_taps_that_all_read_one_element_are_found_beside_another_fault(beside: str) -> None:
    x, w, bias = normal(1, 2, 8, 8), normal(3, 2, 3, 3), normal(3)
    sums = conv(x, w.sum((2, 3), keepdims=True))
    if beside != "bias-missing":
        sums = sums + bias[:, None, None]
    if beside == "activation-applied":
        sums = np.maximum(sums, 0)
    found = first_edits(x, w, sums, bias=bias, padding=0, **LAYOUTS)
    # All taps read the same element, so that a flip changes nothing.
    expected = {"wrong-dilation", *([beside] if beside != "kernel-flipped" else [])}
    assert {edit["code"] for edit in found} == expected
