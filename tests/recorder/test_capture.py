"""`convdiff.capture`: the model's own outputs, and models that cannot be captured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convdiff.manifest import load
from tests.recorder.conftest import need, run_code, run_script


@pytest.mark.parametrize(
    ("script", "module", "required"),
    [
        ("outputs_torch.py", "torch", "torch"),
        ("outputs_keras.py", "keras", "tensorflow"),
        ("outputs_linen.py", "flax", "flax"),
        ("outputs_nnx.py", "flax", "flax"),
        ("outputs_onnx.py", "onnx", "onnx"),
    ],
)
def test_the_models_own_outputs_are_recorded(
    script: str, module: str, required: str, tmp_path: Path
) -> None:
    """Each model has two outputs, the second after an activation: no layer's output is that."""
    need(module, required)
    run_script(script, tmp_path)
    expected = np.load(tmp_path / "outputs.npz")
    files = load(tmp_path / "dump").outputs
    assert files == tuple(str(tmp_path / "dump" / name) for name in ("output.npy", "output-2.npy"))
    for file, key in zip(files, ("arr_0", "arr_1"), strict=True):
        assert np.array_equal(np.load(file), expected[key])


# What is wrong: the script, and a part of the message.
REFUSED: dict[str, tuple[str, str]] = {
    "no model": (
        "import convdiff\nwith convdiff.capture({}, 'dump'): pass",
        "capture: found an object of type builtins.dict, expected",
    ),
    "a file of another kind": (
        "import convdiff\nwith convdiff.capture('net.pt', 'dump'): pass",
        "capture net.pt: found a file of unknown kind",
    ),
    "nothing ran": (
        "import torch, convdiff\nwith convdiff.capture(torch.nn.Conv2d(1, 1, 1), 'dump'): pass",
        "no convolution ran inside",
    ),
    "a manifest is there": (
        "import torch, convdiff\n"
        "open('manifest.toml', 'w')\n"
        "with convdiff.capture(torch.nn.ReLU(), '.'): pass",
        "found a manifest already",
    ),
    "scripted": (
        "import torch, convdiff\n"
        "model = torch.jit.script(torch.nn.Conv1d(1, 1, 1))\n"
        "with convdiff.capture(model, 'dump'): model(torch.ones(1, 1, 1))",
        "(Conv1d: not recorded, it is scripted)",
    ),
    "on the meta device": (
        "import torch, convdiff\n"
        "model = torch.nn.Conv1d(1, 1, 1, device='meta')\n"
        "with convdiff.capture(model, 'dump'): model(torch.ones(1, 1, 1, device='meta'))",
        "(conv1d: not recorded, it is on the meta device",
    ),
    "a traced graph": (
        "import keras, numpy, convdiff\n"
        "model = keras.Sequential([keras.layers.Conv1D(1, 1)])\n"
        "model.build((1, 4, 1))\n"
        "with convdiff.capture(model, 'dump'): model.predict(numpy.ones((1, 4, 1)), verbose=0)",
        "(sequential/conv1d: not recorded, it runs in a graph being traced, where tensors have no "
        "values; call model(x)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_captured_is_refused(name: str, tmp_path: Path) -> None:
    code, message = REFUSED[name]
    for framework in ("torch", "keras"):
        if framework in code:
            need(framework, "tensorflow" if framework == "keras" else framework)
    done = run_code(code, tmp_path)
    assert done.returncode == 1
    assert "ConvdiffError" in done.stderr
    assert message in done.stderr


def test_a_model_that_fails_leaves_no_files(tmp_path: Path) -> None:
    need("torch", "torch")
    done = run_code(
        "import torch, convdiff\n"
        "net = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 1), torch.nn.Linear(9, 1))\n"
        "with convdiff.capture(net, 'dump'): net(torch.ones(1, 1, 3))",
        tmp_path,
    )
    assert "shapes cannot be multiplied" in done.stderr
    assert list(tmp_path.iterdir()) == []
