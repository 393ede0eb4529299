"""Flax nnx models captured and checked: the recorded settings give the recorded outputs."""

from __future__ import annotations

import pytest

from tests.recorder.conftest import Capture, need


@pytest.mark.parametrize(
    ("script", "layers"),
    [
        ("nnx_net.py", ["a", "layers.0", "up", "line"]),
        ("nnx_transforms.py", ["Conv", "b", "mapped", "mapped#2"]),
    ],
)
def test_modules_and_traced_calls(script: str, layers: list[str], capture: Capture) -> None:
    need("flax", "flax")
    captured = capture(script)
    assert captured.layers == layers
    assert not captured.notes
