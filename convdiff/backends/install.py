"""Isolated environments with versions known to work together, built by `convdiff backends install
NAME`.

An environment is built in its final place, because a virtual environment does not survive being
moved, and counts only once a file `ready` has been written into it, last.  One that was interrupted
lacks it and is built anew.  A lock keeps two installs of one name apart.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from convdiff.backends import Backend, backend, backends
from convdiff.backends.registry import data_folder
from convdiff.errors import ConvdiffError, one_of

SHOWN = 6  # lines of the installer's output that an error repeats


def built_python(name: str) -> Path | None:
    """The interpreter of the environment that `install` finished for this name, if there is one."""
    folder = _folder(name)
    python = folder / "bin" / "python"
    return python if (folder / "ready").exists() and os.access(python, os.X_OK) else None


def install(name: str) -> Path:
    """Build the environment of the backend of that name, unless it is there already; returns its
    interpreter.

    Shows its steps on stderr.  ConvdiffError with the last lines of the installer's output where a
    step fails.
    """
    known = [row.name for row in backends()]
    if name not in known:
        raise one_of("backend to install", name, [row.name for row in backends() if row.steps])
    row = backend(name)
    if row.adapter is not None and not row.steps:
        raise ConvdiffError(
            f"{name}: its package says nothing of how to install {row.module}; `convdiff backends "
            f"add {name} PYTHON`"
        )
    if not row.steps:
        raise ConvdiffError(
            f"{name}: runs in convdiff's own interpreter, there is nothing to install"
        )
    folder = _folder(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        _wait_for(lock, name)
        ready = built_python(name)
        if ready is not None:
            return ready
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _build(row, folder, lock)
        except (KeyboardInterrupt, SystemExit):
            print(
                f"{name}: interrupted; what is built so far is not used, and is built anew the "
                "next time",
                file=sys.stderr,
            )
            raise
        (folder / "ready").write_text("\n".join(" ".join(step) for step in row.steps) + "\n")
    return folder / "bin" / "python"


def delete(name: str) -> Path | None:
    """Delete the environment that `install` built, finished or not; its folder, or None where there
    is none.
    """
    folder = _folder(name)
    if not folder.exists():
        return None
    with (folder.parent / f"{name}.lock").open("w") as lock:
        _wait_for(lock, name)
        (folder / "ready").unlink(missing_ok=True)
        shutil.rmtree(folder)
    return folder


def _folder(name: str) -> Path:
    return data_folder() / "envs" / name


def _wait_for(lock: IO[str], name: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another convdiff is installing {name}; waiting for it", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _build(row: Backend, folder: Path, lock: IO[str]) -> None:
    from rich.console import Console

    console = Console(stderr=True)
    uv = shutil.which("uv")
    python = folder / "bin" / "python"
    steps = [_create(row, folder, uv)]
    for arguments in row.steps:
        installer = (
            [uv, "pip", "install", "--python", str(python)]
            if uv
            else [str(python), "-m", "pip", "install"]
        )
        steps.append([*installer, *arguments])
    log = folder.parent / f"{row.name}.log"
    for number, command in enumerate(steps, 1):
        what = f"an environment in {folder}" if number == 1 else " ".join(row.steps[number - 2])
        with console.status(f"{row.name}: {what}"):
            status = _run(command, log, lock)
        if status:
            lines = log.read_text(errors="replace").strip().splitlines()[-SHOWN:]
            shutil.rmtree(folder, ignore_errors=True)
            raise ConvdiffError(
                f"{row.name}: `{' '.join(command)}` failed with status {status} (all of its "
                f"output: {log}):\n  " + "\n  ".join(lines)
            )
        console.print(f"{row.name}: {what}: done", highlight=False, markup=False)


def _create(row: Backend, folder: Path, uv: str | None) -> list[str]:
    """The command that makes the empty environment, with a Python that the pins install on: this
    one if it is, else another.
    """
    first, last = row.pythons
    if first <= sys.version_info.minor <= last:
        return (
            [uv, "venv", "--seed", "--python", sys.executable, str(folder)]
            if uv
            else [sys.executable, "-m", "venv", str(folder)]
        )
    if uv:
        return [uv, "venv", "--seed", "--python", f"3.{last}", str(folder)]
    for minor in range(last, first - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other:
            return [other, "-m", "venv", str(folder)]
    raise ConvdiffError(
        f"{row.name}: needs Python 3.{first} to 3.{last}, found 3.{sys.version_info.minor}; "
        f"install python3.{last}, or uv, "
        f"which fetches one"
    )


def _run(command: list[str], log: Path, lock: IO[str]) -> int:
    """The exit status; what the command says goes to `log`.  An interrupt ends the command, with
    all that it started, and is passed on.

    The command holds the lock as well, so that it stays locked if only convdiff is killed and the
    command works on.
    """
    from convdiff.backends.termination import unwinding
    from convdiff.backends.variables import variables

    with log.open("wb") as out, unwinding():
        environment = {
            **variables(Path(command[0])),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
        }
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        ) as process:
            try:
                return process.wait()
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
