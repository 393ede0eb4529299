"""Flax linen models captured and checked: the recorded settings give the recorded outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recorder.conftest import Capture, checked_layers, need


@pytest.fixture(autouse=True)
def _flax() -> None:
    need("flax", "flax")


def test_every_kind_of_module(capture: Capture) -> None:
    captured = capture("linen_net.py")
    assert captured.layers == [
        "first",
        "Conv_0",
        "Conv_1",
        "Conv_2",
        "ConvTranspose_0",
        "ConvTranspose_1",
        "ConvTranspose_2",
        "Conv_3",
        "Conv_4",
    ]
    assert not captured.notes


def test_subclasses_and_traced_calls(capture: Capture, tmp_path: Path) -> None:
    captured = capture("linen_transforms.py")
    assert captured.layers == ["padded", "remat", "scan/Conv_0", "scan/Conv_0#2", "vmap", "vmap#2"]
    assert captured.notes == [
        "# other: not recorded, its __call__ is its own and does not call Flax's",
        "# doubled: not recorded, its conv_general_dilated is not JAX's own",
    ]
    assert {"padded", "vmap"} <= set(checked_layers(tmp_path, "grad"))
