"""From a function to the convolution it computes: guess after guess, until one is understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from convdiff.probe.axis_geometry import MeasuredAxis
from convdiff.probe.axis_roles import AxisRoles
from convdiff.probe.comparison import (
    Epilogue,
    expected_output,
    fitted_negative_slope,
    max_deviation,
    reproduces,
    trial_spec,
)
from convdiff.probe.errors import NotUnderstood, NotUnderstoodInAnyShape
from convdiff.probe.function_caller import FunctionCaller
from convdiff.probe.function_properties import depends_on_operands
from convdiff.probe.one_hot_calls import OneHotCalls
from convdiff.probe.outcome import Identified
from convdiff.probe.pad_values import is_padded_with_numbers, with_pad_value
from convdiff.probe.padding_rules import CompleteSettings, complete_settings, with_padding
from convdiff.probe.partial_settings import PartialSettings, is_usual, partial_settings
from convdiff.probe.precision import narrow_type
from convdiff.probe.shape_guesses import ShapeGuess
from convdiff.probe.trials import Trial, TrialRunner, TrialShapes
from convdiff.probe.zero_padded_caller import ZeroPaddedCaller
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array, axis_sizes, element_count
from convdiff.spec.pad_mode import pad_mode_text
from convdiff.spec.settings import Settings

# After so many guesses that the function accepted and that were not understood, the search stops.
MAX_MISUNDERSTOOD = 16
# Guesses with larger inputs are for functions with many groups, which accept no smaller ones: they
# are not tried once a guess was accepted.
MAX_INPUT_ELEMENTS = 5000
# After so many refusals with one and the same message, the shapes are not what is wrong: the search
# stops too.
MAX_IDENTICAL_REFUSALS = 250


@dataclass(frozen=True)
class Unidentified:
    """The function is not identified as a convolution, and why.

    `guess` is the first that the function accepted, with the bias it was given; None if it
    accepted none.
    """

    reason: str
    guess: ShapeGuess | None = None
    bias: Array | None = None


def identify(
    caller: FunctionCaller, guesses: Iterable[ShapeGuess], *, with_bias: bool, fixed_shapes: bool
) -> Identified | Unidentified:
    """The convolution that the function computes, if it is one.

    `with_bias` gives it a bias; `fixed_shapes` calls it in no other shapes than those of the guess.
    Raises ConvdiffError where it cannot be called at all.
    """
    unidentified: Unidentified | None = None
    misunderstood: list[tuple[str, Trial]] = []
    refusals = Counter[str]()
    for guess in guesses:
        if unidentified is not None and element_count(guess.input_shape) > MAX_INPUT_ELEMENTS:
            continue
        bias = np.arange(1, guess.bias_size + 1, dtype=np.float64) if with_bias else None
        reply = caller.call(np.zeros(guess.input_shape), np.zeros(guess.kernel_shape), bias)
        if reply.output is None or reply.output.size == 0:
            refusals[reply.message] += 1
            if len(refusals) == 1 and refusals.total() >= MAX_IDENTICAL_REFUSALS:
                break
            continue
        zero_output = np.asarray(reply.output, np.float64)
        try:
            found = _identified_with_padding(caller, guess, bias, zero_output, fixed_shapes)
            return _consistent(found, misunderstood) or unidentified or found
        except NotUnderstoodInAnyShape as error:
            return Unidentified(str(error), guess, bias)
        except NotUnderstood as error:
            unidentified = unidentified or Unidentified(str(error), guess, bias)
            shapes = TrialShapes.of(
                guess.input_layout, guess.kernel_layout, guess.input_shape, guess.kernel_shape, bias
            )
            trial = TrialRunner(caller).integers("data", shapes)
            if trial is not None:
                misunderstood.append((str(error), trial))
        if unidentified.guess is guess and not all(depends_on_operands(caller, guess, bias)):
            return unidentified
        if len(misunderstood) >= MAX_MISUNDERSTOOD:
            break
    return unidentified or Unidentified(
        "it takes arrays of none of the shapes that a convolution may have"
    )


def _identified_with_padding(
    caller: FunctionCaller,
    guess: ShapeGuess,
    bias: Array | None,
    zero_output: Array,
    fixed_shapes: bool,
) -> Identified:
    """As `_identified`; where that fails, as a function whose padding holds other numbers."""
    try:
        return _identified(caller, guess, bias, zero_output, fixed_shapes)
    except NotUnderstood as error:
        if not is_padded_with_numbers(caller, guess, bias):
            raise
        as_if_zeros = ZeroPaddedCaller(caller)
        try:
            found = _identified(as_if_zeros, guess, bias, zero_output, fixed_shapes)
            return with_pad_value(found, as_if_zeros)
        except NotUnderstood:
            raise error from None


def _identified(
    caller: FunctionCaller | ZeroPaddedCaller,
    guess: ShapeGuess,
    bias: Array | None,
    zero_output: Array,
    fixed_shapes: bool,
) -> Identified:
    """The convolution that explains the function in the shapes of a guess, and in others.

    Raises NotUnderstood where there is none.
    """
    one_hot_calls = OneHotCalls(caller, guess, bias, zero_output)
    roles, axes = one_hot_calls.read()
    epilogue = _epilogue_of_zeros(roles, one_hot_calls.factor, bias, zero_output)
    shapes = TrialShapes.of(
        roles.input_layout, roles.kernel_layout, guess.input_shape, guess.kernel_shape, bias
    )
    in_channels = shapes.input_sizes.get("C", 1)
    out_channels = axis_sizes(roles.output_layout, zero_output.shape).get("C", 1)
    candidates = list(partial_settings(roles, axes, in_channels, out_channels, shapes.kernel_sizes))
    runner = TrialRunner(caller)
    if fixed_shapes:
        repeated = (runner.integers("data", shapes, repeat=2) for _ in range(3))
        trials = [trial for trial in repeated if trial is not None]
    else:
        trials = runner.all(shapes, max(axis.stride for axis in axes))
    matches, epilogue = _matches(candidates, trials, epilogue)
    if not matches:
        raise NotUnderstood(
            "single elements of its kernel act as in a convolution, but their sum is not its output"
        )
    best_partial, best = matches[0]
    equivalents = tuple(settings for _, match in matches for settings in match.equivalents)
    deviations = [max_deviation(equivalents[0], trial, epilogue) for trial in best.trials]
    fractions = runner.fractions(shapes, scale=0.25)
    return Identified(
        spec=_spec(equivalents[0], best.trials[0], epilogue, bias),
        roles=roles,
        equivalents=equivalents,
        trials=best.trials,
        epilogue=epilogue,
        pad_modes=best_partial.pad_modes,
        undetermined=_undetermined(axes),
        max_deviation=max(deviation or 0.0 for deviation in deviations),
        narrow_type=None if fractions is None else narrow_type(equivalents[0], fractions, epilogue),
        groups_follow_shapes=not fixed_shapes
        and _groups_follow_shapes(runner, shapes, best.equivalents[0], epilogue),
        notes=_notes(trials, best, fixed_shapes),
    )


def _epilogue_of_zeros(
    roles: AxisRoles, factor: float, bias: Array | None, zero_output: Array
) -> Epilogue:
    """The epilogue that the output for zeros shows: the given bias, or constants of its own."""
    epilogue = Epilogue(factor=factor)
    if not np.any(zero_output):
        return epilogue
    channel_axis = roles.output_layout.find("C")
    if channel_axis >= 0:
        by_channel = np.moveaxis(zero_output, channel_axis, 0)
        by_channel = by_channel.reshape(len(by_channel), -1)
    else:
        by_channel = zero_output.reshape(1, -1)
    if np.any(np.ptp(by_channel, axis=1)):
        raise NotUnderstood("an input of zeros gives different numbers in one channel")
    constants = by_channel[:, 0]
    if bias is not None and np.array_equal(constants, bias):
        return replace(epilogue, adds_bias=True)
    added = float(constants[0]) if np.ptp(constants) == 0 else constants
    return replace(epilogue, added=added)


def _matches(
    candidates: list[PartialSettings], trials: list[Trial], epilogue: Epilogue
) -> tuple[list[tuple[PartialSettings, CompleteSettings]], Epilogue]:
    """The candidates that reproduce the most trials, the usual ones first, and the epilogue.

    If none reproduces any, a slope for negative values is fitted and added to the epilogue.
    """
    for fit_slope in (False, True):
        matches = []
        for candidate in candidates:
            candidate_epilogue: Epilogue | None = epilogue
            if fit_slope:
                candidate_epilogue = _with_negative_slope(candidate, trials, epilogue)
            if candidate_epilogue is None:
                continue
            match = complete_settings(candidate, trials, candidate_epilogue)
            if match is not None:
                matches.append((candidate, match, candidate_epilogue))
        if matches:
            most = max(len(match.trials) for _, match, _ in matches)
            best = [entry for entry in matches if len(entry[1].trials) == most]
            best.sort(key=lambda entry: not is_usual(entry[0]))
            return [(candidate, match) for candidate, match, _ in best], best[0][2]
    return [], epilogue


def _with_negative_slope(
    candidate: PartialSettings, trials: list[Trial], epilogue: Epilogue
) -> Epilogue | None:
    """The epilogue with the slope that the first trial shows; None if it shows none."""
    if not trials:
        return None
    settings = replace(candidate.settings, pad_mode=min(candidate.pad_modes, key=pad_mode_text))
    settings = with_padding(settings, tuple(choices[0] for choices in candidate.choices))
    slope = fitted_negative_slope(settings, trials[0], epilogue)
    return None if slope is None else replace(epilogue, negative_slope=slope)


def _spec(settings: Settings, trial: Trial, epilogue: Epilogue, bias: Array | None) -> ConvSpec:
    spec = trial_spec(settings, trial)
    assert spec is not None
    return replace(spec, bias=True) if bias is not None and epilogue.adds_bias else spec


def _groups_follow_shapes(
    runner: TrialRunner, shapes: TrialShapes, settings: Settings, epilogue: Epilogue
) -> bool:
    """Whether arrays of twice the groups are accepted, and convolved in twice as many."""
    if (
        settings.transposed
        or "M" in shapes.kernel_layout
        or "C" not in shapes.input_sizes
        or np.ndim(epilogue.added)
    ):
        return False
    trial = runner.integers("data", shapes.with_twice_the_groups())
    if trial is None:
        return False
    groups = shapes.input_sizes["C"] // shapes.kernel_sizes.get("I", 1)
    expected = expected_output(replace(settings, groups=2 * groups), trial, epilogue)
    if expected is None:
        return False
    return bool(np.abs(expected - trial.output).max() < 0.25 + 1e-2 * np.abs(expected).max())


def _undetermined(axes: tuple[MeasuredAxis, ...]) -> dict[str, str]:
    if any(axis.flip is not None for axis in axes):
        return {}
    return dict.fromkeys(("flip", "dilation"), "a kernel of one element does not show it")


def _notes(trials: list[Trial], match: CompleteSettings, fixed_shapes: bool) -> tuple[str, ...]:
    """What is not known of other sizes."""
    if fixed_shapes:
        return ("called in one shape only: in another its padding may follow another rule",)
    notes = []
    for kind, operand in (("sizes", "inputs"), ("kernel", "kernels")):
        if not any(trial.kind == kind for trial in trials):
            notes.append(f"it accepts no {operand} of other sizes than the first")
        elif not any(trial.kind == kind for trial in match.trials):
            notes.append(
                f"with {operand} of other sizes it computes something else: the options hold for "
                "this size only"
            )
    return tuple(notes)


def _consistent(found: Identified, misunderstood: list[tuple[str, Trial]]) -> Identified | None:
    """What was found, unless earlier trials that were not understood contradict it; None then.

    A function that goes wrong on kernels of other sizes is still a convolution on these: that
    becomes a note.
    """
    notes = list(found.notes)
    for reason, trial in misunderstood:
        settings = _with_groups_of_shapes(found.settings, trial)
        if trial_spec(settings, trial) is None or reproduces(settings, [trial], found.epilogue):
            continue
        here, there = found.trials[0].kernel.shape, trial.kernel.shape
        channels = [axis for axis, letter in enumerate(found.spec.kernel_layout) if letter in "OIM"]
        if (
            any(here[axis] != there[axis] for axis in channels)
            or min(found.spec.kernel_size) < 3
            or here == there
        ):
            return None
        dims = "x".join(map(str, there))
        notes.append(f"with a kernel of {dims} it computes something else: {reason}")
    return replace(found, notes=tuple(notes))


def _with_groups_of_shapes(settings: Settings, trial: Trial) -> Settings:
    """The settings with the number of groups that a trial's shapes imply, C / I."""
    x, w = settings.input_layout or "", settings.kernel_layout or ""
    if (
        settings.transposed
        or "C" not in x
        or "I" not in w
        or "M" in w
        or (len(x), len(w)) != (trial.input.ndim, trial.kernel.ndim)
    ):
        return settings
    channels, inner = trial.input.shape[x.index("C")], trial.kernel.shape[w.index("I")]
    return settings if channels % inner else replace(settings, groups=channels // inner)
