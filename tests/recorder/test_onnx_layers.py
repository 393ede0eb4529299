"""ONNX models captured and checked: the recorded settings give ONNX Runtime's outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recorder.conftest import Capture, checked_layers, need, run_script


@pytest.fixture(autouse=True)
def _onnx() -> None:
    need("onnx", "onnx")
    need("onnxruntime", "onnx")


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_onnxs_own_node_tests(operator: str, tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    run_script("onnx_node_tests.py", tmp_path, operator)
    folders = [str(path.relative_to(tmp_path)) for path in sorted((tmp_path / "dump").iterdir())]
    assert len(checked_layers(tmp_path, *folders)) >= 5


def test_functions_are_inlined_and_branches_are_noted(capture: Capture) -> None:
    captured = capture("onnx_functions.py")
    assert captured.layers == ["c__2", "c__1", "c__4", "c__3"]
    assert captured.notes == [
        "# held: not recorded, convolutions inside a node of If are not looked at"
    ]
