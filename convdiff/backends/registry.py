"""The user's own environments: a small JSON file in the data folder, name to interpreter."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convdiff.backends.environment_variables import worker_variables
from convdiff.backends.install import delete
from convdiff.backends.table import find_backend
from convdiff.backends.user_folders import data_folder
from convdiff.errors import ConvdiffError

# Prints the version of an interpreter, and whether it has numpy and the framework.  It is run from
# a folder where nothing shadows a framework, and Python 2 must understand it too.
PROBE = """
import json, sys
def has(name):
    try:
        from importlib.util import find_spec
        found = find_spec(name)
        return found is not None and found.origin is not None
    except ImportError:
        return False
print(json.dumps([list(sys.version_info[:3]), has("numpy"), has(sys.argv[1])]))
"""
PROBE_TIMEOUT = 60  # seconds
MIN_PYTHON = (3, 7)  # what worker.py and the adapters need


def registered_interpreters() -> dict[str, str]:
    """The registered names and their interpreters.  ConvdiffError where the file is damaged."""
    file = _file()
    try:
        entries = json.loads(file.read_text())
        return {str(name): str(python) for name, python in entries.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, OSError) as error:
        raise ConvdiffError(
            f"{file}: cannot be read ({error}); delete it and register with `convdiff backends "
            "add` again"
        ) from None


def add(name: str, python: str | Path) -> str:
    """Register an interpreter, or an environment's folder, as `torch` or `torch@1.13`.

    Returns a line about what was registered.  Raises ConvdiffError where the name is unknown, or
    the interpreter does not exist, does not run, is older than 3.7 or lacks numpy or the framework.
    """
    row = find_backend(name)
    if name == "numpy":
        raise ConvdiffError(
            "numpy: runs in convdiff's own interpreter; register another one as numpy@NAME"
        )
    if not re.fullmatch(r"\w+(@[\w.+-]+)?", name):
        raise ConvdiffError(
            f"environment name {name!r}: expected {row.name} or {row.name}@ and a word, such as "
            f"{row.name}@1.13"
        )
    path = _interpreter(str(python))
    (major, minor, micro), has_numpy, has_framework = _probe(path, row.module)
    version = f"{major}.{minor}.{micro}"
    if (major, minor) < MIN_PYTHON:
        raise ConvdiffError(f"{path}: found Python {version}, expected 3.7 or newer")
    for module, present in (("numpy", has_numpy), (row.module, has_framework)):
        if not present:
            package = row.package if module == row.module else module
            raise ConvdiffError(
                f"{path}: it has no module {module}; `{path} -m pip install {package}`, or "
                "register another interpreter"
            )
    with _locked():
        _write({**registered_interpreters(), name: str(path)})
    return f"{name}: {path} (Python {version})"


def remove(name: str) -> str:
    """Remove a registration, or else delete the environment that `install` built.

    Returns a line about which of the two it was.  Raises ConvdiffError where there is neither.
    """
    with _locked():
        entries = registered_interpreters()
        if name in entries:
            python = entries.pop(name)
            _write(entries)
            return f"{name}: no longer registered; {python} itself is unchanged"
    folder = delete(name) if "@" not in name and find_backend(name) else None
    if folder is None:
        raise ConvdiffError(
            f"{name}: nothing is registered or installed under that name; `convdiff backends` "
            "lists what is"
        )
    return f"{name}: deleted {folder}"


def _file() -> Path:
    return data_folder() / "environments.json"


def _interpreter(given: str) -> Path:
    """The absolute path of the interpreter that the user named, by itself or by its environment.

    Links are kept: the interpreter of a virtual environment is a link, and finds its packages by
    its own place.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        path = path / "bin" / "python"
    elif not path.exists() and os.sep not in given:
        path = Path(shutil.which(given) or given)
    path = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() follows links)
    if not path.is_file() or not os.access(path, os.X_OK):
        raise ConvdiffError(
            f"{path}: expected an interpreter or the folder of an environment, found none; give "
            "the path of its python"
        )
    return path


def _probe(path: Path, module: str) -> tuple[list[int], bool, bool]:
    """The interpreter's version, whether it has numpy, and whether it has `module`."""
    try:
        process = subprocess.run(
            [path, "-c", PROBE, module],
            cwd="/",
            env=worker_variables(path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT,
        )
        version, has_numpy, has_framework = json.loads(process.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise ConvdiffError(
            f"{path}: did not answer within {PROBE_TIMEOUT} s; expected a Python interpreter"
        ) from None
    except (OSError, ValueError, IndexError):
        raise ConvdiffError(
            f"{path}: does not run as a Python interpreter; give the path of an environment's "
            "python"
        ) from None
    return version, has_numpy, has_framework


@contextmanager
def _locked() -> Iterator[None]:
    """Keep other processes from changing the registry."""
    folder = data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "environments.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(entries: dict[str, str]) -> None:
    """Replace the file at once, so that no reader finds half of it."""
    file = _file()
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(dict(sorted(entries.items())), indent=2) + "\n")
    draft.replace(file)
