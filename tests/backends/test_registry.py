"""The environments that a user registers and removes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convdiff.backends.environments import all_environments, find_environment
from convdiff.backends.registry import add, registered_interpreters, remove
from convdiff.errors import ConvdiffError
from tests.backends.support import ROOT


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """convdiff's data folder for the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data/convdiff"


@pytest.fixture
def torch_environment(tmp_path: Path) -> Path:
    """A virtual environment with empty packages called numpy and torch."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in ("numpy", "torch"):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text("__version__ = '1'\n")
    return folder


def test_a_registered_environment_is_found_until_it_is_removed(
    torch_environment: Path, data: Path
) -> None:
    python = torch_environment / "bin/python"
    assert add("torch", torch_environment).startswith(f"torch: {python} (Python 3.")
    add("torch@1.13", python)
    found = find_environment("torch")
    assert (found.python, found.origin) == (python, "registered")  # the link itself
    assert [environment.name for environment in all_environments()] == [
        "numpy",
        "scipy",
        "torch",
        "torch@1.13",
        "tensorflow",
        "jax",
        "onnxruntime",
        "cudnn",
        "theano",
    ]
    assert find_environment("torch@1.13").backend == "torch"
    assert json.loads((data / "environments.json").read_text()) == {
        "torch": str(python),
        "torch@1.13": str(python),
    }
    assert remove("torch") == f"torch: no longer registered; {python} itself is unchanged"
    assert python.exists() and find_environment("torch").origin != "registered"
    python.unlink()
    broken = find_environment("torch@1.13")
    assert not broken.usable
    assert str(broken.reason).startswith(
        f"its registered interpreter {python} can no longer be run"
    )
    remove("torch@1.13")
    for name in ("torch@1.13", "torch"):
        with pytest.raises(ConvdiffError, match="nothing is registered or installed"):
            remove(name)


def test_add_rejects_what_cannot_run_the_backend(torch_environment: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho '[[2, 7, 18], true, true]'\n")
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho hello\n")
    for file in (old, other):
        file.chmod(0o755)
    for name, python, message in (
        ("numpy", sys.executable, "convdiff's own interpreter"),
        (
            "tensorflow",
            torch_environment,
            "has no module tensorflow; `.* -m pip install tensorflow-cpu`",
        ),
        ("torch", tmp_path / "nowhere", "expected an interpreter or the folder"),
        ("torch", tmp_path, "expected an interpreter"),
        ("torch", old, r"found Python 2.7.18, expected 3.7 or newer"),
        ("torch", other, "does not run as a Python interpreter"),
        ("torch@1/13", torch_environment, "expected torch or torch@"),
        ("pytorch", torch_environment, "did you mean torch"),
    ):
        with pytest.raises(ConvdiffError, match=message):
            add(name, python)
    assert registered_interpreters() == {}


def test_a_damaged_file_is_named(data: Path) -> None:
    data.mkdir(parents=True)
    for text in ("{", "[1]"):
        (data / "environments.json").write_text(text)
        with pytest.raises(ConvdiffError, match=r"environments.json: cannot be read"):
            find_environment("torch")


def test_registrations_at_the_same_time_are_all_kept(torch_environment: Path, data: Path) -> None:
    code = "import sys; from convdiff.backends.registry import add; add(sys.argv[1], sys.argv[2])"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"torch@{i}", torch_environment],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for i in range(6)
    ]
    assert [process.wait() for process in processes] == [0] * 6
    assert sorted(registered_interpreters()) == [f"torch@{i}" for i in range(6)]
    assert sorted(path.name for path in data.iterdir()) == [
        "environments.json",
        "environments.lock",
    ]
