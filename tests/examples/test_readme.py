"""The commands and the Python that README.md shows work, and print what it shows.

CONVDIFF_REFRESH=1 (make golden) rewrites the output of the port check and of the probe.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import convdiff
from tests.cli.conftest import environment
from tests.examples.test_examples import REFRESH, comparable
from tests.recorder.conftest import need

README = Path(__file__).parent.parent.parent / "README.md"
Shell = Callable[[str], subprocess.CompletedProcess[str]]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# A PyTorch model and its port to Keras: at stride 2, padding=1 became padding="same".
MODELS = """
import keras, numpy as np, torch
from collections import OrderedDict
from torch import nn
torch.manual_seed(1)
torch_model = nn.Sequential(OrderedDict(
    conv1=nn.Conv2d(3, 16, 3, padding=1), relu1=nn.ReLU(),
    conv2=nn.Conv2d(16, 16, 3, padding=1), relu2=nn.ReLU(),
    down=nn.Conv2d(16, 32, 3, stride=2, padding=1), relu3=nn.ReLU(),
    head=nn.Conv2d(32, 10, 1),
))
L = keras.layers
keras_model = keras.Sequential([
    keras.Input((32, 32, 3)),
    L.Conv2D(16, 3, padding="same", activation="relu"),
    L.Conv2D(16, 3, padding="same", activation="relu"),
    L.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
    L.Conv2D(10, 1),
])
convolutions = [module for module in torch_model if isinstance(module, nn.Conv2d)]
for module, layer in zip(convolutions, keras_model.layers):
    kernel, bias = module.weight.detach().numpy(), module.bias.detach().numpy()
    layer.set_weights([kernel.transpose(2, 3, 1, 0), bias])
x = torch.randn(2, 3, 32, 32)
x_nhwc = x.numpy().transpose(0, 2, 3, 1)
"""

LAYER = """
import torch, torch.nn.functional as F

def my_layer(input, kernel):
    return F.conv2d(torch.tensor(input), torch.tensor(kernel), padding=1)
"""


def fences(language: str) -> list[str]:
    """The README's code blocks in that language, in order."""
    return [text for found, text in FENCE.findall(README.read_text()) if found == language]


def fence(language: str, holds: str) -> str:
    """The one block in that language that holds these words."""
    (text,) = (text for text in fences(language) if holds in text)
    return text


def commands(start: str) -> list[str]:
    """The lines of blocks without a language that begin so, without their comments."""
    lines = (line for block in fences("") for line in block.splitlines())
    return [re.sub(r"\s+# .*", "", line) for line in lines if line.startswith(start)]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs a command line as a reader would, in a folder with the README's arrays and files."""
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 3, 9, 8)).astype(np.float32)
    w = random.standard_normal((4, 3, 3, 3)).astype(np.float32)
    arrays = {"input": x, "kernel": w, "output": random.standard_normal((2, 4, 9, 8))}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array.astype(np.float32))
    (tmp_path / "port.py").write_text(LAYER)
    bin_folder = Path(sys.executable).parent
    variables = {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**environment(), **variables, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def show(old: str, new: str) -> str:
    """The block to compare with: `old`, or with CONVDIFF_REFRESH=1 `new`, written in its place."""
    if not REFRESH:
        return old
    README.write_text(README.read_text().replace(old, new, 1))
    return new


@pytest.mark.xdist_group("tensorflow")
def test_the_probe_prints_what_is_shown(shell: Shell) -> None:
    need("tensorflow", "tensorflow")
    (command,) = commands("convdiff probe")
    done = shell(command)
    assert done.returncode == 0, done.stderr
    assert comparable(show(fence("text", "identified"), done.stdout)) == comparable(done.stdout)


@pytest.mark.xdist_group("tensorflow")
def test_the_port_check_prints_what_is_shown(shell: Shell, tmp_path: Path) -> None:
    """The README shows the table of layers and the conclusion, with the finding left out."""
    need("torch", "torch")
    need("tensorflow", "tensorflow")
    capture = MODELS + "import convdiff\n" + fence("python", "convdiff.capture(")
    (tmp_path / "capture.py").write_text(capture)
    done = shell(f"{shlex.quote(sys.executable)} capture.py")
    assert done.returncode == 0, done.stderr
    (command,) = commands("convdiff check --source")
    done = shell(command)
    assert done.returncode == 1, done.stderr
    table, *_, conclusion = (
        part
        for part in done.stdout.split("\n\n")
        if part.startswith(("case ", "the first layer that diverges"))
    )
    excerpt = f"{table}\n\n...\n\n{conclusion.rstrip()}\n"
    assert comparable(show(fence("text", "head"), excerpt)) == comparable(excerpt)


def quick(command: str) -> str:
    """The command with one backend, where it does not say which to ask."""
    if "--backend" in command or "--call" in command:
        return command
    # numpy has no call of its own for arrays of four axes.
    return f"{command} --backend {'torch' if '--no-align' in command else 'numpy'}"


@pytest.mark.parametrize("command", commands("convdiff run input"))
def test_a_run_works(command: str, shell: Shell) -> None:
    if "torch" in quick(command):
        need("torch", "torch")
    done = shell(f"{quick(command)} --format json")
    assert done.returncode in (0, 1), done.stderr
    assert '"status": "failed"' not in done.stdout


@pytest.mark.parametrize("command", commands("convdiff code") + commands("convdiff explain"))
def test_code_is_printed(command: str, shell: Shell) -> None:
    done = shell(command)
    assert done.returncode == 0, done.stderr
    assert "conv_general_dilated" in done.stdout


def test_the_python_interface_is_as_shown() -> None:
    random = np.random.default_rng(0)
    input, kernel = random.standard_normal((1, 3, 8, 8)), random.standard_normal((2, 3, 3, 3))
    names = {
        "convdiff": convdiff,
        "input": input,
        "kernel": kernel,
        "obtained": np.zeros((1, 2, 4, 4)),
    }
    with pytest.raises(AssertionError):
        exec(fence("python", "assert_agrees"), names)
    assert names["result"].verdict == "different"


def test_the_pytest_fixture_is_as_shown(tmp_path: Path) -> None:
    setup = "import numpy as np\nx, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 1, 1))\n"
    setup += "def port(x, w):\n    return x[:, :, ::2, ::2]\n"
    (tmp_path / "test_port.py").write_text(setup + fence("python", "convdiff_case"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_port.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout


def test_the_manifest_is_checked_as_shown(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text(fence("toml", "[[case]]"))
    (tmp_path / "dump").mkdir()
    (tmp_path / "port").mkdir()
    np.save(tmp_path / "dump/conv1.x.npy", np.ones((1, 2, 6, 6), np.float32))
    np.save(tmp_path / "dump/conv1.w.npy", np.ones((3, 2, 2, 2), np.float32))
    np.save(tmp_path / "port/conv1.y.npy", np.zeros((1, 3, 6, 6), np.float32))
    command, _ = commands("convdiff check manifest.toml")
    done = shell(command)
    assert done.returncode == 1, done.stdout + done.stderr
    assert (tmp_path / "report.xml").exists() and (tmp_path / "report.html").exists()


def test_the_configuration_is_read_as_shown(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "convdiff.toml").write_text(fence("toml", "[environments]"))
    done = shell("convdiff run input.npy kernel.npy --padding 1 --backend numpy --saved output.npy")
    assert done.returncode == 1, done.stderr
    assert "paths = 'all', fail_on = 'reduced-precision'" in " ".join(done.stdout.split())
