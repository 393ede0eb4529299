"""`convdiff capture`, and the one line that it prints for what is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.recorder.conftest import need, run


def test_a_function_returns_the_model_and_its_input(tmp_path: Path) -> None:
    need("torch", "torch")
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "from neighbor import CHANNELS\n\n\n"
        "def make():\n"
        "    return torch.nn.Conv2d(CHANNELS, 2, 3), torch.ones(1, CHANNELS, 5, 5)\n"
    )
    (tmp_path / "neighbor.py").write_text("CHANNELS = 3\n")
    done = run(["-m", "convdiff", "capture", "net.py:make", "--folder", "dump"], tmp_path)
    assert done.stdout == "dump/manifest.toml: 1 convolution; convdiff check dump\n", done.stderr
    (case,) = tomllib.loads((tmp_path / "dump" / "manifest.toml").read_text())["case"]
    assert case["kernel_layout"] == "OIHW"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net.onnx"], "capture net.onnx: found no such file (net.onnx), expected an ONNX model"),
        (["net"], "MODEL: found 'net', expected model.onnx or path.py:function"),
        (["net.py:make"], "MODEL net.py: found no such file"),
        (["net.py:make", "--input", "x.npy"], "--input x.npy: found it with net.py:make"),
    ],
)
def test_a_wrong_target_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    if "onnx" in arguments[0]:
        need("onnxruntime", "onnx")
    done = run(["-m", "convdiff", "capture", *arguments], tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"convdiff: {message}"), done.stderr
    assert done.stderr.count("\n") == 1


def test_a_function_that_is_not_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def make():\n    pass\n")
    done = run(["-m", "convdiff", "capture", "net.py:model"], tmp_path)
    assert done.returncode == 2
    assert "net.py:model: found no such function, expected one of make" in done.stderr
    done = run(["-m", "convdiff", "capture", "net.py:make"], tmp_path)
    assert "net.py:make: it returned nothing, expected the model and its arguments" in done.stderr


def test_the_reason_of_a_keras_error_has_no_terminal_colors(tmp_path: Path) -> None:
    need("keras", "tensorflow")
    (tmp_path / "net.py").write_text(
        "import keras, numpy\n"
        "def make():\n"
        "    layer = keras.layers.Conv2D(4, 3)\n"
        "    model = keras.Sequential([keras.Input((8, 8, 3)), layer])\n"
        "    return model, numpy.ones((1, 8, 8, 4), 'float32')\n"
    )
    done = run(["-m", "convdiff", "capture", "net.py:make"], tmp_path)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    announced = "Exception encountered when calling Sequential.call(). Input 0 "
    assert f"it raised ValueError: {announced}" in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("name", "message"), [("boom", "it raised RuntimeError"), ("worse", "it raised KeyError (")]
)
def test_a_model_that_raises_is_one_line(name: str, message: str, tmp_path: Path) -> None:
    need("torch", "torch")
    (tmp_path / "model.py").write_text(
        "import torch\n"
        "def boom():\n"
        "    return torch.nn.Conv2d(3, 4, 3), torch.randn(1, 5, 8, 8)\n"
        "def worse():\n"
        "    raise KeyError('no weights')\n"
    )
    done = run(["-m", "convdiff", "capture", f"model.py:{name}"], tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
