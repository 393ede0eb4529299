"""A function whose padding holds other numbers than zero: what it holds, one or one per channel.

What such a padding adds does not depend on the input, so it is all that the function gives for an
input of zeros, besides a bias. Taken off, a convolution with padding of zeros is left, which is
identified as any other; the numbers are then read off what was taken.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convdiff.probe.comparison import Epilogue, expected_output, max_deviation, trial_spec
from convdiff.probe.errors import NotUnderstood
from convdiff.probe.function_caller import FunctionCaller
from convdiff.probe.outcome import Identified
from convdiff.probe.shape_guesses import ShapeGuess
from convdiff.probe.trials import Trial
from convdiff.probe.zero_padded_caller import ZeroPaddedCaller
from convdiff.spec.layout import Array
from convdiff.spec.pad_value import PadValue, parse_pad_value
from convdiff.spec.settings import Settings

# Decimals that the numbers are rounded to: the fewest that agree.
MAX_DECIMALS = 7
# How far from the outputs they may be, as a share of the largest: rounding in float32 is far less.
TOLERANCE = 1e-5


def is_padded_with_numbers(caller: FunctionCaller, guess: ShapeGuess, bias: Array | None) -> bool:
    """Whether an input of zeros gives what depends on the kernel."""
    zeros = np.zeros(guess.input_shape)
    of_ones = caller.call(zeros, np.ones(guess.kernel_shape), bias).output
    of_zeros = caller.call(zeros, np.zeros(guess.kernel_shape), bias).output
    if of_ones is None or of_zeros is None or not np.isfinite(of_ones).all():
        return False
    return not np.array_equal(of_ones, of_zeros)


def with_pad_value(found: Identified, caller: ZeroPaddedCaller) -> Identified:
    """What was found of a function as if it padded with zeros, with the numbers that it pads with.

    Raises NotUnderstood where no numbers give every output.
    """
    trials = tuple(
        replace(trial, output=caller.own_output(trial.input, trial.kernel))
        for trial in found.trials
    )
    direct = [settings for settings in found.equivalents if not settings.transposed]
    if not direct or "constant" not in found.pad_modes:
        raise NotUnderstood("an input of zeros gives what depends on the kernel")
    pad_value = _fitted(direct[0], trials[0], found.epilogue)
    equivalents = tuple(replace(settings, pad_value=pad_value) for settings in direct)
    deviations = [max_deviation(equivalents[0], trial, found.epilogue) for trial in trials]
    spec = trial_spec(equivalents[0], trials[0])
    if spec is not None and None not in deviations:
        return replace(
            found,
            spec=replace(spec, bias=found.spec.bias),
            equivalents=equivalents,
            trials=trials,
            pad_modes=frozenset({"constant"}),
            max_deviation=max(deviation or 0.0 for deviation in deviations),
        )
    raise NotUnderstood("its padding holds other numbers than one for each input channel")


def _fitted(settings: Settings, trial: Trial, epilogue: Epilogue) -> PadValue:
    """The number that the trial shows, else the number for each input channel."""
    spec, with_zeros = trial_spec(settings, trial), expected_output(settings, trial, epilogue)
    if spec is None or with_zeros is None:
        raise NotUnderstood("its padding depends on the arrays")
    columns = []
    for channel in range(spec.in_channels):
        alone = [float(channel == other) for other in range(spec.in_channels)]
        padded = expected_output(replace(settings, pad_value=alone), trial, epilogue)
        assert padded is not None
        columns.append((padded - with_zeros).ravel())
    per_channel, rest = np.stack(columns, axis=1), (trial.output - with_zeros).ravel()
    for design in (per_channel.sum(axis=1, keepdims=True), per_channel):
        numbers = _solved(design, rest)
        if numbers is not None:
            return parse_pad_value(numbers)
    raise NotUnderstood("its padding holds other numbers than one for each input channel")


def _solved(design: Array, rest: Array) -> Array | None:
    """The numbers, to the fewest decimals, of which `design` makes the `rest`; None if none do."""
    numbers, _, rank, _ = np.linalg.lstsq(design, rest, rcond=None)
    if rank < design.shape[1]:
        return None
    tolerance = TOLERANCE * max(1.0, float(np.abs(rest).max()))
    candidates = (np.round(numbers, decimals) for decimals in range(MAX_DECIMALS + 1))
    agreeing = (each for each in candidates if np.abs(design @ each - rest).max() <= tolerance)
    return next(agreeing, None)
