"""Arrays read in wrong layouts, and buffers reshaped by mistake, are what NumPy makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.core import array_view
from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.layouts import (
    axis_misreadings,
    mistaken_reshapes,
    other_axis_orders,
    to_layout,
)


@pytest.mark.parametrize("max_copied", [0, array_view.MAX_COPIED_ELEMENTS])
def test_a_mistaken_reshape_is_that_of_numpy(
    max_copied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(78)
    monkeypatch.setattr(array_view, "MAX_COPIED_ELEMENTS", max_copied)
    array = rng.standard_normal((2, 3, 4, 5))
    reshaped = {
        (source, target): view.to_array()
        for source, target, view in mistaken_reshapes(ArrayView.of(array), "NCHW", "NCHW")
    }
    np.testing.assert_array_equal(
        reshaped["NHWC", "NCHW"], array.transpose(0, 2, 3, 1).reshape(array.shape)
    )
    np.testing.assert_array_equal(
        reshaped["NCHW", "NHWC"], array.reshape(2, 4, 5, 3).transpose(0, 3, 1, 2)
    )

    # Column-major, as MATLAB writes it.
    np.testing.assert_array_equal(
        reshaped["WHCN", "NCHW"], array.ravel(order="F").reshape(array.shape)
    )


def test_a_reshape_that_keeps_the_order_of_the_long_axes_is_no_mistake() -> None:
    rng = np.random.default_rng(57)
    array = ArrayView.of(rng.standard_normal((1, 1, 4, 5)))
    pairs = {(source, target) for source, target, _ in mistaken_reshapes(array, "NCHW", "NCHW")}
    assert ("NHWC", "NCHW") not in pairs
    assert not [*mistaken_reshapes(ArrayView.of(np.ones((1, 1, 1, 5))), "NCHW", "NCHW")]


def test_letters_that_a_layout_lacks_become_axes_of_size_1() -> None:
    rng = np.random.default_rng(26)
    array = rng.standard_normal((4, 5, 3))
    view = to_layout(ArrayView.of(array), "HWC", "NCHW")
    np.testing.assert_array_equal(view.to_array(), array.transpose(2, 0, 1)[None])


def test_every_wrong_order_of_the_axes_is_tried_once() -> None:
    rng = np.random.default_rng(55)
    array = rng.standard_normal((2, 2, 3, 3))
    found = {
        layout: view.to_array()
        for layout, _, view in axis_misreadings(ArrayView.of(array), "NCHW", "NCHW")
    }
    assert len(found) == 23
    np.testing.assert_array_equal(found["NCWH"], array.transpose(0, 1, 3, 2))
    # Read as HWNC, axis 2 is N.
    np.testing.assert_array_equal(found["HWNC"], array.transpose(2, 3, 0, 1))


def test_orders_that_move_only_axes_of_size_1_are_left_out() -> None:
    rng = np.random.default_rng(65)
    array = rng.standard_normal((1, 1, 3, 4))
    layouts = [layout for layout, _, _ in axis_misreadings(ArrayView.of(array), "NCHW", "NCHW")]
    assert "CNHW" not in layouts
    assert "NCWH" in layouts


def test_an_exchange_and_unmoved_spatial_axes_are_less_odd_than_other_orders() -> None:
    oddness = {order.layout: order.oddness for order in other_axis_orders("NCHW", "NCHW")}
    assert oddness["NHWC"] == oddness["NCWH"] < oddness["CWHN"]
    assert "NCHW" not in oddness
