"""Scripts that capture a model, run in their own processes, and what their check says."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import environment

SCRIPTS = Path(__file__).with_name("scripts")


@dataclass(frozen=True)
class Captured:
    """The names of the layers that were recorded, in order, and the manifest of "dump"."""

    layers: list[str]
    manifest: str

    @property
    def notes(self) -> list[str]:
        """The manifest's lines on convolutions that were not recorded."""
        return [line for line in self.manifest.splitlines() if "not recorded" in line]


Capture = Callable[..., Captured]


def need(module: str, name: str) -> None:
    """Skip where a framework is not installed; fail where CONVDIFF_REQUIRE names it."""
    if importlib.util.find_spec(module) is None:
        required = name in os.environ.get("CONVDIFF_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)(f"{module} is not installed")


def run(arguments: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in a folder, on the CPU."""
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", **variables}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_code(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a text as a script."""
    return run(["-c", code], folder)


def run_script(
    name: str, folder: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts; it must succeed."""
    done = run([str(SCRIPTS / name), *arguments], folder, **variables)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def checked_layers(folder: Path, *captures: str) -> list[str]:
    """The names of the cases in captured folders, all of which must agree with `convdiff check`."""
    done = run(["-m", "convdiff", "check", *captures, "--format", "json"], folder)
    cases = json.loads(done.stdout)["cases"]
    wrong = {
        case["name"]: (case["message"], [row["findings"] for row in case["rows"]])
        for case in cases
        if case["exit_code"]
    }
    assert not wrong
    return [case["name"] for case in cases]


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """Runs a script that captures into "dump", and checks what it captured."""

    def run_and_check(name: str, *arguments: str, **variables: str) -> Captured:
        run_script(name, tmp_path, *arguments, **variables)
        layers = checked_layers(tmp_path, "dump")
        return Captured(layers, (tmp_path / "dump" / "manifest.toml").read_text())

    return run_and_check
