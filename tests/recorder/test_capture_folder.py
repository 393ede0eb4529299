"""What a recording writes: each layer under its own name, in files that no file system confuses."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from convdiff.errors import ConvdiffError
from convdiff.recorder import CaptureFolder, RecordedLayer
from convdiff.recorder.capture_folder import NoValues


def test_names_stay_and_files_differ_in_more_than_case(tmp_path: Path) -> None:
    recording = CaptureFolder(tmp_path / "dump")
    for number, name in enumerate(["up", "UP", "up", "a/b", "a:b"]):
        recording.add(
            RecordedLayer(name, "onnx", *(np.full((1, 1, 1), number, np.float32) for _ in range(3)))
        )
    recording.finish()
    cases = tomllib.loads((tmp_path / "dump" / "manifest.toml").read_text())["case"]
    assert [case["name"] for case in cases] == ["up", "UP", "up#2", "a/b", "a:b"]
    assert len({case["input"].lower() for case in cases}) == 5
    assert [float(np.load(tmp_path / "dump" / case["input"]).item()) for case in cases] == [
        0,
        1,
        2,
        3,
        4,
    ]


@pytest.mark.parametrize("there", [False, True])
def test_what_is_discarded_leaves_nothing_but_what_was_there(there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    if there:
        folder.mkdir()
        (folder / "output.txt").write_text("mine")
    recording = CaptureFolder(folder)
    recording.add(RecordedLayer("conv", "jax", *(np.ones((1, 1, 1), np.float32) for _ in range(4))))
    recording.gave([np.ones(3)], np.asarray)
    recording.discard()
    assert [path.name for path in tmp_path.rglob("*")] == (["dump", "output.txt"] if there else [])


def test_what_has_no_values_is_noted_once_and_a_closed_recording_takes_no_more(
    tmp_path: Path,
) -> None:
    recording = CaptureFolder(tmp_path / "dump")
    for _ in range(2):
        with recording.skipping("up"):
            raise NoValues("it is traced")
    with pytest.raises(
        ConvdiffError,
        match=(
            r"no convolution was recorded, expected at least one \(up: not recorded, it is "
            r"traced\)$"
        ),
    ):
        recording.finish()
    layer = RecordedLayer("up", "jax", *(np.ones((1, 1, 1), np.float32) for _ in range(3)))
    recording.add(layer)
    recording.close()
    recording.add(layer)
    assert len(recording) == 1
