"""Building environments, with a small program as the installer, which a test controls by files."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from convdiff.backends.environments import find_environment
from convdiff.backends.install import _creation_command, install
from convdiff.backends.registry import remove
from convdiff.backends.table import BACKENDS, find_backend
from convdiff.errors import ConvdiffError
from tests.backends.support import PATIENCE, ROOT, is_alive, wait_for, wait_until_dead

# It notes its arguments in $CALLS, creates the environment, and then does what $UV_DOES says.
UV = """#!/bin/sh
echo "$@" >> "$CALLS"
if [ "$1" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin"; echo '#!/bin/sh' > "$folder/bin/python"; chmod +x "$folder/bin/python"
fi
eval "$UV_DOES"
"""
# It notes the process that waits, until the test creates the file $CONTINUE.
WAIT = '(sh -c \'echo pid $PPID\' >> "$CALLS"; until [ -e "$CONTINUE" ]; do sleep 0.05; done)'
WAIT_IN_PIP = f'[ "$1" = venv ] || {WAIT}'
INSTALL = "import sys; from convdiff.backends.install import install; install(sys.argv[1])"
WAITING = "another convdiff is installing {}; waiting for it"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file in which the installer notes its calls; no installer waits after the test."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(UV)
    (tmp_path / "bin/uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("CONTINUE", str(tmp_path / "continue"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("UV_DOES", "true")
    yield tmp_path / "calls"
    (tmp_path / "continue").touch()


def test_steps_are_run_in_order_and_only_once(
    calls: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data/convdiff/envs/theano"
    python = install("theano")
    found = find_environment("theano")
    assert python == folder / "bin/python" == found.python and found.origin == "installed"
    venv, first, second = calls.read_text().splitlines()
    assert venv.startswith("venv --seed --python ") and venv.endswith(str(folder))
    assert first == (
        f"pip install --python {python} setuptools==59.8.0 wheel==0.48.0 numpy==1.23.5"
    )
    assert second == (
        f"pip install --python {python} --no-build-isolation theano-pymc==1.1.2 numpy==1.23.5 "
        "scipy==1.15.3"
    )
    out, err = capfd.readouterr()
    assert out == "" and err.count("done") == 3
    install("theano")
    assert len(calls.read_text().splitlines()) == 3
    assert remove("theano") == f"theano: deleted {folder}" and not folder.exists()
    assert find_environment("theano").origin != "installed"


def test_every_requirement_is_pinned_exactly() -> None:
    for row in BACKENDS:
        requirements = [word for step in row.steps for word in step if not word.startswith("-")]
        assert all(re.fullmatch(r"[\w-]+==[\d.]+", word) for word in requirements), row.name


def test_a_failure_quotes_the_installer_and_leaves_nothing(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "UV_DOES", '[ "$1" = venv ] || { seq 1000; echo "no such version" >&2; exit 7; }'
    )
    with pytest.raises(ConvdiffError, match=r"failed with status 7") as caught:
        install("jax")
    lines = str(caught.value).splitlines()
    assert lines[-2:] == ["  1000", "  no such version"] and len(lines) < 9
    assert not (tmp_path / "data/convdiff/envs/jax").exists()
    assert find_environment("jax").origin != "installed"
    monkeypatch.setenv("UV_DOES", "true")
    install("jax")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_installation_ends_its_installer_and_does_not_count(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("UV_DOES", WAIT_IN_PIP)
    process = start_install("jax", tmp_path / "errors")
    installer = waiting_installer(calls)
    os.kill(process.pid, number)
    process.wait(timeout=PATIENCE)
    assert "jax: interrupted" in (tmp_path / "errors").read_text()
    wait_until_dead([installer])
    assert find_environment("jax").origin != "installed"
    monkeypatch.setenv("UV_DOES", "true")
    install("jax")
    assert find_environment("jax").origin == "installed"


def test_the_installer_of_a_killed_convdiff_keeps_the_lock_until_it_ends(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DOES", WAIT_IN_PIP)
    process = start_install("jax", tmp_path / "errors")
    installer = waiting_installer(calls)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=PATIENCE)
    assert is_alive(installer) and find_environment("jax").origin != "installed"
    monkeypatch.setenv("UV_DOES", "true")
    second = start_install("jax", tmp_path / "second")
    wait_for(lambda: WAITING.format("jax") in text(tmp_path / "second"), "waiting for the lock")
    (tmp_path / "continue").touch()
    assert second.wait(timeout=PATIENCE) == 0
    assert find_environment("jax").origin == "installed"


def test_installations_at_the_same_time_build_once(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DOES", WAIT_IN_PIP)
    errors = [tmp_path / f"errors{number}" for number in range(3)]
    processes = [start_install("torch", file) for file in errors]
    wait_for(
        lambda: sum(WAITING.format("torch") in text(file) for file in errors) == 2,
        "two processes that wait for the third",
    )
    (tmp_path / "continue").touch()
    assert [process.wait(timeout=PATIENCE) for process in processes] == [0] * 3
    steps = [line for line in calls.read_text().splitlines() if not line.startswith("pid ")]
    assert len(steps) == 2


def test_what_cannot_be_installed_is_an_error(calls: Path) -> None:
    with pytest.raises(ConvdiffError, match="nothing to install"):
        install("numpy")
    with pytest.raises(
        ConvdiffError,
        match=r"found 'torch@1.13', expected one of cudnn, jax, onnxruntime, scipy, tens",
    ):
        install("torch@1.13")


def test_another_python_is_used_where_the_pins_need_one(
    calls: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = find_backend("theano")._replace(pythons=(3, 4))
    command = _creation_command(row, tmp_path, "uv")
    assert command[:5] == ["uv", "venv", "--seed", "--python", "3.4"]
    with pytest.raises(
        ConvdiffError,
        match=r"theano: needs Python 3.3 to 3.4, found 3.\d+; install python3.4, or uv",
    ):
        _creation_command(row, tmp_path, None)
    (tmp_path / "bin/python3.3").write_text("#!/bin/sh\n")
    (tmp_path / "bin/python3.3").chmod(0o755)
    command = _creation_command(row, tmp_path, None)
    assert command[:3] == [str(tmp_path / "bin/python3.3"), "-m", "venv"]


def start_install(name: str, errors: Path) -> subprocess.Popen[bytes]:
    """`install(name)` in a process of its own, with its standard error in a file."""
    with errors.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-c", INSTALL, name],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=file,
            start_new_session=True,
        )


def waiting_installer(calls: Path) -> int:
    """The id of the installer's process, once it waits."""
    wait_for(lambda: re.search(r"^pid \d+$", text(calls), re.MULTILINE), "the installer's start")
    match = re.search(r"^pid (\d+)$", text(calls), re.MULTILINE)
    assert match is not None
    return int(match[1])


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
