"""The files in examples/ci, and the pre-commit hook, do what they are there for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.check.conftest import GOOD, WRONG, Manifest, folder, manifest
from tests.cli.conftest import environment

__all__ = ["folder", "manifest"]

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples" / "ci"


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-c", command],
        env={**environment(), "PATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def workflow_steps() -> list[dict[str, Any]]:
    workflow = yaml.safe_load((EXAMPLES / "convdiff.yml").read_text())
    steps: list[dict[str, Any]] = workflow["jobs"]["check"]["steps"]
    return steps


@pytest.mark.parametrize(("cases", "code"), [((GOOD,), 0), ((GOOD, WRONG), 1)])
def test_the_github_workflow_annotates_and_writes_a_summary(
    cases: tuple[Any, ...], code: int, manifest: Manifest, folder: Path
) -> None:
    manifest(*cases)
    command = next(
        step["run"] for step in workflow_steps() if "convdiff check" in step.get("run", "")
    )
    done = shell(command, GITHUB_STEP_SUMMARY=str(folder / "summary.md"))
    assert done.returncode == code, done.stderr
    assert [
        line
        for line in done.stdout.splitlines()
        if line.startswith("::error file=manifest.toml,line=")
    ] == (done.stdout.splitlines()[:-1] if code else [])
    assert "convdiff" in (folder / "summary.md").read_text()
    uploaded = next(
        step["with"]["path"].split()
        for step in workflow_steps()
        if "upload-artifact" in step.get("uses", "")
    )
    assert all((folder / name).stat().st_size for name in uploaded)


def test_the_gitlab_job_writes_the_reports_that_it_declares(
    manifest: Manifest, folder: Path
) -> None:
    manifest(GOOD, WRONG)
    job = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())["convdiff"]
    assert shell(job["script"][1]).returncode == 1
    assert (folder / job["artifacts"]["reports"]["junit"]).read_text().startswith("<?xml")
    assert (folder / job["artifacts"]["paths"][0]).exists()


@pytest.mark.parametrize(
    "path",
    [EXAMPLES / "pre-commit-config.yaml", ROOT / ".pre-commit-hooks.yaml"],
    ids=lambda path: path.name,
)
def test_the_pre_commit_hook_rejects_a_case_that_differs(path: Path, manifest: Manifest) -> None:
    hooks = yaml.safe_load(path.read_text())
    hook = (hooks["repos"][0]["hooks"] if isinstance(hooks, dict) else hooks)[0]
    assert re.search(hook["files"], "dump/manifest.toml")
    assert not re.search(hook["files"], "notmanifest.toml")
    manifest(GOOD)
    assert shell(f"{hook['entry']} manifest.toml").returncode == 0
    manifest(WRONG)
    assert shell(f"{hook['entry']} manifest.toml").returncode == 1
