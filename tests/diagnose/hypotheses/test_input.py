"""Hypotheses about the input: what is found, and the name that it has."""

from __future__ import annotations

import numpy as np

from tests.diagnose.findings import conv, explanations, first_edits, normal, summary

X, W = normal(2, 3, 8, 9), normal(4, 3, 3, 3)


def test_three_reversed_channels_are_rgb_and_bgr() -> None:
    assert "RGB/BGR" in summary(X, W, conv(X[:, ::-1], W, 1), padding=1)


def test_other_numbers_of_reversed_channels_are_not_rgb() -> None:
    x, w = normal(1, 6, 8, 8), normal(4, 6, 3, 3)
    assert "RGB" not in summary(x, w, conv(x[:, ::-1], w, 1), padding=1)


def test_a_reshape_of_one_item_is_reported_in_the_usual_layouts() -> None:
    x, w = normal(1, 3, 8, 8), normal(3, 3, 3, 3)
    obtained = conv(x.transpose(0, 2, 3, 1).reshape(x.shape), w, 1)
    expected = {"code": "input-reshaped", "asked": "NHWC", "obtained": "NCHW"}
    assert first_edits(x, w, obtained, padding=1) == [expected]


def test_an_input_of_one_item_read_in_another_order_is_a_single_edit() -> None:
    x, w = normal(1, 12, 12, 1), normal(3, 3, 1, 3)
    output = conv(x.transpose(1, 3, 0, 2), w.transpose(3, 2, 0, 1), 1)
    obtained = np.ascontiguousarray(output.transpose(0, 2, 3, 1))
    layouts = {"input_layout": "NHWC", "kernel_layout": "HWIO"}
    expected = {"code": "input-axes-permuted", "asked": "NHWC", "obtained": "HNWC"}
    assert first_edits(x, w, obtained, padding=1, **layouts) == [expected]


def test_interleaved_input_channels_are_found_both_ways() -> None:
    x, w = normal(2, 6, 8, 8), normal(4, 3, 3, 3)
    interleaved, gathered = [0, 2, 4, 1, 3, 5], [0, 3, 1, 4, 2, 5]
    edit = {"code": "groups-interleaved", "groups": 2, "which": "input"}
    for order, expected in ((interleaved, edit), (gathered, {**edit, "gathered": True})):
        obtained = conv(x[:, order], w, 1, groups=2)
        assert [expected] in explanations(x, w, obtained, padding=1, groups=2)


def test_depthwise_filters_in_the_other_order_have_a_name() -> None:
    x, w = normal(1, 4, 9, 9), normal(8, 1, 3, 3)
    by_multiplier = np.ascontiguousarray(w.reshape(2, 4, 1, 3, 3).swapaxes(0, 1).reshape(w.shape))
    for asked, used in ((w, by_multiplier), (by_multiplier, w)):
        words = summary(x, asked, conv(x, used, 1, groups=4), padding=1, groups=4)
        assert "multiplier-major" in words
