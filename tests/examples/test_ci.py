"""What is there to be copied works when it is copied, and the shell completes."""

from __future__ import annotations

import os
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


def shell(command: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-c", command],
        env={**environment(), "PATH": path, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def steps() -> list[dict[str, Any]]:
    workflow = yaml.safe_load((EXAMPLES / "convdiff.yml").read_text())
    found: list[dict[str, Any]] = workflow["jobs"]["check"]["steps"]
    return found


@pytest.mark.parametrize(("cases", "code"), [((GOOD,), 0), ((GOOD, WRONG), 1)])
def test_the_workflows_step_checks_annotates_and_summarises(
    cases: tuple[Any, ...], code: int, manifest: Manifest, folder: Path
) -> None:
    manifest(*cases)
    command = next(step["run"] for step in steps() if "convdiff check" in step.get("run", ""))
    done = shell(command, GITHUB_STEP_SUMMARY=str(folder / "summary.md"))
    assert done.returncode == code, done.stderr
    assert [
        line
        for line in done.stdout.splitlines()
        if line.startswith("::error file=manifest.toml,line=")
    ] == (done.stdout.splitlines()[:-1] if code else [])
    assert "convdiff" in (folder / "summary.md").read_text()
    kept = next(
        step["with"]["path"].split()
        for step in steps()
        if "upload-artifact" in step.get("uses", "")
    )
    assert all((folder / name).stat().st_size for name in kept)


def test_gitlabs_script_gives_the_report_it_names(manifest: Manifest, folder: Path) -> None:
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
def test_the_pre_commit_hook_fails_a_commit_that_differs(path: Path, manifest: Manifest) -> None:
    hooks = yaml.safe_load(path.read_text())
    hook = (hooks["repos"][0]["hooks"] if isinstance(hooks, dict) else hooks)[0]
    import re

    assert re.search(hook["files"], "dump/manifest.toml")
    assert not re.search(hook["files"], "notmanifest.toml")
    manifest(GOOD)
    assert shell(f"{hook['entry']} manifest.toml").returncode == 0
    manifest(WRONG)
    assert shell(f"{hook['entry']} manifest.toml").returncode == 1


# the words so far, and something that must be among what is offered.
COMPLETED: dict[str, tuple[str, set[str]]] = {
    "a command": ("convdiff ch", {"plain,check"}),
    "an option": ("convdiff check --fail", {"plain,--fail-fast", "plain,--fail-on"}),
    "a word": ("convdiff run x.npy w.npy --fail-on red", {"plain,reduced-precision"}),
    "a file": ("convdiff run x", {"file,x"}),
    "an option's file": ("convdiff run x.npy w.npy --bias b", {"file,b"}),
    "a manifest": ("convdiff check con", {"file,con"}),
    "a backend": ("convdiff run x.npy w.npy --backend te", {"plain,tensorflow"}),
    "a path": ("convdiff code x.npy w.npy --for torch:cpu/n", {"plain,torch:cpu/native"}),
    "a code": ("convdiff explain wrong-p", {"plain,wrong-padding", "plain,wrong-pad-mode"}),
    "a folder": ("convdiff check --source d", {"dir,d"}),
}


@pytest.mark.parametrize("name", COMPLETED)
def test_the_shell_completes(name: str, folder: Path) -> None:
    words, offered = COMPLETED[name]
    count = str(len(words.split()) - 1)
    done = shell("convdiff", _CONVDIFF_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count)
    assert offered <= set(done.stdout.splitlines()), done.stderr


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(name: str, folder: Path) -> None:
    done = shell("convdiff", _CONVDIFF_COMPLETE=f"{name}_source")
    assert done.returncode == 0, done.stderr
    assert "_CONVDIFF_COMPLETE" in done.stdout
