"""Padding as a rule that holds in other sizes too: the same numbers everywhere, or a word whose
numbers follow the sizes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from convdiff.probe.comparison import After, reproduces, spec_of
from convdiff.probe.description import Description
from convdiff.probe.trials import Kind, Trial
from convdiff.spec.conv_spec import PAD_MODES
from convdiff.spec.settings import Settings

WORDS = ("same", "same_lower", "half", "full", "causal", "valid")
# What a rule may be held to, the widest first.
TIERS: tuple[tuple[Kind, ...], ...] = (
    ("data", "sizes", "kernel"),
    ("data", "sizes"),
    ("data", "kernel"),
    ("data",),
)


@dataclass(frozen=True)
class RuleMatch:
    """Settings that reproduce every one of `trials`, the simplest first."""

    settings: tuple[Settings, ...]
    trials: tuple[Trial, ...]


def hold(description: Description, trials: list[Trial], after: After) -> RuleMatch | None:
    """The rules that reproduce the most kinds of trials; None where not even calls of the very
    shapes are reproduced.
    """
    mode = next(mode for mode in PAD_MODES if mode in description.modes)
    base = replace(description.settings, pad_mode=mode if mode != "constant" else None)
    for kinds in TIERS:
        asked = [trial for trial in trials if trial.kind in kinds]
        found = [
            settings
            for settings in _rules(base, description, asked)
            if reproduces(settings, asked, after)
        ]
        if found and len(asked) > 1:
            return RuleMatch(tuple(sorted(found, key=_odd)), tuple(asked))
    return None


def _rules(base: Settings, description: Description, trials: list[Trial]) -> Iterator[Settings]:
    """Numbers that give every trial's output size, then words that do."""
    for choice in itertools.product(*description.choices):
        extra = tuple(more for _, _, more in choice)
        padding = tuple((lo, hi) for lo, hi, _ in choice)
        settings = replace(base, padding=padding, output_padding=extra if any(extra) else None)
        if _fits(settings, trials):
            yield settings
    for word in WORDS:
        settings = replace(base, padding=word)
        if (word in ("same", "valid") or not base.transposed) and _fits(settings, trials):
            yield settings


def _fits(settings: Settings, trials: list[Trial]) -> bool:
    specs = [spec_of(settings, trial) for trial in trials]
    return all(
        spec is not None and spec.shape("output") == trial.output.shape
        for spec, trial in zip(specs, trials, strict=True)
    )


def _odd(settings: Settings) -> tuple[bool, int]:
    """Numbers before words; among numbers those alike on both sides."""
    if isinstance(settings.padding, str):
        return True, WORDS.index(settings.padding)
    assert isinstance(settings.padding, tuple)
    return False, sum(abs(hi - lo) for lo, hi in settings.padding)
