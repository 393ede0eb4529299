"""What a capture folder writes: each layer under its own name, the outputs, and the manifest."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.errors import ConvdiffError
from convdiff.manifest import load
from convdiff.recorder import CaptureFolder, RecordedLayer
from convdiff.recorder.capture_folder import ValuesUnavailable


def layer(name: str, value: float = 1, **arrays: Any) -> RecordedLayer:
    array = np.full((1, 1, 1), value, np.float32)
    return RecordedLayer(name, "jax", array, array, array, **arrays)


def test_names_are_kept_and_files_differ_in_more_than_case(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path / "dump")
    for number, name in enumerate(["up", "UP", "up", "a/b", "a:b"]):
        folder.add(layer(name, number))
    folder.finish()
    cases = tomllib.loads((tmp_path / "dump" / "manifest.toml").read_text())["case"]
    assert [case["name"] for case in cases] == ["up", "UP", "up#2", "a/b", "a:b"]
    assert len({case["input"].lower() for case in cases}) == 5
    values = [np.load(tmp_path / "dump" / case["input"]).item() for case in cases]
    assert values == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("exists", [False, True])
def test_discard_leaves_only_what_was_there_before(exists: bool, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    if exists:
        path.mkdir()
        (path / "output.txt").write_text("mine")
    folder = CaptureFolder(path)
    folder.add(layer("conv", bias=np.ones(1)))
    folder.add_outputs([np.ones(3)], np.asarray)
    folder.discard()
    files = [file.name for file in tmp_path.rglob("*")]
    assert files == (["dump", "output.txt"] if exists else [])


def test_a_layer_without_values_is_noted_once(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path / "dump")
    for _ in range(2):
        with folder.skip_without_values("up"):
            raise ValuesUnavailable("it is traced")
    message = (
        r"no convolution was recorded, expected at least one \(up: not recorded, it is traced\)$"
    )
    with pytest.raises(ConvdiffError, match=message):
        folder.finish()


def test_a_closed_folder_ignores_further_layers(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path / "dump")
    folder.add(layer("up"))
    folder.close()
    folder.add(layer("up"))
    assert len(folder) == 1


def test_the_outputs_of_a_manifest_are_a_list_of_files(tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text(
        'outputs = "y.npy"\n[[case]]\ninput = "x.npy"\nkernel = "w.npy"\n'
    )
    with pytest.raises(
        ConvdiffError, match=r"manifest\.toml:1: outputs: found 'y\.npy', expected a list of files"
    ):
        load(tmp_path)
