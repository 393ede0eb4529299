"""Pieces of Python source: their text, and that the code does what it says."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.dialects.expressions import (
    assumed_layout,
    broadcast_channels,
    index_text,
    is_permuted,
    keyword,
    list_text,
    misread_notes,
    number_or_tuple,
    reversal_index,
    to_layout,
    to_order,
    to_order_unpermuted,
    tuple_text,
)
from tests.specs import conv


def test_numbers_and_pairs() -> None:
    assert (tuple_text((2, 1)), tuple_text((2,))) == ("(2, 1)", "(2,)")
    assert (number_or_tuple((2, 2)), number_or_tuple((2, 1))) == ("2", "(2, 1)")
    assert list_text(((0, 0), (1, 1))) == "[[0, 0], [1, 1]]"


def test_keyword_arguments_are_left_out_at_their_default() -> None:
    assert keyword("stride", (1, 1), 1) is None
    assert keyword("stride", (2, 2), 1) == "stride=2"
    assert keyword("stride", (2, 2), 1, whole=True) == "stride=(2, 2)"


def test_indices_end_with_the_last_axis_they_change() -> None:
    assert index_text("NHWC", {"H": "1:8"}) == "[:, 1:8]"
    assert index_text("NHWC", {}) == ""
    assert reversal_index("OIHW", "HW") == "[:, :, ::-1, ::-1]"
    assert broadcast_channels("bias", "NCHW") == "bias[:, None, None]"
    assert broadcast_channels("bias", "NHWC") == "bias"


@pytest.mark.parametrize(
    ("layout", "order", "code"),
    [
        ("NHWC", "NCHW", "x.transpose(0, 3, 1, 2)"),
        ("NCHW", "NCHW", "x"),
        ("HW", "NCHW", "x[None, None]"),
        ("HWC", "NCHW", "x.transpose(2, 0, 1)[None]"),
        ("HW", "HWIO", "x[..., None, None]"),
        ("NCW", "NC1W", "x[:, :, None]"),
    ],
)
def test_an_order_and_back(layout: str, order: str, code: str) -> None:
    assert to_order("x", layout, order) == code
    x = np.arange(np.prod(range(2, 2 + len(layout)))).reshape(range(2, 2 + len(layout)))
    ordered = eval(code)
    assert np.array_equal(eval(to_layout("ordered", order, layout)), x)
    assert is_permuted(layout, order) == ("transpose" in code)
    assert ordered.ndim == len(order)


def test_unaligned_code_takes_the_axes_in_the_order_that_it_expects() -> None:
    assert assumed_layout("NHWC", "NCHW") == "NCHW"
    assert to_order_unpermuted("x", "HWC", "NCHW") == "x[None]"
    spec = conv("NHWC HWIO", n=6, k=3, c=2, o=3)
    assert list(misread_notes(spec, "NCHW", "OIHW")) == [
        "input NHWC read as NCHW",
        "kernel HWIO read as OIHW",
    ]
