"""Padding numbers and words that reproduce trials of several sizes."""

from __future__ import annotations

from typing import Any

import pytest

from convdiff.probe.comparison import Epilogue
from convdiff.probe.padding_rules import complete_settings
from convdiff.probe.partial_settings import PartialSettings
from convdiff.probe.trials import Trial
from convdiff.spec.settings import Settings
from tests.probe.trial_support import reference_trial

LAYOUTS: dict[str, Any] = {"input_layout": "NCW", "kernel_layout": "OIW"}


def trials(padding: object, stride: int) -> list[Trial]:
    options = {**LAYOUTS, "padding": padding, "stride": stride}
    return [
        reference_trial((2, 3, 9), (4, 3, 3), **options),
        reference_trial((2, 3, 9), (4, 3, 3), **options),
        reference_trial((3, 3, 10), (4, 3, 3), kind="sizes", **options),
        reference_trial((2, 3, 12), (4, 3, 4), kind="kernel", **options),
    ]


@pytest.mark.parametrize(
    ("padding", "stride", "choice", "expected"),
    [
        ("same", 2, (1, 1, 0), ["same"]),
        (1, 1, (1, 1, 0), [((1, 1),)]),
        ("half", 1, (1, 1, 0), ["half"]),
        ("valid", 1, (0, 0, 0), [((0, 0),), "valid"]),
    ],
)
def test_the_rules_that_hold_in_every_size(
    padding: object, stride: int, choice: tuple[int, int, int], expected: list[object]
) -> None:
    partial = PartialSettings(
        Settings(**LAYOUTS, stride=stride), ((choice,),), frozenset({"constant"})
    )
    complete = complete_settings(partial, trials(padding, stride), Epilogue())
    assert complete is not None
    assert [settings.padding for settings in complete.equivalents] == expected
    assert len(complete.trials) == 4


def test_a_rule_may_hold_in_the_first_size_only() -> None:
    mixed = [
        *trials(1, 1)[:2],
        reference_trial((3, 3, 10), (4, 3, 3), kind="sizes", **LAYOUTS, padding=2),
    ]
    partial = PartialSettings(Settings(**LAYOUTS), (((1, 1, 0),),), frozenset({"constant"}))
    complete = complete_settings(partial, mixed, Epilogue())
    assert complete is not None
    assert [trial.kind for trial in complete.trials] == ["data", "data"]


def test_nothing_holds_where_the_kernel_is_flipped() -> None:
    partial = PartialSettings(
        Settings(**LAYOUTS, flip=True), (((1, 1, 0),),), frozenset({"constant"})
    )
    assert complete_settings(partial, trials(1, 1), Epilogue()) is None
