"""PyTorch models captured and checked: the recorded settings give the recorded outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recorder.conftest import Capture, checked_layers, need, run_script


@pytest.fixture(autouse=True)
def _torch() -> None:
    need("torch", "torch")


def test_every_kind_of_module(capture: Capture) -> None:
    captured = capture("torch_net.py")
    assert captured.layers == [
        "lazy",
        "spectral",
        "up",
        "conv2d",
        "twice",
        "twice#2",
        "block.1",
        "deep.conv",
        "deep.up",
        "line",
        "line_up",
    ]
    assert not captured.notes


def test_a_wrong_setting_would_be_seen(tmp_path: Path) -> None:
    """The test above can fail: with one setting of one layer changed, that layer differs."""
    run_script("torch_net.py", tmp_path)
    manifest = tmp_path / "dump" / "manifest.toml"
    text = manifest.read_text()
    manifest.write_text(text.replace('pad_mode = "reflect"', 'pad_mode = "symmetric"'))
    with pytest.raises(AssertionError, match="lazy"):
        checked_layers(tmp_path, "dump")


def test_the_calls_inside_subclasses(capture: Capture) -> None:
    captured = capture("torch_subclasses.py")
    assert captured.layers == ["0.conv2d", "1.conv2d", "2.conv2d", "2.conv2d#2", "3"]
    assert not captured.notes


def test_patches_hooks_and_tensors_without_values(capture: Capture) -> None:
    captured = capture("torch_patches.py")
    assert captured.layers == [
        "layers.0.conv2d",
        "layers.1.conv2d",
        "layers.2.conv2d",
        "layers.3",
        "layers.4",
    ]
    expected = [
        "scripted: not recorded, it is scripted",
        "traced: not recorded, it is scripted",
        "aside: not recorded, no call of torch.conv* was seen in it",
        "mapped: not recorded, its tensors have no values of their own, as inside torch.vmap (",
    ]
    assert len(captured.notes) == len(expected)
    assert all(part in note for part, note in zip(expected, captured.notes, strict=True))
