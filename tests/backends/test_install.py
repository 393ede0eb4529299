"""Building environments, with an installer on PATH that is a small program which does as it is
told.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convdiff.backends.environments import find, install, remove
from convdiff.errors import ConvdiffError

UV = """#!/bin/sh
echo "$@" >> "$CALLS"
if [ "$1" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin"; echo '#!/bin/sh' > "$folder/bin/python"; chmod +x "$folder/bin/python"
fi
eval "$UV_DOES"
"""
IN_ANOTHER = "import sys; from convdiff.backends.environments import install; install(sys.argv[1])"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the fake uv notes what it is asked."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(UV)
    (tmp_path / "bin/uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("UV_DOES", "true")
    return tmp_path / "calls"


def test_steps_in_order_then_nothing_to_do(
    calls: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data/convdiff/envs/theano"
    python = install("theano")
    assert (
        python == folder / "bin/python" == find("theano").python
        and find("theano").origin == "installed"
    )
    venv, first, second = calls.read_text().splitlines()
    assert venv.startswith("venv --seed --python ") and venv.endswith(str(folder))
    assert first == f"pip install --python {python} setuptools<60 wheel numpy==1.23.5"
    assert second == (
        f"pip install --python {python} --no-build-isolation theano-pymc==1.1.2 numpy==1.23.5 "
        "scipy<1.16"
    )
    out, err = capfd.readouterr()
    assert out == "" and err.count("done") == 3
    install("theano")
    assert len(calls.read_text().splitlines()) == 3
    assert remove("theano") == f"theano: deleted {folder}" and not folder.exists()
    assert find("theano").origin != "installed"


def test_a_failure_shows_the_end_of_the_output_and_leaves_nothing(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "UV_DOES", '[ "$1" = venv ] || { seq 1000; echo "no such version" >&2; exit 7; }'
    )
    with pytest.raises(ConvdiffError, match=r"failed with status 7") as caught:
        install("jax")
    lines = str(caught.value).splitlines()
    assert lines[-2:] == ["  1000", "  no such version"] and len(lines) < 9
    assert not (tmp_path / "data/convdiff/envs/jax").exists() and find("jax").origin != "installed"
    monkeypatch.setenv("UV_DOES", "true")
    install("jax")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_one_does_not_count(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The signal is convdiff's alone: what it started ends with it, or holds the lock until it
    does, where there was no time to end it.
    """
    seconds = "2" if number == signal.SIGKILL else "100"
    monkeypatch.setenv("UV_DOES", f'[ "$1" = venv ] || (sleep {seconds}; echo "$$" >> "$CALLS")')
    process = other("jax")
    wait_for(lambda: "jax==" in text(calls))
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=10)
    assert ("jax: interrupted" in said) == (number != signal.SIGKILL)
    assert find("jax").origin != "installed"
    if number != signal.SIGKILL:
        wait_for(lambda: not running(b"sleep\x00100"))
    monkeypatch.setenv("UV_DOES", "true")
    install("jax")
    assert find("jax").origin == "installed"


def test_two_at_once_do_it_once(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DOES", "sleep 0.3")
    several = [other("torch") for _ in range(3)]
    errors = [process.communicate(timeout=20)[1] for process in several]
    assert [process.returncode for process in several] == [0] * 3
    assert len(calls.read_text().splitlines()) == 2
    assert (
        sum("another convdiff is installing torch; waiting for it" in error for error in errors)
        == 2
    )


def test_what_cannot_be_installed(calls: Path) -> None:
    with pytest.raises(ConvdiffError, match="nothing to install"):
        install("numpy")
    with pytest.raises(
        ConvdiffError,
        match=r"found 'torch@1.13', expected one of cudnn, jax, onnxruntime, scipy, tens",
    ):
        install("torch@1.13")


def test_another_python_where_the_pins_need_one(
    calls: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from convdiff.backends import backend
    from convdiff.backends.install import _create

    row = backend("theano")._replace(pythons=(3, 4))
    assert _create(row, tmp_path, "uv")[:5] == ["uv", "venv", "--seed", "--python", "3.4"]
    with pytest.raises(
        ConvdiffError,
        match=r"theano: needs Python 3.3 to 3.4, found 3.\d+; install python3.4, or uv",
    ):
        _create(row, tmp_path, None)
    (tmp_path / "bin/python3.3").write_text("#!/bin/sh\n")
    (tmp_path / "bin/python3.3").chmod(0o755)
    assert _create(row, tmp_path, None)[:3] == [str(tmp_path / "bin/python3.3"), "-m", "venv"]


def other(name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", IN_ANOTHER, name],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def running(command: bytes) -> bool:
    """Whether any process has these words in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if command in path.read_bytes():
                return True
    return False


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def wait_for(condition: object) -> None:
    end = time.monotonic() + 10
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)
