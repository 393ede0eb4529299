"""Outputs that settings and an epilogue give, held against those of a trial."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convdiff.probe.comparison import (
    Epilogue,
    expected_output,
    fitted_negative_slope,
    max_deviation,
    reproduces,
)
from convdiff.spec.settings import Settings
from tests.probe.trial_support import reference_trial

SHAPES = (2, 3, 7, 6), (4, 3, 3, 2)
PLAIN = Epilogue()


def test_the_right_settings_reproduce_a_trial_exactly() -> None:
    trial = reference_trial(*SHAPES, padding=1, stride=2)
    assert max_deviation(Settings(padding=1, stride=2), trial, PLAIN) == 0
    assert reproduces(Settings(padding=1, stride=2), [trial, trial], PLAIN)


@pytest.mark.parametrize(
    "settings",
    [Settings(padding=1, flip=True), Settings(padding=2), Settings(groups=5, padding=1)],
    ids=["another value", "another shape", "no convolution"],
)
def test_other_settings_do_not(settings: Settings) -> None:
    trial = reference_trial(*SHAPES, padding=1)
    assert max_deviation(settings, trial, PLAIN) is None


def test_rounding_is_allowed_and_a_difference_of_1_is_not() -> None:
    trial = reference_trial(*SHAPES)
    rounded = replace(trial, output=trial.output * (1 + 2.0**-24))
    assert max_deviation(Settings(), rounded, PLAIN) == pytest.approx(0, abs=1e-4)
    off = trial.output.copy()
    off[0, 0, 0, 0] += 1
    assert max_deviation(Settings(), replace(trial, output=off), PLAIN) is None


def test_the_epilogue_scales_then_adds_then_multiplies_negative_values() -> None:
    bias = np.array([1.0, 2.0, 3.0, 4.0])
    trial = reference_trial(*SHAPES, bias=bias)
    linear = 0.5 * trial.output + bias[:, None, None] + 10
    epilogue = Epilogue(factor=0.5, adds_bias=True, added=10.0, negative_slope=0.1)
    expected = expected_output(Settings(), trial, epilogue)
    assert expected is not None
    assert np.allclose(expected, np.where(linear < 0, 0.1 * linear, linear))


def test_a_negative_slope_is_fitted() -> None:
    trial = reference_trial(*SHAPES)
    leaky = np.where(trial.output < 0, 0.125 * trial.output, trial.output)
    slope = fitted_negative_slope(Settings(), replace(trial, output=leaky), PLAIN)
    assert slope == pytest.approx(0.125)
    assert fitted_negative_slope(Settings(), replace(trial, output=trial.output**2), PLAIN) is None
