"""The other commands, and what the command line is as a process: imports, signals, pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convdiff.backends.environments import Environment
from convdiff.backends.supervisor import Hello
from convdiff.cli.main import COMMANDS
from convdiff.execution_paths import built_in_paths, unmet_need
from convdiff.pipeline import self_test
from convdiff.pipeline.self_test import BackendDescription, State
from tests.cli.conftest import Invoke, environment

Spawn = Callable[..., "subprocess.CompletedProcess[str]"]


def imported(stderr: str) -> set[str]:
    return {
        line.rpartition("|")[2].strip()
        for line in stderr.splitlines()
        if line.startswith("import time:")
    }


def test_help_imports_nothing_heavy(spawn: Spawn) -> None:
    done = spawn("-X", "importtime", "-m", "convdiff", "--help")
    modules = imported(done.stderr)
    assert done.returncode == 0
    assert "click" in modules
    assert not modules & {
        "numpy",
        "rich",
        "convdiff.records",
        "convdiff.pipeline",
        "convdiff.cli.run",
    }
    assert "run " in done.stdout


def test_help_of_a_command_imports_no_numpy(spawn: Spawn) -> None:
    done = spawn("-X", "importtime", "-m", "convdiff", "run", "--help")
    assert done.returncode == 0
    assert not imported(done.stderr) & {"numpy", "rich", "convdiff.backends.fleet"}


def test_saved_outputs_alone_start_nothing_and_import_no_framework(spawn: Spawn) -> None:
    done = spawn(
        "-X",
        "importtime",
        "-m",
        "convdiff",
        "run",
        "x.npy",
        "w.npy",
        "--padding",
        "1",
        "--backend",
        "none",
        "--saved",
        "y.npy",
    )
    assert done.returncode == 0
    modules = imported(done.stderr)
    assert not modules & {
        "torch",
        "tensorflow",
        "jax",
        "theano",
        "convdiff.backends.fleet",
        "convdiff.dialects",
    }


def test_workers_are_started_before_numpy_is_imported(spawn: Spawn) -> None:
    """Numpy gives a tenth of a second away, in which they could have begun to import theirs."""
    script = (
        "import sys\n"
        "from convdiff.backends.fleet import Fleet\n"
        "real = Fleet.start\n"
        "def start(self):\n"
        "    print('numpy' in sys.modules)\n"
        "    return real(self)\n"
        "Fleet.start = start\n"
        "sys.argv = ['convdiff', 'run', 'x.npy', 'w.npy', '--backend', 'numpy']\n"
        "from convdiff.__main__ import main\n"
        "main()\n"
    )
    done = spawn("-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "False"


@pytest.mark.parametrize("args", [(), ("-h",), ("--help",)])
def test_help_names_every_command(args: tuple[str, ...], invoke: Invoke) -> None:
    result = invoke(*args)
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, invoke: Invoke) -> None:
    for option in ("-h", "--help"):
        result = invoke(name, option)
        assert result.exit_code == 0
        assert f"convdiff {name}" in result.stdout
        assert "Example" in result.stdout


def test_version(invoke: Invoke) -> None:
    import convdiff

    assert invoke("--version").stdout == f"convdiff {convdiff.__version__}\n"


@pytest.mark.parametrize("where", [("x.npy", "w.npy"), ("all.npz:x", "all.npz:w")])
def test_code_is_a_script_that_computes_it(
    where: tuple[str, str], invoke: Invoke, spawn: Spawn
) -> None:
    result = invoke("code", *where, "--padding", "1", "--for", "numpy")
    assert result.exit_code == 0
    Path("script.py").write_text(result.stdout + "np.save('made.npy', output)\n")
    done = spawn("-W", "error", "script.py")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load("made.npy"), np.load("y.npy"), atol=1e-4)


def test_code_says_what_a_framework_cannot_do(invoke: Invoke) -> None:
    np.save("x4.npy", np.ones((1, 1, 5, 5, 5), np.float32))
    np.save("w4.npy", np.ones((1, 1, 3, 3, 3), np.float32))
    result = invoke("code", "x4.npy", "w4.npy", "--dtype", "bfloat16", "--for", "theano")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "convdiff: --for theano: found a convolution that it cannot do, "
    )


def test_code_takes_a_flat_bias_only(invoke: Invoke) -> None:
    np.save("b4.npy", np.load("b.npy").reshape(1, 4, 1, 1))
    assert invoke("run", "x.npy", "w.npy", "--bias", "b4.npy", "--backend", "numpy").exit_code == 0
    assert (
        "found shape (1, 4, 1, 1), expected (4,)"
        in invoke("code", "x.npy", "w.npy", "--bias", "b4.npy", "--for", "numpy").stderr
    )


def test_explain_lists_and_tells(invoke: Invoke) -> None:
    listed = invoke("explain")
    assert listed.exit_code == 0
    assert any(line.startswith("kernel-flipped ") for line in listed.stdout.splitlines())
    assert invoke("explain", "kernel-flipped").stdout.startswith("kernel-flipped\n")


def test_backends_are_listed_with_the_reason_where_one_cannot_run(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = Path("/env/bin/python")
    hello = Hello(
        "2.0", "3.9.1", "1.26.0", 1.25, ("cpu", "cuda:0"), "cpu/onednn", {"mps": "no Mac"}
    )
    paths = [
        State(path, unmet_need(path, hello.missing))
        for path in built_in_paths("torch")
        if path.name in ("cpu/onednn", "cuda/cudnn", "mps")
    ]
    known = [
        BackendDescription(
            Environment("torch", "torch", python, "registered"), hello, None, "exact", tuple(paths)
        ),
        BackendDescription(
            Environment("theano", "theano", python, "none", "it is not there"),
            None,
            "it is not there",
        ),
    ]
    monkeypatch.setattr(self_test, "examine", lambda **_: known)
    monkeypatch.setenv("COLUMNS", "100")
    result = invoke("backends")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "torch   2.0  cpu, cuda:0  self-test exact",
        "        /env/bin/python (Python 3.9.1, numpy 1.26.0, registered; starts in 1.2 s)",
        "          cpu/onednn  oneDNN's kernels, the default here",
        "          cuda/cudnn  cuDNN with torch's defaults: TF32 on, no benchmark",
        "          not here: mps: no Mac; it needs a Mac with Apple silicon",
        "theano  it is not there",
    ]
    monkeypatch.setenv("COLUMNS", "50")
    narrow = invoke("backends").stdout
    assert max(map(len, narrow.splitlines())) <= 50
    assert narrow.split() == result.stdout.split()


def test_an_environment_is_added_and_removed(invoke: Invoke) -> None:
    added = invoke("backends", "add", "numpy@own", sys.executable)
    assert added.exit_code == 0
    assert added.stdout.startswith("numpy@own: ")
    ran = invoke(
        "run",
        "x.npy",
        "w.npy",
        "--backend",
        "numpy@own",
        "--call",
        "numpy@own=input",
        "--format",
        "json",
    )
    assert '"name": "numpy@own"' in ran.stdout
    assert "no longer registered" in invoke("backends", "remove", "numpy@own").stdout
    assert invoke("run", "x.npy", "w.npy", "--backend", "numpy@own").exit_code == 2


def children(pid: int) -> list[int]:
    """Living child processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(folder.name))
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def test_ctrl_c_exits_130_and_leaves_nothing(folder: Path) -> None:
    """Into a call that never ends."""
    (folder / "tmp").mkdir()
    code = "numpy=(open('begun', 'w').close(), __import__('time').sleep(600))"
    host = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "convdiff",
            "run",
            "x.npy",
            "w.npy",
            "--backend",
            "none",
            "--call",
            code,
        ],
        env={**environment(), "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: Path("begun").exists())
    workers = children(host.pid)
    assert workers
    host.send_signal(signal.SIGINT)
    _, err = host.communicate(timeout=60)
    assert host.returncode == 130
    assert "Traceback" not in err
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert list((folder / "tmp").iterdir()) == []


SAVED = ("run", "x.npy", "w.npy", "--backend", "none", "--saved", "y.npy")


@pytest.mark.parametrize(
    "args",
    [
        ("--help",),
        ("code", "x.npy", "w.npy", "--for", "numpy"),
        SAVED,
        (*SAVED, "--format", "json"),
    ],
)
def test_a_reader_that_has_gone_is_no_error(args: tuple[str, ...], spawn: Spawn) -> None:
    read, write = os.pipe()
    os.close(read)
    done = spawn("-m", "convdiff", *args, stdout=write)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.parametrize("args", [("--help",), SAVED, (*SAVED, "--format", "json")])
def test_a_full_disk_is_one_line(args: tuple[str, ...], spawn: Spawn) -> None:
    with Path("/dev/full").open("w") as full:
        done = spawn("-m", "convdiff", *args, stdout=full)
    assert done.returncode == 2
    assert done.stderr == (
        "convdiff: stdout: cannot be written (No space left on device), expected room for the "
        "results\n"
    )


@pytest.mark.parametrize(
    "args", [("run", "none.npy", "w.npy"), (*SAVED, "--saved", "none.npy"), ("rnu",)]
)
def test_an_error_that_cannot_be_told_is_trouble_still(args: tuple[str, ...], folder: Path) -> None:
    """Not 1, which says that outputs differ."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "convdiff", *args], env=environment(), timeout=120, stderr=full
        )
    assert done.returncode == 2


def test_a_bug_that_cannot_be_told_is_trouble_still(folder: Path) -> None:
    script = (
        "import sys, convdiff.cli.main as m; m.main = lambda: 1 / 0; sys.argv = "
        "['convdiff']; import convdiff.__main__ as n; n.main()"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment(), timeout=120, stderr=full
        )
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--saved", "none.npy"), "convdiff: --saved none.npy: found no such file"),
        (
            ("--json", "r.json"),
            "convdiff: --json r.json: found no place for a file ([Errno 2] No such file or "
            "directory)",
        ),
    ],
)
def test_a_current_folder_that_is_gone(args: tuple[str, ...], said: str, folder: Path) -> None:
    gone = folder / "gone"
    gone.mkdir()
    script = f"import os, sys; os.rmdir({str(gone)!r}); from convdiff.__main__ import main; main()"
    arrays = [str(folder / name) for name in ("x.npy", "w.npy")]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            "run",
            *arrays,
            "--backend",
            "none",
            "--saved",
            str(folder / "y.npy"),
            *args,
        ],
        env=environment(),
        cwd=gone,
        timeout=120,
        text=True,
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
