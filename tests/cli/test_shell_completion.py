"""Shell completion: what is offered, and the script for each shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import environment


def convdiff(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("convdiff")],
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# The words typed so far, and what must be among the completions.
COMPLETIONS: dict[str, tuple[str, set[str]]] = {
    "a command": ("convdiff ch", {"plain,check"}),
    "an option": ("convdiff check --fail", {"plain,--fail-fast", "plain,--fail-on"}),
    "a word": ("convdiff run x.npy w.npy --fail-on red", {"plain,reduced-precision"}),
    "a file": ("convdiff run x", {"file,x"}),
    "a file of an option": ("convdiff run x.npy w.npy --bias b", {"file,b"}),
    "a manifest": ("convdiff check con", {"file,con"}),
    "a backend": ("convdiff run x.npy w.npy --backend te", {"plain,tensorflow"}),
    "a path": ("convdiff code x.npy w.npy --for torch:cpu/n", {"plain,torch:cpu/native"}),
    "a code": ("convdiff explain wrong-p", {"plain,wrong-padding", "plain,wrong-pad-mode"}),
    "a folder": ("convdiff check --source d", {"dir,d"}),
}


@pytest.mark.parametrize("name", COMPLETIONS)
def test_words_are_completed(name: str, folder: Path) -> None:
    words, expected = COMPLETIONS[name]
    count = str(len(words.split()) - 1)
    done = convdiff(_CONVDIFF_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count)
    assert expected <= set(done.stdout.splitlines()), done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(shell: str, folder: Path) -> None:
    done = convdiff(_CONVDIFF_COMPLETE=f"{shell}_source")
    assert done.returncode == 0, done.stderr
    assert "_CONVDIFF_COMPLETE" in done.stdout
