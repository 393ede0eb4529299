"""Whether the convolution that settings express gives the outputs that the function gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.numerics.reference import compute_reference
from convdiff.probe.trials import Trial
from convdiff.spec.canonical import user_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.layout import Array
from convdiff.spec.settings import Settings

UNIT_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}
# Outputs of integers differ by 1 at least where two convolutions differ.
MAX_INTEGER_DEVIATION = 0.25


@dataclass(frozen=True)
class Epilogue:
    """What the function does to the output of the convolution.

    In this order: multiplies by `factor`; adds the bias it is given if `adds_bias`; adds `added`, a
    number or one per output channel; multiplies negative values by `negative_slope`.
    """

    factor: float = 1.0
    adds_bias: bool = False
    added: float | Array = 0.0
    negative_slope: float = 1.0


def trial_spec(settings: Settings, trial: Trial) -> ConvSpec | None:
    """The spec of the settings on a trial's arrays; None where they do not fit."""
    try:
        spec, _ = read_spec(
            trial.input.shape, trial.kernel.shape, settings, bias=False, dtype="float32"
        )
    except ConvdiffError:
        return None
    return spec


def expected_output(settings: Settings, trial: Trial, epilogue: Epilogue) -> Array | None:
    """The output that the settings give on a trial's arrays, in the user's layout.

    None where they give no output of the trial's shape.
    """
    spec = trial_spec(settings, trial)
    if spec is None or spec.shape("output") != trial.output.shape:
        return None
    output = epilogue.factor * compute_reference(spec, trial.input, trial.kernel).output
    for addend in (trial.bias if epilogue.adds_bias else None, epilogue.added):
        if addend is not None:
            per_channel: Any = np.asarray(addend, np.float64)
            if per_channel.size not in (1, output.shape[1]):
                return None
            output = output + per_channel.reshape((1, -1) + (1,) * spec.rank)
    if epilogue.negative_slope != 1:
        output = np.where(output < 0, epilogue.negative_slope * output, output)
    return user_output(spec, output)


def max_deviation(settings: Settings, trial: Trial, epilogue: Epilogue) -> float | None:
    """The largest difference of a trial's output from the expected one.

    None where it is more than rounding can cause on integers, or there is no expected output.
    """
    expected = expected_output(settings, trial, epilogue)
    if expected is None:
        return None
    difference = np.abs(expected - trial.output)
    unit = UNIT_ROUNDOFF.get(trial.stored, UNIT_ROUNDOFF["float32"])
    allowed = MAX_INTEGER_DEVIATION * min(1.0, abs(epilogue.factor)) + 4 * unit * np.abs(expected)
    return float(difference.max()) if bool(np.all(difference <= allowed)) else None


def reproduces(settings: Settings, trials: list[Trial], epilogue: Epilogue) -> bool:
    """Whether the settings give every element of every trial's output."""
    return all(max_deviation(settings, trial, epilogue) is not None for trial in trials)


def fitted_negative_slope(settings: Settings, trial: Trial, epilogue: Epilogue) -> float | None:
    """The one number by which the function multiplied negative values; None if there is none."""
    expected = expected_output(settings, trial, epilogue)
    if expected is None or not np.any(expected < 0):
        return None
    ratios = trial.output[expected < 0] / expected[expected < 0]
    slope = float(np.median(ratios))
    return slope if abs(slope) <= 1.001 and float(np.abs(ratios - slope).max()) < 1e-3 else None
