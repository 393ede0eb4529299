"""The example of a backend in another package, installed and run; and unusable packages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.plugins import INTERFACE_VERSION
from tests.backends.support import PATIENCE, ROOT

EXAMPLE = ROOT / "examples/backend-plugin"
# Packages that are not usable, by the code of their module.
UNUSABLE = {
    "raising": "1 / 0",
    "mistyped": "PLUGIN = 3",
    "newer": "from pathlib import Path\n"
    "from convdiff.plugins import Plugin\n"
    "PLUGIN = Plugin(module='newer', adapter=Path('adapter.py'), dialect=None, "
    f"interface={INTERFACE_VERSION + 1})",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example and the unusable packages installed in it."""
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
    for name, code in UNUSABLE.items():
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
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "XDG_DATA_HOME": str(site),
    }
    command = [sys.executable, "-m", "convdiff", *arguments]
    return subprocess.run(
        command,
        cwd=site / "arrays",
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def rows(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(process.stdout)["rows"]}


RUN = ("run", "x.npy", "w.npy", "--as", "tensorflow", "--format", "json", "--backend", "im2col")


def test_the_example_is_run_through_its_paths(site: Path) -> None:
    process = convdiff(site, *RUN, "--padding", "same", "--flip", "--paths", "all")
    assert process.returncode == 0, process.stdout + process.stderr
    assert {
        name: (row["path"], row["verdict"], row["version"]) for name, row in rows(process).items()
    } == {
        "im2col": ("rows first", "identical", "1.0"),
        "im2col:channels last": ("channels last", "identical", "1.0"),
    }


def test_an_unsupported_convolution_has_the_plugins_reason(site: Path) -> None:
    row = rows(convdiff(site, *RUN, "--dilation", "2"))["im2col"]
    assert (row["status"], row["message"]) == ("unsupported", "im2col does not support dilation")


def test_no_align_runs_the_plugins_default_call(site: Path) -> None:
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


def test_plugins_are_listed_and_the_unusable_have_a_reason(site: Path) -> None:
    listed = " ".join(convdiff(site, "backends").stdout.split())
    assert "im2col 1.0 cpu self-test exact" in listed
    assert (
        "raising its entry point raising:PLUGIN cannot be loaded (ZeroDivisionError: division by "
        "zero)" in listed
    )
    assert (
        "mistyped its entry point mistyped:PLUGIN is of type int, expected convdiff.plugins.Plugin"
        in listed
    )
    assert (
        f"newer its package needs version {INTERFACE_VERSION + 1} of the plugin interface, this "
        f"convdiff supports version {INTERFACE_VERSION}; upgrade convdiff" in listed
    )


def test_code_is_written_for_a_plugin(site: Path) -> None:
    assert (
        "im2col.conv2d(x, w)"
        in convdiff(site, "code", "x.npy", "w.npy", "--as", "tensorflow", "--for", "im2col").stdout
    )
    assert (
        "expected one of cudnn, im2col, jax, numpy"
        in convdiff(site, "code", "x.npy", "w.npy", "--for", "caffe").stderr
    )


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_package_costs_only_its_own_row(site: Path, name: str) -> None:
    process = convdiff(
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
        name,
    )
    assert process.returncode == 0 and rows(process)[name]["status"] == "unavailable"
    assert convdiff(site, *RUN, "--require", name).returncode == 2


def test_the_example_imports_only_what_plugin_authors_may(site: Path) -> None:
    sources = [file.read_text() for file in (EXAMPLE / "convdiff_im2col").glob("*.py")]
    imported = set(re.findall(r"^from (convdiff[\w.]*) import", "\n".join(sources), re.MULTILINE))
    assert imported == {"convdiff.dialects", "convdiff.plugins"}
