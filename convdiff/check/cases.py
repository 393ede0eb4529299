"""Manifest entries as check cases: the pipeline's request for each, or what is wrong with it."""

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
    from convdiff.check.judge_factory import JudgeFactory

# Case names that an error message about an unknown one chooses its suggestion from.
MAX_SUGGESTED_NAMES = 200


@dataclass(frozen=True)
class CheckCase:
    """One case of a check: its manifest entry with the request to run, or with the trouble.

    `request` and `chosen` (its backends) are None where `trouble` says what is wrong with the
    entry.  `judge` makes the judge of the outputs where the usual one is not enough.  `input_crop`
    and `output_crop` are cut off the input and the saved outputs before they are compared: a
    (lo, hi) pair for each spatial axis, empty for none.
    """

    entry: Entry
    request: Request | None = None
    chosen: SelectedBackends | None = None
    trouble: str | None = None
    judge: JudgeFactory | None = None
    input_crop: tuple[Pair, ...] = ()
    output_crop: tuple[Pair, ...] = ()


def load_manifests(request: CheckRequest) -> list[Manifest]:
    """Every manifest of the request.  ConvdiffError for one that cannot be read at all."""
    return [load(Path(name)) for name in request.manifests]


def check_cases(manifests: Sequence[Manifest], request: CheckRequest) -> list[CheckCase]:
    """The cases that the patterns select, in the order of the manifests.

    ConvdiffError for a pattern that selects none and for an unknown backend on the command line.
    """
    if not request.scheduler:
        requested_backends(request.backends, request.require)
    entries = [entry for manifest in manifests for entry in manifest.entries]
    positions = matching_positions([entry.name for entry in entries], request.patterns)
    selections: dict[tuple[Any, ...], SelectedBackends] = {}
    return [_check_case(entries[at], request, selections) for at in positions]


def matching_positions(names: Sequence[str], patterns: Sequence[str]) -> list[int]:
    """The positions of the names that any of the --case patterns matches; all without patterns.

    ConvdiffError for a pattern that matches none.
    """
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            raise one_of("--case", pattern, names[:MAX_SUGGESTED_NAMES])
    return [
        at
        for at, name in enumerate(names)
        if not patterns or any(_matches(name, pattern) for pattern in patterns)
    ]


def case_settings(keys: Mapping[str, Any], **changes: Any) -> Settings:
    """The settings among a case's keys, with `changes` in place of its own."""
    options = {("as_" if key == "as" else key): value for key, value in keys.items()}
    own = {name: options[name] for name in Settings.names() if name in options}
    return Settings(**{**own, **changes})


def _matches(name: str, pattern: str) -> bool:
    # A name with brackets in it ("layers[0].conv") is a pattern that does not match itself.
    return name == pattern or fnmatchcase(name, pattern)


def _check_case(
    entry: Entry, request: CheckRequest, selections: dict[tuple[Any, ...], SelectedBackends]
) -> CheckCase:
    """The case of one entry; `selections` keeps the backends chosen for equal requests."""
    if entry.problem:
        return CheckCase(entry, trouble=entry.problem)
    try:
        _validate_allow(entry.allow)
        case_request = _case_request(entry.keys, request)
        if request.scheduler:
            # Each machine of the cluster chooses among its own backends.
            return CheckCase(entry, case_request)
        key = case_request.backends, case_request.require, case_request.calls
        if key not in selections:
            selections[key] = select_backends(case_request)
        return CheckCase(entry, case_request, selections[key])
    except ConvdiffError as error:
        return CheckCase(entry, trouble=entry.located(str(error)))


def _case_request(keys: Mapping[str, Any], request: CheckRequest) -> Request:
    """The pipeline's request for a case; the command line's options win over the case's keys."""
    settings = case_settings(keys)
    fail_on = request.fail_on or keys.get("fail_on", "different")
    if fail_on not in FAIL_ON:
        raise one_of("--fail-on", fail_on, FAIL_ON)
    paths = keys.get("paths", "default")
    if paths not in PATHS:
        raise one_of("paths", paths, PATHS)
    listed = keys.get("backends")
    # An empty list in a manifest means none; a missing key means every backend that is installed.
    backends = request.backends or ((NONE,) if listed == [] else _names(listed))
    return Request(
        input=keys["input"],
        kernel=keys["kernel"],
        settings=settings,
        bias=keys.get("bias"),
        saved=tuple(option_values(keys.get("saved", []))),
        calls=tuple(option_values(keys.get("call", []))),
        backends=backends,
        require=tuple(dict.fromkeys([*_names(keys.get("require", [])), *request.require])),
        align=not keys.get("no_align", False),
        paths=paths,
        repeat=keys.get("repeat", 1),
        timeout=float(request.timeout or keys.get("timeout", 60.0)),
        fail_on=fail_on,
        pictures=request.pictures,
    )


def _names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _validate_allow(codes: Sequence[str]) -> None:
    if not codes:
        return
    # Imported here for start-up time: this loads the diagnosis, which only cases with `allow` need.
    from convdiff.diagnose.hypotheses.registry import by_code

    known = by_code()
    for code in codes:
        if code not in known:
            raise one_of("allow", code, known)
