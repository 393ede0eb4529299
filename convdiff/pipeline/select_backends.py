"""Which environments a request needs.

Imports no numpy, for the workers are started from what is found here; and nothing of the backends
where none is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convdiff.errors import ConvdiffError, one_of
from convdiff.execution_paths import ExecutionPath
from convdiff.pipeline.request import Request
from convdiff.plugins import find_path

if TYPE_CHECKING:
    from convdiff.backends.environments import Environment

NONE = "none"


@dataclass(frozen=True)
class RequestedBackend:
    """A row to be: a backend through one of its paths, or through the one that it takes itself.
    `reason`: why that cannot be.
    """

    name: str
    environment: Environment
    path: ExecutionPath | None = None
    reason: str | None = None


@dataclass(frozen=True)
class SelectedBackends:
    """`asked` run the convolution, `calls` run a user's code (environment, code); notes tell what
    is not installed.
    """

    asked: tuple[RequestedBackend, ...]
    calls: tuple[tuple[Environment, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def needed(self) -> list[Environment]:
        """Every environment, once."""
        return list(
            dict.fromkeys(
                [
                    *(asked.environment for asked in self.asked),
                    *(environment for environment, _ in self.calls),
                ]
            )
        )


def choose(request: Request) -> SelectedBackends:
    """What `request` names, or all that are usable.  ConvdiffError for a name that is none."""
    calls = tuple(_call(text) for text in request.calls)
    named, required = known_as(request.backends, request.require)
    if request.backends:
        return SelectedBackends(_once(named + required), calls)
    from convdiff.backends.environments import all_environments

    known = all_environments()
    # One that the user has set up and that is broken is a row with its reason.
    usable = [
        RequestedBackend(environment.name, environment)
        for environment in known
        if environment.origin != "none"
    ]
    wanted = {asked.environment for asked in required}
    return SelectedBackends(
        _once(usable + required),
        calls,
        tuple(_notes([e for e in known if e.origin == "none" and e not in wanted])),
    )


def known_as(
    backends: Sequence[str], require: Sequence[str]
) -> tuple[list[RequestedBackend], list[RequestedBackend]]:
    """What those names of --backend and --require stand for; none is nothing.  ConvdiffError for a
    name that is none.
    """
    required = [_asked("--require", name) for name in require]
    named = [_asked("--backend", name) for name in backends if name != NONE]
    if NONE in backends and named:
        raise ConvdiffError(
            f"--backend none: found --backend {named[0].name} beside it, expected none alone or "
            "names alone"
        )
    return named, required


def _once(asked: list[RequestedBackend]) -> tuple[RequestedBackend, ...]:
    return tuple(dict.fromkeys(asked))


def _asked(option: str, text: str) -> RequestedBackend:
    """`torch`, `torch@1.13`, `torch:cpu/native`."""
    name, colon, path = text.partition(":")
    if name == NONE and colon:
        raise ConvdiffError(f"{option}: found {text!r}, expected none alone: it has no paths")
    environment = _find(option, name)
    if not colon:
        return RequestedBackend(text, environment)
    try:
        return through(environment, find_path(environment.backend, path))
    except ConvdiffError as error:
        raise ConvdiffError(f"{option}: {error}") from None


def through(environment: Environment, path: ExecutionPath) -> RequestedBackend:
    """The row of a path: in a process of its own where the path needs variables set."""
    from convdiff.backends.environment_variables import path_variables

    return RequestedBackend(
        f"{environment.name}:{path.name}",
        replace(environment, variables=path_variables(path)),
        path,
    )


# What people call a backend, or a path of one.
ALSO_CALLED = {
    "keras": "tensorflow:cpu/keras",
    "tf": "tensorflow",
    "xla": "tensorflow:cpu/xla",
    "pytorch": "torch",
    "ort": "onnxruntime",
}


def _find(option: str, name: str) -> Environment:
    from convdiff.backends.environments import all_environments, find_environment

    try:
        return find_environment(name)
    except ConvdiffError:
        names = [environment.name for environment in all_environments()]
        base = name.split("@")[0]
        meant = f"did you mean {ALSO_CALLED[name]}?" if name in ALSO_CALLED else ""
        if base != name and base in names:
            meant = f"`convdiff backends add {name} PYTHON` registers one that you have"
        if meant:
            raise ConvdiffError(
                f"{option}: found {name!r}, expected one of {', '.join(sorted(names))}; {meant}"
            ) from None
        raise one_of(option, name, [*names, NONE] if option == "--backend" else names) from None


def _call(text: str) -> tuple[Environment, str]:
    match = re.fullmatch(r"([\w@.+-]+)=\s*(.*\S)\s*", text, re.DOTALL)
    if match is None:
        raise ConvdiffError(
            f"--call: found {text!r}, expected NAME=CODE: a backend's name, then an expression or "
            "path.py:function"
        )
    return _find("--call", match[1]), match[2]


def _notes(missing: list[Environment]) -> list[str]:
    """One line for all that could be installed."""
    from convdiff.backends import capacity, find_backend

    here = [
        environment
        for environment in missing
        if capacity.has_accelerator() or not find_backend(environment.backend).gpu
    ]
    absent = [environment.name for environment in here]
    if len(absent) > 1:
        return [f"not installed: {', '.join(absent)} (convdiff backends install NAME)"]
    return [f"{name} is not installed: convdiff backends install {name}" for name in absent]
