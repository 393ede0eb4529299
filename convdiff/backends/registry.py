"""The environments a user registered: a small JSON file in convdiff's data folder, name to
interpreter.
"""

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

from convdiff.backends import backend
from convdiff.errors import ConvdiffError

# Asks an interpreter whether it can serve, from a folder where nothing shadows a framework.  Python
# 2 must understand it too.
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


def data_folder() -> Path:
    """Where registrations and built environments are kept."""
    from platformdirs import user_data_path

    return user_data_path("convdiff", appauthor=False)


def read() -> dict[str, str]:
    """Registered names and their interpreters."""
    file = data_folder() / "environments.json"
    try:
        known = json.loads(file.read_text())
        return {str(name): str(python) for name, python in known.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, OSError) as error:
        raise ConvdiffError(
            f"{file}: cannot be read ({error}); delete it and register with `convdiff backends "
            "add` again"
        ) from None


def add(name: str, python: str | Path) -> str:
    """Register an interpreter, or an environment's folder, under `torch` or `torch@1.13`.

    Returns a sentence that says what it found there.  ConvdiffError where the name is none, or the
    interpreter is missing, does not run, is older than 3.7 or lacks numpy or the framework.
    """
    row = backend(name)
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
    if (major, minor) < (3, 7):
        raise ConvdiffError(f"{path}: found Python {version}, expected 3.7 or newer")
    for module, there in (("numpy", has_numpy), (row.module, has_framework)):
        if not there:
            package = row.package if module == row.module else module
            raise ConvdiffError(
                f"{path}: it has no module {module}; `{path} -m pip install {package}`, or "
                "register another interpreter"
            )
    with _locked():
        _write({**read(), name: str(path)})
    return f"{name}: {path} (Python {version})"


def remove(name: str) -> str:
    """Forget a registration (the environment itself stays), else delete the environment that
    `install` built.

    Returns a sentence that says which.  ConvdiffError where there is neither.
    """
    from convdiff.backends.install import delete

    with _locked():
        known = read()
        if name in known:
            python = known.pop(name)
            _write(known)
            return f"{name}: forgot {python}, which stays as it is"
    folder = delete(name) if "@" not in name and backend(name) else None
    if folder is None:
        raise ConvdiffError(
            f"{name}: nothing is registered or installed under that name; `convdiff backends` "
            "lists what is"
        )
    return f"{name}: deleted {folder}"


def _interpreter(given: str) -> Path:
    """An absolute path, links kept: a virtual environment's interpreter is a link, and finds its
    packages by its own place.
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
    from convdiff.backends.variables import variables

    try:
        done = subprocess.run(
            [path, "-c", PROBE, module],
            cwd="/",
            env=variables(path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        version, has_numpy, has_framework = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise ConvdiffError(f"{path}: does not answer; expected a Python interpreter") from None
    except (OSError, ValueError, IndexError):
        raise ConvdiffError(
            f"{path}: does not run as a Python interpreter; give the path of an environment's "
            "python"
        ) from None
    return version, has_numpy, has_framework


@contextmanager
def _locked() -> Iterator[None]:
    folder = data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "environments.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(known: dict[str, str]) -> None:
    file = data_folder() / "environments.json"
    beside = file.with_suffix(f".{os.getpid()}.tmp")
    beside.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")
    beside.replace(file)
