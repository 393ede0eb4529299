"""The command line as a process: help, imports, signals, pipes, full disks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from convdiff.cli.main import COMMANDS
from tests.cli.conftest import Invoke, Spawn, environment
from tests.cli.processes import child_processes, wait_until


def imported(stderr: str) -> set[str]:
    """The modules in the output of `python -X importtime`."""
    return {
        line.rpartition("|")[2].strip()
        for line in stderr.splitlines()
        if line.startswith("import time:")
    }


def test_help_imports_neither_numpy_nor_the_commands(spawn: Spawn) -> None:
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


def test_saved_outputs_alone_import_no_framework_and_start_no_worker(spawn: Spawn) -> None:
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
    """Importing numpy takes a tenth of a second, in which they can import their frameworks."""
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
def test_help_lists_every_command(args: tuple[str, ...], invoke: Invoke) -> None:
    result = invoke(*args)
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_an_example(name: str, invoke: Invoke) -> None:
    for option in ("-h", "--help"):
        result = invoke(name, option)
        assert result.exit_code == 0
        assert f"convdiff {name}" in result.stdout
        assert "Example" in result.stdout


def test_the_version_is_printed(invoke: Invoke) -> None:
    import convdiff

    assert invoke("--version").stdout == f"convdiff {convdiff.__version__}\n"


def test_ctrl_c_exits_with_130_and_leaves_no_process_or_file(folder: Path) -> None:
    """It interrupts a call that never ends."""
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
    wait_until(lambda: Path("begun").exists())
    workers = child_processes(host.pid)
    assert workers
    host.send_signal(signal.SIGINT)
    _, err = host.communicate(timeout=300)
    assert host.returncode == 130
    assert "Traceback" not in err
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
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
def test_a_closed_pipe_on_stdout_is_not_reported_as_an_error(
    args: tuple[str, ...], spawn: Spawn
) -> None:
    read, write = os.pipe()
    os.close(read)
    done = spawn("-m", "convdiff", *args, stdout=write)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.parametrize("args", [("--help",), SAVED, (*SAVED, "--format", "json")])
def test_a_full_disk_behind_stdout_is_a_one_line_error(args: tuple[str, ...], spawn: Spawn) -> None:
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
def test_an_error_exits_with_2_where_stderr_cannot_be_written(
    args: tuple[str, ...], folder: Path
) -> None:
    """Not with 1, which means that outputs differ."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "convdiff", *args], env=environment(), timeout=120, stderr=full
        )
    assert done.returncode == 2


BUG = (
    "import sys, convdiff.cli.main as m; m.main = lambda: 1 / 0; sys.argv = "
    "['convdiff']; import convdiff.__main__ as n; n.main()"
)


def test_a_bug_exits_with_2_and_asks_for_a_report(spawn: Spawn) -> None:
    done = spawn("-c", BUG)
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "convdiff: this is a bug in convdiff; please report it with the traceback above: "
        "https://github.com/convdiff/convdiff/issues"
    )


def test_a_bug_exits_with_2_where_stderr_cannot_be_written(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", BUG], env=environment(), timeout=120, stderr=full
        )
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--saved", "none.npy"), "convdiff: --saved none.npy: found no such file"),
        (
            ("--json", "r.json"),
            "convdiff: --json r.json: found a path that cannot be resolved ([Errno 2] No such file "
            "or directory)",
        ),
    ],
)
def test_a_deleted_current_folder_is_a_one_line_error(
    args: tuple[str, ...], message: str, folder: Path
) -> None:
    deleted = folder / "deleted"
    deleted.mkdir()
    script = (
        f"import os, sys; os.rmdir({str(deleted)!r}); from convdiff.__main__ import main; main()"
    )
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
        cwd=deleted,
        timeout=120,
        text=True,
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
