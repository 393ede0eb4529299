"""The options that were given, checked against the convolution that was found."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from convdiff.errors import ConvdiffError
from convdiff.probe.comparison import reproduces, trial_spec
from convdiff.probe.outcome import Identified, OptionMismatch
from convdiff.probe.outcome_text import option_value
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.pad_value import pad_value_text
from convdiff.spec.settings import Settings

LAYOUTS = ("input_layout", "kernel_layout", "output_layout")


def check_given_options(
    found: Identified, given: Settings
) -> tuple[Identified, tuple[str, ...], tuple[OptionMismatch, ...]]:
    """What was found, the given options that agree with it, and those that do not.

    Several settings may express the convolution; what was found is returned with those first that
    agree with the most options.
    """
    options, mismatches = _options(found, given)
    if not options:
        return found, (), tuple(mismatches)
    disagreeing = [
        (settings, _disagreeing(found, settings, options)) for settings in found.equivalents
    ]
    best, wrong = min(disagreeing, key=lambda pair: len(pair[1]))
    others = (settings for settings in found.equivalents if settings != best)
    found = replace(found, equivalents=(best, *others))
    found = replace(found, spec=_spec(found))
    mismatches += [
        OptionMismatch(
            _option(name, options[name]), option_value(name, options[name]), _instead(found, name)
        )
        for name in wrong
    ]
    agreeing = [
        f"{_option(name, value)} {option_value(name, value)}".strip()
        for name, value in options.items()
        if name not in wrong
    ]
    return found, tuple(agreeing), tuple(mismatches)


def _options(found: Identified, given: Settings) -> tuple[dict[str, Any], list[OptionMismatch]]:
    """The given options by name; --as becomes the layouts and the flip that it implies.

    A framework whose layouts do not fit the arrays is a mismatch.
    """
    options: dict[str, Any] = {}
    for field in fields(Settings):
        value = getattr(given, field.name)
        if value is not None and value is not False and field.name not in ("as_", "dtype"):
            options[field.name] = value.upper() if field.name in LAYOUTS else value
        elif field.name == "flip" and value is False:
            options["flip"] = False
    if given.as_ is None:
        return options, []
    spec = trial_spec(
        replace(given, padding=None, output_size=None, output_padding=None, dtype=None),
        found.trials[0],
    )
    if spec is None:
        layouts = f"input {found.spec.input_layout}, kernel {found.spec.kernel_layout}"
        return options, [OptionMismatch("--as", given.as_, layouts)]
    for name in (*LAYOUTS, "flip"):
        if options.get(name) is None:
            options[name] = getattr(spec, name)
    return options, []


def _disagreeing(found: Identified, settings: Settings, options: dict[str, Any]) -> list[str]:
    """The options that, alone in place of those in `settings`, do not reproduce the trials.

    All of them if each alone does, but not all together.
    """
    if _agrees(found, _with_options(settings, options)):
        return []
    alone = [
        name
        for name, value in options.items()
        if not _agrees(found, _with_options(settings, {name: value}))
    ]
    return alone or list(options)


def _with_options(settings: Settings, options: dict[str, Any]) -> Settings | None:
    """The settings with the options in place of theirs; None where that makes no sense."""
    changed = dict(options)
    if options.get("depthwise"):
        changed.setdefault("groups", None)
    if options.get("transposed") and not settings.transposed:
        return None
    if "output_size" in options:
        changed |= {"output_padding": None}
    try:
        return replace(settings, **changed)
    except ConvdiffError:
        return None


def _agrees(found: Identified, settings: Settings | None) -> bool:
    if settings is None:
        return False
    trials = list(found.trials)
    if settings.output_size is not None:
        # It was given for the first sizes.
        trials = [trial for trial in trials if trial.kind == "data"]
    try:
        return reproduces(settings, trials, found.epilogue)
    except ConvdiffError:
        return False


def _spec(found: Identified) -> ConvSpec:
    """The spec as the settings that now come first express it."""
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
    """What the function does in place of an option that does not agree."""
    spec = found.spec
    if name == "transposed":
        return "direct"
    if name == "depthwise":
        return f"{spec.groups} groups for {spec.in_channels} channels"
    if name == "output_size":
        output_size, input_size = (
            ",".join(map(str, size)) for size in (spec.output_size, spec.input_size)
        )
        return f"{output_size} for an input of {input_size}"
    if name == "pad_value":
        return pad_value_text(spec.pad_value)
    value = getattr(found.settings, name)
    if name == "padding" and isinstance(value, str):
        return f"{value}, {option_value(name, spec.padding)} here"
    return option_value(name, getattr(spec, name) if value is None else value) or "not flipped"
