"""The environments that backends run in: which interpreter has which framework.

An interpreter is taken from the first of these that names one: the project's configuration, the
user's registrations (`convdiff backends add`), the environments that convdiff built (`convdiff
backends install`), and the running interpreter where it has the framework.  numpy always runs in
the running interpreter.  Only the import system is asked whether a framework is there; nothing is
imported.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convdiff.backends.install import built_python
from convdiff.backends.registry import registered_interpreters
from convdiff.backends.table import all_backends, find_backend
from convdiff.config import load
from convdiff.errors import one_of

Origin = Literal["configured", "registered", "installed", "running", "none"]


@dataclass(frozen=True)
class Environment:
    """Where a backend runs.

    `name` is `torch` or `torch@1.13`, `backend` the name of the table's row, `python` the
    interpreter.  `reason` says why it cannot run and what to do, where that is known in advance.
    `variables` are environment variables for its process, beside the user's own.
    """

    name: str
    backend: str
    python: Path
    origin: Origin
    reason: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def process(self) -> str:
        """The key of its process: environments that differ in variables need separate processes."""
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.variables)])

    @property
    def usable(self) -> bool:
        """Whether no reason is known why it could not run."""
        return self.reason is None


def find_environment(name: str) -> Environment:
    """The environment of that name; with a reason where it is not installed.

    Raises ConvdiffError for a name that is neither a backend nor registered nor configured.
    """
    row = find_backend(name)
    configured = load().environments
    if name in configured:
        return _configured(name, configured[name])
    registered = registered_interpreters()
    if name in registered:
        return _registered(name, Path(registered[name]))
    if name != row.name:
        known = {*(row.name for row in all_backends()), *registered, *configured}
        raise one_of("backend", name, known)
    running = Path(sys.executable)
    if row.reason is not None:
        return Environment(name, name, running, "registered", row.reason)
    if name == "numpy":
        return Environment(name, name, running, "running")
    built = built_python(name)
    if built is not None:
        return Environment(name, name, built, "installed")
    if has_module(row.module):
        return Environment(name, name, running, "running")
    gpu = ", on a machine with an NVIDIA GPU" if row.gpu else ""
    provider = (
        f"`convdiff backends install {name}`"
        if row.steps
        else f"`pip install` of {row.module} beside convdiff"
    )
    return Environment(
        name, name, running, "none", f"{name} is not installed; {provider} provides it{gpu}"
    )


def _configured(name: str, python: Path) -> Environment:
    python = python / "bin" / "python" if python.is_dir() else python
    reason = None
    if not os.access(python, os.X_OK):
        reason = (
            f"{load().file} names the interpreter {python}, which cannot be run; correct the path"
        )
    return Environment(name, find_backend(name).name, python, "configured", reason)


def _registered(name: str, python: Path) -> Environment:
    reason = None
    if not os.access(python, os.X_OK):
        reason = (
            f"its registered interpreter {python} can no longer be run; `convdiff backends add "
            f"{name} PYTHON` or `convdiff backends remove {name}`"
        )
    return Environment(name, find_backend(name).name, python, "registered", reason)


def all_environments() -> list[Environment]:
    """Every backend, usable or not, each followed by its registered variants (`torch@1.13`)."""
    bases, config = [row.name for row in all_backends()], load()
    for name in config.environments:
        if name.partition("@")[0] not in bases:
            raise one_of(f"{config.file}: environments", name, bases)
    variants = sorted(
        name for name in {*registered_interpreters(), *config.environments} if "@" in name
    )
    return [
        find_environment(name)
        for base in bases
        for name in (base, *(v for v in variants if v.partition("@")[0] == base))
    ]


def has_module(module: str) -> bool:
    """Whether a worker of the running interpreter could import `module`.

    Neither a module in the current folder nor a folder that is no package counts.
    """
    path = [
        entry
        for entry in sys.path
        if entry and (not _is_current(entry) or Path(entry).name.endswith("-packages"))
    ]
    for finder in sys.meta_path:
        spec: importlib.machinery.ModuleSpec | None = getattr(finder, "find_spec", lambda *_: None)(
            module, path
        )
        if spec is not None:
            return spec.origin is not None
    return False


def _is_current(folder: str) -> bool:
    try:
        return Path(folder).samefile(os.curdir)
    except OSError:
        return False
