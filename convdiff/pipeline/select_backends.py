"""Selects the environments that a request needs, and what to run in each.

Workers are started from this selection, so it imports no numpy; and it imports nothing of
`convdiff.backends` where no backend is wanted.
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

# Names that people use for a backend, or for one of its paths.
ALIASES = {
    "keras": "tensorflow:cpu/keras",
    "tf": "tensorflow",
    "xla": "tensorflow:cpu/xla",
    "pytorch": "torch",
    "ort": "onnxruntime",
}


@dataclass(frozen=True)
class RequestedBackend:
    """A row to come: a backend through one of its paths, or through its default path if None.

    `reason` says why the path is not available; None where it is.
    """

    name: str
    environment: Environment
    path: ExecutionPath | None = None
    reason: str | None = None


@dataclass(frozen=True)
class SelectedBackends:
    """What a request runs, and where.

    `backends` do the convolution; `calls` are pairs of an environment and the user's code to run in
    it.  `notes` name the backends that are not installed.
    """

    backends: tuple[RequestedBackend, ...]
    calls: tuple[tuple[Environment, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def environments(self) -> list[Environment]:
        """Every environment that is needed, once."""
        of_backends = (backend.environment for backend in self.backends)
        of_calls = (environment for environment, _ in self.calls)
        return list(dict.fromkeys([*of_backends, *of_calls]))


def select_backends(request: Request) -> SelectedBackends:
    """The backends that `request` names, or else all that are set up.

    Raises ConvdiffError for a name that is unknown.
    """
    calls = tuple(_parse_call(text) for text in request.calls)
    named, required = requested_backends(request.backends, request.require)
    if request.backends:
        return SelectedBackends(_without_duplicates(named + required), calls)
    from convdiff.backends.environments import all_environments

    known = all_environments()
    # An environment that the user has set up and that is broken becomes a row with the reason.
    set_up = [
        RequestedBackend(environment.name, environment)
        for environment in known
        if environment.origin != "none"
    ]
    wanted = {backend.environment for backend in required}
    absent = [
        environment
        for environment in known
        if environment.origin == "none" and environment not in wanted
    ]
    return SelectedBackends(
        _without_duplicates(set_up + required), calls, tuple(_not_installed(absent))
    )


def requested_backends(
    backends: Sequence[str], require: Sequence[str]
) -> tuple[list[RequestedBackend], list[RequestedBackend]]:
    """The backends that the names given with --backend and with --require stand for.

    The name "none" stands for no backend.  Raises ConvdiffError for a name that is unknown.
    """
    required = [_parse_backend("--require", name) for name in require]
    named = [_parse_backend("--backend", name) for name in backends if name != NONE]
    if NONE in backends and named:
        raise ConvdiffError(
            f"found none together with {named[0].name}, expected either none or names",
            subject="--backend",
        )
    return named, required


def requested_path(environment: Environment, path: ExecutionPath) -> RequestedBackend:
    """The row of a path; it has a process of its own where it needs environment variables."""
    from convdiff.backends.environment_variables import path_variables

    return RequestedBackend(
        f"{environment.name}:{path.name}",
        replace(environment, variables=path_variables(path)),
        path,
    )


def _without_duplicates(backends: list[RequestedBackend]) -> tuple[RequestedBackend, ...]:
    return tuple(dict.fromkeys(backends))


def _parse_backend(option: str, text: str) -> RequestedBackend:
    """The backend that `text` names: `torch`, `torch@1.13` or `torch:cpu/native`."""
    name, colon, path = text.partition(":")
    if name == NONE and colon:
        raise ConvdiffError(f"found {text!r}, expected none; it has no paths", subject=option)
    environment = _find_environment(option, name)
    if not colon:
        return RequestedBackend(text, environment)
    try:
        return requested_path(environment, find_path(environment.backend, path))
    except ConvdiffError as error:
        raise ConvdiffError(str(error), subject=option) from None


def _find_environment(option: str, name: str) -> Environment:
    from convdiff.backends.environments import all_environments, find_environment

    try:
        return find_environment(name)
    except ConvdiffError:
        names = [environment.name for environment in all_environments()]
        framework = name.split("@")[0]
        hint = None
        if name in ALIASES:
            hint = f"did you mean {ALIASES[name]}?"
        elif framework != name and framework in names:
            hint = f"to register an environment of yours: convdiff backends add {name} PYTHON"
        if hint is None:
            choices = [*names, NONE] if option == "--backend" else names
            raise one_of(option, name, choices) from None
        raise ConvdiffError(
            f"found {name!r}, expected one of {', '.join(sorted(names))}; {hint}", subject=option
        ) from None


def _parse_call(text: str) -> tuple[Environment, str]:
    match = re.fullmatch(r"([\w@.+-]+)=\s*(.*\S)\s*", text, re.DOTALL)
    if match is None:
        raise ConvdiffError(
            f"found {text!r}, expected NAME=CODE: the name of a backend, then an expression or "
            "path.py:function",
            subject="--call",
        )
    return _find_environment("--call", match[1]), match[2]


def _not_installed(absent: list[Environment]) -> list[str]:
    """A note on the backends that could be installed on this machine."""
    from convdiff.backends import capacity, find_backend

    names = [
        environment.name
        for environment in absent
        if capacity.has_accelerator() or not find_backend(environment.backend).gpu
    ]
    if len(names) > 1:
        return [f"not installed: {', '.join(names)} (convdiff backends install NAME)"]
    return [f"{name} is not installed: convdiff backends install {name}" for name in names]
