"""Padding that holds in other sizes too: the same numbers, or a word that follows the size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from convdiff.probe.comparison import Epilogue, reproduces, trial_spec
from convdiff.probe.partial_settings import PartialSettings
from convdiff.probe.trials import Trial, TrialKind
from convdiff.spec.pad_mode import pad_mode_text
from convdiff.spec.settings import Settings

# The padding words to try, the most likely first.
PADDING_WORDS = ("same", "same_lower", "half", "full", "causal", "valid")
# The kinds of trials that a rule may have to reproduce, from the most to the fewest.
SCOPES: tuple[tuple[TrialKind, ...], ...] = (
    ("data", "sizes", "kernel"),
    ("data", "sizes"),
    ("data", "kernel"),
    ("data",),
)


@dataclass(frozen=True)
class CompleteSettings:
    """Settings, padding included, that reproduce every one of `trials`.

    `equivalents` are all that do, the simplest first.
    """

    equivalents: tuple[Settings, ...]
    trials: tuple[Trial, ...]


def complete_settings(
    partial: PartialSettings, trials: list[Trial], epilogue: Epilogue
) -> CompleteSettings | None:
    """The settings with each padding rule that reproduces the most kinds of trials.

    None where not even trials of the first sizes are reproduced.
    """
    # The first of PAD_MODES, whose words are in alphabetical order.
    pad_mode = min(partial.pad_modes, key=pad_mode_text)
    unpadded = replace(partial.settings, pad_mode=pad_mode if pad_mode != "constant" else None)
    for kinds in SCOPES:
        in_scope = [trial for trial in trials if trial.kind in kinds]
        equivalents = [
            settings
            for settings in _with_each_rule(unpadded, partial, in_scope)
            if reproduces(settings, in_scope, epilogue)
        ]
        if equivalents and len(in_scope) > 1:
            return CompleteSettings(tuple(sorted(equivalents, key=_complexity)), tuple(in_scope))
    return None


def _with_each_rule(
    unpadded: Settings, partial: PartialSettings, trials: list[Trial]
) -> Iterator[Settings]:
    """The settings with each padding that gives every trial's output shape: numbers, then words."""
    for choice in itertools.product(*partial.choices):
        settings = with_padding(unpadded, choice)
        if _gives_output_shapes(settings, trials):
            yield settings
    words = ("same", "valid") if unpadded.transposed else PADDING_WORDS
    for word in words:
        settings = replace(unpadded, padding=word)
        if _gives_output_shapes(settings, trials):
            yield settings


def with_padding(settings: Settings, choice: tuple[tuple[int, int, int], ...]) -> Settings:
    """The settings with a (lo, hi, output padding) per axis."""
    output_padding = tuple(extra for _, _, extra in choice)
    return replace(
        settings,
        padding=tuple((lo, hi) for lo, hi, _ in choice),
        output_padding=output_padding if any(output_padding) else None,
    )


def _gives_output_shapes(settings: Settings, trials: list[Trial]) -> bool:
    specs = [trial_spec(settings, trial) for trial in trials]
    return all(
        spec is not None and spec.shape("output") == trial.output.shape
        for spec, trial in zip(specs, trials, strict=True)
    )


def _complexity(settings: Settings) -> tuple[bool, int]:
    """A sort key: numbers before words, and of numbers the most symmetric first."""
    if isinstance(settings.padding, str):
        return True, PADDING_WORDS.index(settings.padding)
    assert isinstance(settings.padding, tuple)
    return False, sum(abs(hi - lo) for lo, hi in settings.padding)
