"""Keras models captured and checked: the recorded settings give the recorded outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recorder.conftest import Capture, checked_layers, need


@pytest.fixture(autouse=True)
def _keras() -> None:
    need("keras", "tensorflow")


def test_every_kind_of_layer(capture: Capture, tmp_path: Path) -> None:
    captured = capture("keras_net.py")
    assert captured.layers == [
        "first",
        "depthwise_conv2d",
        "separable_conv2d/depthwise",
        "separable_conv2d/pointwise",
        "conv2d_transpose",
        "conv2d_transpose_1",
        "conv2d_transpose_2",
        "conv2d",
        "conv1d",
        "separable_strided/depthwise",
        "separable_strided/pointwise",
        "separable_dilated/depthwise",
        "separable_dilated/pointwise",
        "separable_plain/depthwise",
        "separable_plain/pointwise",
        "depthwise_conv1d",
        "conv1d_transpose",
    ]
    assert not captured.notes
    assert len(checked_layers(tmp_path, "deep")) == 2


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_model_that_is_not_built_on_each_backend(backend: str, capture: Capture) -> None:
    need(backend, backend)
    captured = capture("keras_unbuilt.py", KERAS_BACKEND=backend)
    assert captured.layers == ["first", "net/conv", "last/depthwise", "last/pointwise"]
    # The saved output is that of the framework that Keras runs on.
    assert captured.manifest.count(f"saved = {{ {backend} = ") == 4
    assert not captured.notes
