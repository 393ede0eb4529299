"""The environments backends run in: which interpreter has which framework.

In this order: what the project's configuration names, what the user registered (`convdiff backends
add`), what convdiff built (`convdiff backends install`), else the running interpreter where it has
the framework.  numpy always runs in the running interpreter.  A framework is never imported here:
whether it is there is asked of the import system only.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convdiff.backends import backend, backends
from convdiff.backends.install import built_python, install
from convdiff.backends.registry import add, read, remove
from convdiff.config import load
from convdiff.errors import one_of

__all__ = ["Environment", "add", "all_environments", "find", "install", "remove"]

Origin = Literal["configured", "registered", "installed", "running", "none"]


@dataclass(frozen=True)
class Environment:
    """Where a backend runs: `python` is the interpreter, `backend` the name of a row, `name` that
    or `torch@1.13`.

    `reason` says why it cannot run, and what to do, where that is known before trying.  `variables`
    are set in its processes, beside the user's own.
    """

    name: str
    backend: str
    python: Path
    origin: Origin
    reason: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def process(self) -> str:
        """What tells its process from others: its name, and the variables that it needs set."""
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.variables)])

    @property
    def usable(self) -> bool:
        """Nothing is known to be in the way."""
        return self.reason is None


def find(name: str) -> Environment:
    """The environment of that name; with a reason where it is not installed.  ConvdiffError for a
    name that is none.
    """
    row = backend(name)
    configured = load().environments
    if name in configured:
        return _configured(name, configured[name])
    registered = read()
    if name in registered:
        python = Path(registered[name])
        reason = (
            None
            if os.access(python, os.X_OK)
            else (
                f"its registered interpreter {python} is gone; `convdiff backends add {name} "
                f"PYTHON` or `convdiff backends remove {name}`"
            )
        )
        return Environment(name, row.name, python, "registered", reason)
    if name != row.name:
        raise one_of("backend", name, {*(row.name for row in backends()), *registered, *configured})
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
    there = os.access(python, os.X_OK)
    reason = (
        None
        if there
        else f"{python}, its interpreter by {load().file}, is not there; correct the path"
    )
    return Environment(name, backend(name).name, python, "configured", reason)


def all_environments() -> list[Environment]:
    """Every backend, usable or not, and after each the registered variants of it (`torch@1.13`)."""
    bases, config = [row.name for row in backends()], load()
    for name in config.environments:
        if name.partition("@")[0] not in bases:
            raise one_of(f"{config.file}: environments", name, bases)
    variants = sorted(name for name in {*read(), *config.environments} if "@" in name)
    return [
        find(name)
        for base in bases
        for name in (base, *(v for v in variants if v.partition("@")[0] == base))
    ]


def has_module(module: str) -> bool:
    """Whether the running interpreter could import it, in a worker: not from the current folder,
    nor a bare folder's name.
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
