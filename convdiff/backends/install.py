"""Isolated environments with exact pins, built by `convdiff backends install NAME`.

A virtual environment does not survive being moved, so it is built in its final place, and counts as
installed only once the file `ready` has been written into it, as the last step.  An interrupted
environment lacks that file and is built again.  A lock keeps two installations of one name apart.
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

from convdiff.backends.environment_variables import worker_variables
from convdiff.backends.table import Backend, all_backends, find_backend
from convdiff.backends.termination import exit_on_signals
from convdiff.backends.user_folders import data_folder
from convdiff.errors import ConvdiffError, one_of

QUOTED_INSTALLER_LINES = 6  # lines of the installer's output that an error repeats


def built_python(name: str) -> Path | None:
    """The interpreter of the finished environment for this name, None where there is none."""
    folder = _folder(name)
    python = folder / "bin" / "python"
    return python if (folder / "ready").exists() and os.access(python, os.X_OK) else None


def install(name: str) -> Path:
    """Build the environment of backend `name` unless it exists; returns its interpreter.

    Reports progress on stderr.  Raises ConvdiffError for a backend that cannot be installed, and,
    with the last lines of the installer's output, where a step fails.
    """
    row = _installable(name)
    folder = _folder(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        _acquire(lock, name)
        ready = built_python(name)
        if ready is not None:
            return ready
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _build(row, folder, lock)
        except (KeyboardInterrupt, SystemExit):
            print(
                f"{name}: interrupted; the unfinished environment is not used, and the next "
                "`convdiff backends install` builds it again",
                file=sys.stderr,
            )
            raise
        (folder / "ready").write_text("\n".join(" ".join(step) for step in row.steps) + "\n")
    return folder / "bin" / "python"


def _installable(name: str) -> Backend:
    """The backend's row; ConvdiffError where it is unknown or has no installation steps."""
    rows = all_backends()
    if name not in [row.name for row in rows]:
        raise one_of("backend to install", name, [row.name for row in rows if row.steps])
    row = find_backend(name)
    if row.adapter is not None and not row.steps:
        raise ConvdiffError(
            f"{name}: its package does not say how to install {row.module}; install it yourself "
            f"and run `convdiff backends add {name} PYTHON`"
        )
    if not row.steps:
        raise ConvdiffError(
            f"{name}: runs in convdiff's own interpreter, there is nothing to install"
        )
    return row


def delete(name: str) -> Path | None:
    """Delete the environment that `install` built, finished or not.

    Returns its folder, None where there is none.
    """
    folder = _folder(name)
    if not folder.exists():
        return None
    with (folder.parent / f"{name}.lock").open("w") as lock:
        _acquire(lock, name)
        (folder / "ready").unlink(missing_ok=True)
        shutil.rmtree(folder)
    return folder


def _folder(name: str) -> Path:
    return data_folder() / "envs" / name


def _acquire(lock: IO[str], name: str) -> None:
    """Take the lock, with a message on stderr where another convdiff holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another convdiff is installing {name}; waiting for it", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _build(row: Backend, folder: Path, lock: IO[str]) -> None:
    """Create the environment and run the row's steps in it.

    Raises ConvdiffError, and deletes the folder, where a step fails.
    """
    from rich.console import Console  # slow to import, and needed only here

    console = Console(stderr=True)
    uv = shutil.which("uv")
    python = folder / "bin" / "python"
    installer = (
        [uv, "pip", "install", "--python", str(python)]
        if uv
        else [str(python), "-m", "pip", "install"]
    )
    commands = [_creation_command(row, folder, uv), *([*installer, *step] for step in row.steps)]
    titles = [f"an environment in {folder}", *(" ".join(step) for step in row.steps)]
    log = folder.parent / f"{row.name}.log"
    for title, command in zip(titles, commands, strict=True):
        with console.status(f"{row.name}: {title}"):
            status = _run(command, log, lock)
        if status:
            lines = log.read_text(errors="replace").strip().splitlines()[-QUOTED_INSTALLER_LINES:]
            shutil.rmtree(folder, ignore_errors=True)
            raise ConvdiffError(
                f"{row.name}: `{' '.join(command)}` failed with status {status} (its whole "
                f"output: {log}):\n  " + "\n  ".join(lines)
            )
        console.print(f"{row.name}: {title}: done", highlight=False, markup=False)


def _creation_command(row: Backend, folder: Path, uv: str | None) -> list[str]:
    """The command that creates the empty environment, with a Python that the pins install on.

    That is the running Python where it fits, else another one.  Raises ConvdiffError where there is
    none.
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
        f"install python3.{last}, or uv, which downloads it"
    )


def _run(command: list[str], log: Path, lock: IO[str]) -> int:
    """Run one step with its output in `log`; returns the exit status.

    An interrupt kills the command with all that it started, and is passed on.  The command inherits
    the lock, so that the name stays locked where convdiff alone is killed and the command runs on.
    """
    with log.open("wb") as out, exit_on_signals():
        environment = {
            **worker_variables(Path(command[0])),
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
