"""Which environments a request needs.

Imports no numpy, for the workers are started from what is found here; and nothing of the backends where none is wanted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convdiff.errors import ConvdiffError, one_of
from convdiff.paths import Path
from convdiff.pipeline.request import Request
from convdiff.plugins import find_path

if TYPE_CHECKING:
    from convdiff.backends.environments import Environment

NONE = "none"


@dataclass(frozen=True)
class Asked:
    """A row to be: a backend through one of its paths, or through the one that it takes itself.  `reason`: why that cannot be."""

    name: str
    environment: Environment
    path: Path | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Chosen:
    """`asked` run the convolution, `calls` run a user's code (environment, code); notes tell what is not installed."""

    asked: tuple[Asked, ...]
    calls: tuple[tuple[Environment, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def needed(self) -> list[Environment]:
        """Every environment, once."""
        return list(dict.fromkeys([*(asked.environment for asked in self.asked), *(environment for environment, _ in self.calls)]))


def choose(request: Request) -> Chosen:
    """What `request` names, or all that are usable.  ConvdiffError for a name that is none."""
    calls = tuple(_call(text) for text in request.calls)
    required = [_asked("--require", name) for name in request.require]
    if request.backends:
        named = [_asked("--backend", name) for name in request.backends if name != NONE]
        if NONE in request.backends and named:
            raise ConvdiffError(f"--backend none: found --backend {named[0].name} beside it, expected none alone or names alone")
        return Chosen(_once(named + required), calls)
    from convdiff.backends.environments import all_environments

    known = all_environments()
    # One that the user has set up and that is broken is a row with its reason.
    usable = [Asked(environment.name, environment) for environment in known if environment.origin != "none"]
    wanted = {asked.environment for asked in required}
    return Chosen(_once(usable + required), calls, tuple(_notes([e for e in known if e.origin == "none" and e not in wanted])))


def _once(asked: list[Asked]) -> tuple[Asked, ...]:
    return tuple(dict.fromkeys(asked))


def _asked(option: str, text: str) -> Asked:
    """`torch`, `torch@1.13`, `torch:cpu/native`."""
    name, colon, path = text.partition(":")
    if name == NONE and colon:
        raise ConvdiffError(f"{option}: found {text!r}, expected none alone: it has no paths")
    environment = _find(option, name)
    if not colon:
        return Asked(text, environment)
    try:
        return through(environment, find_path(environment.backend, path))
    except ConvdiffError as error:
        raise ConvdiffError(f"{option}: {error}") from None


def through(environment: Environment, path: Path) -> Asked:
    """The row of a path: in a process of its own where the path needs variables set."""
    from convdiff.backends.variables import of_path

    return Asked(f"{environment.name}:{path.name}", replace(environment, variables=of_path(path)), path)


# What people call a backend, or a path of one.
ALSO_CALLED = {"keras": "tensorflow:cpu/keras", "tf": "tensorflow", "xla": "tensorflow:cpu/xla", "pytorch": "torch", "ort": "onnxruntime"}


def _find(option: str, name: str) -> Environment:
    from convdiff.backends.environments import all_environments, find

    try:
        return find(name)
    except ConvdiffError:
        names = [environment.name for environment in all_environments()]
        base = name.split("@")[0]
        meant = f"did you mean {ALSO_CALLED[name]}?" if name in ALSO_CALLED else ""
        if base != name and base in names:
            meant = f"`convdiff backends add {name} PYTHON` registers one that you have"
        if meant:
            raise ConvdiffError(f"{option}: found {name!r}, expected one of {', '.join(sorted(names))}; {meant}") from None
        raise one_of(option, name, [*names, NONE] if option == "--backend" else names) from None


def _call(text: str) -> tuple[Environment, str]:
    match = re.fullmatch(r"([\w@.+-]+)=\s*(.*\S)\s*", text, re.DOTALL)
    if match is None:
        raise ConvdiffError(f"--call: found {text!r}, expected NAME=CODE: a backend's name, then an expression or path.py:function")
    return _find("--call", match[1]), match[2]


def _notes(missing: list[Environment]) -> list[str]:
    """One line for all that could be installed."""
    from convdiff.backends import backend, room

    here = [environment for environment in missing if room.accelerator() or not backend(environment.backend).gpu]
    absent = [environment.name for environment in here]
    if len(absent) > 1:
        return [f"not installed: {', '.join(absent)} (convdiff backends install NAME)"]
    return [f"{name} is not installed: convdiff backends install {name}" for name in absent]
