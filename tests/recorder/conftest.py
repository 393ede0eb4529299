"""Running a script with one framework in a process of its own, and checking what it captured."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import environment

Captured = Callable[..., dict[str, dict[str, Any]]]


def need(module: str, name: str) -> None:
    """Skip where a framework is not installed; fail where CONVDIFF_REQUIRE names it."""
    if importlib.util.find_spec(module) is None:
        (pytest.fail if name in os.environ.get("CONVDIFF_REQUIRE", "").split(",") else pytest.skip)(
            f"{module} is not installed"
        )


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**environment(), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def captured(tmp_path: Path) -> Captured:
    """Runs a script that captures into "dump"; the cases that `convdiff check` then reports, by
    name, all of which must agree.
    """

    def go(script: str, *folders: str) -> dict[str, dict[str, Any]]:
        done = run(script, tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        names = folders or ("dump",)
        checked = subprocess.run(
            [sys.executable, "-m", "convdiff", "check", *names, "--format", "json"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        found = {case["name"]: case for case in json.loads(checked.stdout)["cases"]}
        wrong = {
            name: (case["message"], [row["findings"] for row in case["rows"]])
            for name, case in found.items()
            if case["exit_code"]
        }
        assert not wrong
        return found

    return go
