"""A folder with the arrays of one small convolution, and the command line run in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from convdiff.cli.main import group
from convdiff.numerics.reference import compute_reference
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings

Invoke = Callable[..., Result]
Spawn = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """x, w and b; y is their convolution with padding 1, flipped the same with a flipped kernel."""
    random = np.random.default_rng(7)
    x = random.standard_normal((2, 3, 6, 7)).astype(np.float32)
    w = random.standard_normal((4, 3, 3, 3)).astype(np.float32)
    b = random.standard_normal(4).astype(np.float32)
    spec, _ = read_spec(x.shape, w.shape, Settings(padding=1), bias=False, dtype="float32")
    arrays: dict[str, Any] = {
        "x": x,
        "w": w,
        "b": b,
        "y": compute_reference(spec, x, w).output.astype(np.float32),
    }
    arrays["flipped"] = compute_reference(spec, x, w[:, :, ::-1, ::-1]).output.astype(np.float32)
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.savez(tmp_path / "all.npz", **arrays)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


@pytest.fixture
def invoke(folder: Path) -> Invoke:
    """Runs convdiff with these arguments, in this process."""

    def run(*args: str) -> Result:
        result = CliRunner().invoke(group, args)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def spawn(folder: Path) -> Spawn:
    """Runs Python with these arguments, in a process of its own."""

    def run(*args: str, stdout: Any = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *args]
        return subprocess.run(
            command,
            env=environment(),
            text=True,
            timeout=120,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    return run


def environment() -> dict[str, str]:
    """The environment of a process that imports convdiff from here, with buffered output."""
    import convdiff

    root = str(Path(convdiff.__file__).parent.parent)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {
        **variables,
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
    }
