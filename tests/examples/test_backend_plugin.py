"""The example of a backend in another package, installed and run; and packages that are broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).parent.parent.parent / "examples/backend-plugin"
BROKEN = {"falls": "1 / 0", "other": "PLUGIN = 3"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example installed in it, and two packages that are no plugins."""
    folder = tmp_path_factory.mktemp("site")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        folder,
    ]
    subprocess.run([*pip, EXAMPLE], check=True, capture_output=True)
    (folder / "arrays").mkdir()
    for name, code in BROKEN.items():
        (folder / f"{name}.py").write_text(code + "\n")
        info = folder / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[convdiff.backends]\n{name} = {name}:PLUGIN\n")
    random = np.random.default_rng(0)
    np.save(folder / "arrays/x.npy", random.integers(-4, 5, (2, 7, 6, 3)).astype(np.float32))
    np.save(folder / "arrays/w.npy", random.integers(-4, 5, (3, 2, 3, 4)).astype(np.float32))
    return folder


def convdiff(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{site}{os.pathsep}{Path(__file__).parent.parent.parent}",
        "XDG_DATA_HOME": str(site),
    }
    command = [sys.executable, "-m", "convdiff", *arguments]
    return subprocess.run(
        command,
        cwd=site / "arrays",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(done.stdout)["rows"]}


RUN = ("run", "x.npy", "w.npy", "--as", "tensorflow", "--format", "json", "--backend", "im2col")


def test_it_runs_with_its_paths(site: Path) -> None:
    done = convdiff(site, *RUN, "--padding", "same", "--flip", "--paths", "all")
    found = rows(done)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: (row["path"], row["verdict"], row["version"]) for name, row in found.items()} == {
        "im2col": ("rows first", "identical", "1.0"),
        "im2col:channels last": ("channels last", "identical", "1.0"),
    }


def test_what_it_cannot_do_is_said(site: Path) -> None:
    row = rows(convdiff(site, *RUN, "--dilation", "2"))["im2col"]
    assert (row["status"], row["message"]) == ("unsupported", "im2col knows no dilation")


def test_its_own_call_is_explained(site: Path) -> None:
    np.save(
        site / "arrays/square.npy", np.arange(54.0, dtype=np.float32).reshape(1, 3, 6, 3)[..., :3]
    )
    row = rows(
        convdiff(
            site,
            "run",
            "square.npy",
            "w.npy",
            "--as",
            "tensorflow",
            "--backend",
            "im2col",
            "--no-align",
            "--format",
            "json",
        )
    )
    assert (
        row["im2col"]["code"] == "import im2col\n\noutput = im2col.conv2d(input, kernel)\n"
        and row["im2col"]["status"] == "failed"
    )


def test_it_is_listed_and_written(site: Path) -> None:
    listed = " ".join(convdiff(site, "backends").stdout.split())
    assert "im2col 1.0 cpu self-test exact" in listed
    assert (
        "falls its entry point falls:PLUGIN cannot be loaded (ZeroDivisionError: division by zero)"
        in listed
    )
    assert (
        "other its entry point other:PLUGIN is a int, expected a convdiff.plugins.Plugin" in listed
    )
    assert (
        "im2col.conv2d(x, w)"
        in convdiff(site, "code", "x.npy", "w.npy", "--as", "tensorflow", "--for", "im2col").stdout
    )
    assert (
        "expected one of cudnn, im2col, jax, numpy"
        in convdiff(site, "code", "x.npy", "w.npy", "--for", "caffe").stderr
    )


def test_a_broken_package_costs_its_row(site: Path) -> None:
    done = convdiff(
        site,
        "run",
        "x.npy",
        "w.npy",
        "--as",
        "tensorflow",
        "--format",
        "json",
        "--backend",
        "numpy",
        "--backend",
        "falls",
    )
    assert done.returncode == 0 and rows(done)["falls"]["status"] == "unavailable"
    assert convdiff(site, *RUN, "--require", "falls").returncode == 2
