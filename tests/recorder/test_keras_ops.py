"""Calls of keras.ops captured and checked, in subclasses, patches and layers of the user's."""

from __future__ import annotations

from tests.recorder.conftest import Capture, need


def test_the_calls_that_no_recorded_layer_makes(capture: Capture) -> None:
    need("keras", "tensorflow")
    captured = capture("keras_subclasses.py")
    assert captured.layers == [
        "patched/conv",
        "padded/conv",
        "standard/conv",
        "free/conv",
        "free/depthwise_conv",
        "free/separable_conv/depthwise",
        "free/separable_conv/pointwise",
        "free/conv_transpose",
        "free/inner",
    ]
    assert not captured.notes
