"""Manifests to the pipeline's requests, one a case; a case that makes none carries the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convdiff.check.request import CheckRequest
from convdiff.errors import ConvdiffError, one_of
from convdiff.exit_codes import FAIL_ON
from convdiff.manifest import Entry, Manifest, load
from convdiff.manifest.keys import option_values
from convdiff.pipeline.request import PATHS, Request
from convdiff.pipeline.select_backends import (
    NONE,
    SelectedBackends,
    requested_backends,
    select_backends,
)
from convdiff.spec.padding import Pair
from convdiff.spec.settings import Settings

if TYPE_CHECKING:
    from convdiff.port.own_weights import OwnWeights


@dataclass(frozen=True)
class CheckCase:
    """A case that is to be checked: what to run, or the trouble with it.

    `own` are the weights of a port's layer, where they are others; `crop` and `cut` are what its
    input and its output have more than is asked about.
    """

    entry: Entry
    request: Request | None = None
    chosen: SelectedBackends | None = None
    trouble: str | None = None
    own: OwnWeights | None = None
    crop: tuple[Pair, ...] = ()
    cut: tuple[Pair, ...] = ()


def picks(name: str, pattern: str) -> bool:
    """Whether a pattern of --case picks this name: the name itself does, though it holds brackets."""
    return name == pattern or fnmatchcase(name, pattern)


def load_all(request: CheckRequest) -> list[Manifest]:
    """Every manifest.  ConvdiffError for one that cannot be read at all."""
    return [load(Path(name)) for name in request.manifests]


def entries(manifests: Sequence[Manifest], request: CheckRequest) -> list[CheckCase]:
    """The cases that the patterns pick.

    ConvdiffError for a pattern that picks none, for backends asked for that are none, and for codes
    that [defaults] cannot allow.
    """
    if not request.scheduler:
        requested_backends(request.backends, request.require)
    found = [entry for manifest in manifests for entry in manifest.entries]
    for pattern in request.patterns:
        if not any(picks(entry.name, pattern) for entry in found):
            raise one_of("--case", pattern, [entry.name for entry in found[:200]])
    picked = [
        entry
        for entry in found
        if not request.patterns or any(picks(entry.name, p) for p in request.patterns)
    ]
    known: dict[tuple[Any, ...], SelectedBackends] = {}
    return [_asked(entry, request, known) for entry in picked]


def _asked(
    entry: Entry, request: CheckRequest, known: dict[tuple[Any, ...], SelectedBackends]
) -> CheckCase:
    if entry.problem:
        return CheckCase(entry, trouble=entry.problem)
    try:
        _check_allow(entry.allow)
        made = _request(entry.keys, request)
        if request.scheduler:
            # What there is to run on, the machines of the cluster know.
            return CheckCase(entry, made)
        key = made.backends, made.require, made.calls
        if key not in known:
            known[key] = select_backends(made)
        return CheckCase(entry, made, known[key])
    except ConvdiffError as error:
        return CheckCase(entry, trouble=entry.located(str(error)))


def _request(keys: Mapping[str, Any], asked: CheckRequest) -> Request:
    options, settings = keys, Settings(**Settings.fields_in(keys))
    fail_on = asked.fail_on or options.get("fail_on", "different")
    if fail_on not in FAIL_ON:
        raise one_of("--fail-on", fail_on, FAIL_ON)
    paths = options.get("paths", "default")
    if paths not in PATHS:
        raise one_of("paths", paths, PATHS)
    named_here = options.get("backends")
    # In a manifest an empty list is none at all; unsaid is all that there are.
    backends = asked.backends or ((NONE,) if named_here == [] else _names(named_here))
    return Request(
        input=options["input"],
        kernel=options["kernel"],
        settings=settings,
        bias=options.get("bias"),
        saved=tuple(option_values(options.get("saved", []))),
        calls=tuple(option_values(options.get("call", []))),
        backends=backends,
        require=tuple(dict.fromkeys([*_names(options.get("require", [])), *asked.require])),
        align=not options.get("no_align", False),
        paths=paths,
        repeat=options.get("repeat", 1),
        timeout=float(asked.timeout or options.get("timeout", 60.0)),
        fail_on=fail_on,
        pictures=asked.pictures,
    )


def _names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _check_allow(codes: Sequence[str]) -> None:
    if not codes:
        return
    # Not at the top of the module: it loads the diagnosis, which the workers should not wait for.
    from convdiff.diagnose.hypotheses.registry import by_code

    known = by_code()
    for code in codes:
        if code not in known:
            raise one_of("allow", code, known)
