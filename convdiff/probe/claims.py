"""What was said of the function, held against what it does: each option alone on top of what was
found.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from convdiff.errors import ConvdiffError
from convdiff.probe.comparison import reproduces
from convdiff.probe.outcome import Difference, Identified
from convdiff.probe.words import option_value
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings

_LAYOUTS = ("input_layout", "kernel_layout", "output_layout")


def check(
    found: Identified, said: Settings
) -> tuple[Identified, tuple[str, ...], tuple[Difference, ...]]:
    """The finding in the words that agree with most of what was said, the options that agree, and
    those that do not.
    """
    given, differences = _expanded(found, said)
    if not given:
        return found, (), tuple(differences)
    judged = [(saying, _disagreeing(found, saying, given)) for saying in found.sayings]
    best, wrong = min(judged, key=lambda pair: len(pair[1]))
    chosen = replace(found, sayings=(best, *(one for one in found.sayings if one != best)))
    chosen = replace(chosen, spec=_respelled(chosen))
    for name in wrong:
        differences.append(
            Difference(
                _option(name, given[name]), option_value(name, given[name]), _instead(chosen, name)
            )
        )
    agreeing = [
        f"{_option(name, given[name])} {option_value(name, given[name])}".strip()
        for name in given
        if name not in wrong
    ]
    return chosen, tuple(agreeing), tuple(differences)


def _expanded(found: Identified, said: Settings) -> tuple[dict[str, Any], list[Difference]]:
    """What was given, by name; --as as the layouts and the flip that it stands for."""
    given: dict[str, Any] = {}
    for field in fields(Settings):
        value = getattr(said, field.name)
        if value is not None and value is not False and field.name not in ("as_", "dtype"):
            given[field.name] = value.upper() if field.name in _LAYOUTS else value
        elif field.name == "flip" and value is False:
            given["flip"] = False
    if said.as_ is None:
        return given, []
    trial = found.trials[0]
    meant = replace(said, padding=None, output_size=None, output_padding=None, dtype=None)
    try:
        spec, _ = read_spec(
            trial.input.shape, trial.kernel.shape, meant, bias=False, dtype="float32"
        )
    except ConvdiffError:
        what = f"input {found.spec.input_layout}, kernel {found.spec.kernel_layout}"
        return given, [Difference("--as", said.as_, what)]
    for name in (*_LAYOUTS, "flip"):
        if given.get(name) is None:
            given[name] = getattr(spec, name)
    return given, []


def _disagreeing(found: Identified, saying: Settings, given: dict[str, Any]) -> list[str]:
    if _holds(found, _with(saying, given)):
        return []
    alone = [name for name in given if not _holds(found, _with(saying, {name: given[name]}))]
    return alone or list(given)


def _with(saying: Settings, given: dict[str, Any]) -> Settings | None:
    changed = dict(given)
    if given.get("depthwise"):
        changed.setdefault("groups", None)
    if given.get("transposed") and not saying.transposed:
        return None
    if "output_size" in given:
        changed |= {"output_padding": None}
    try:
        return replace(saying, **changed)
    except ConvdiffError:
        return None


def _holds(found: Identified, settings: Settings | None) -> bool:
    if settings is None:
        return False
    trials = list(found.trials)
    if settings.output_size is not None:
        trials = [trial for trial in trials if trial.kind == "data"]
    try:
        return reproduces(settings, trials, found.after)
    except ConvdiffError:
        return False


def _respelled(found: Identified) -> ConvSpec:
    trial = found.trials[0]
    spec, _ = read_spec(
        trial.input.shape, trial.kernel.shape, found.settings, bias=False, dtype="float32"
    )
    return replace(spec, bias=found.spec.bias)


def _option(name: str, value: object) -> str:
    if name == "flip" and value is False:
        return "--no-flip"
    return "--" + name.replace("_", "-")


def _instead(found: Identified, name: str) -> str:
    """What the function does where `name` was said otherwise."""
    if name == "transposed":
        return "direct"
    if name == "depthwise":
        return f"{found.spec.groups} groups for {found.spec.in_channels} channels"
    if name == "output_size":
        return (
            ",".join(map(str, found.spec.output_size))
            + " for an input of "
            + ",".join(map(str, found.spec.input_size))
        )
    value = getattr(found.settings, name)
    if name == "padding" and isinstance(value, str):
        return f"{value}, {option_value(name, found.spec.padding)} here"
    return (
        option_value(name, getattr(found.spec, name) if value is None else value) or "not flipped"
    )
