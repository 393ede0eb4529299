"""Hypotheses about the bias: missing, added twice, or one that was not asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.fitted_numbers import shortest_between
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.output_change import (
    UNCHANGED,
    Fields,
    FirstPair,
    Invariant,
    OpenChange,
    PartialSums,
    SumBounds,
    SumPair,
    Trial,
)
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import OutputHypothesis
from convdiff.records import Edit
from convdiff.spec.layout import Array


class BiasMissing(OutputHypothesis):
    """The bias was not added.

    How it shows: each channel is off by a constant, which is its bias. A bias of zeros, as layers
    start with, shows nothing.
    Typical causes: bias=False or use_bias=False on one side; tf.nn.conv2d and jax.lax take no bias
    at all; the bias loaded into another layer; a converter that drops a depthwise layer's bias; an
    in-place variant that returns the convolution only.
    What tells it apart: a bias with distinct values, none of them zero.
    Fix: add the bias once, one value for each output channel:
        numpy: `output + bias[:, None, None]` for NCHW
        torch: `F.conv2d(input, kernel, bias)`
        tensorflow: `tf.nn.bias_add(output, bias)`
        jax: `output + bias[None, :, None, None]` for NCHW
        theano: `output + bias.dimshuffle("x", 0, "x", "x")`
    """

    code: ClassVar[str] = "bias-missing"
    shown_by: ClassVar[str] = "a bias with no zeros"
    # How often the bias was added.
    times_added: ClassVar[int] = 0

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The bias added `times_added` times."""
        possible = base.bias_factor == 1 and base.change != UnknownConstants()
        if problem.bias is not None and possible and np.any(problem.channel_bias):
            edit = {"code": self.code, "values": problem.channel_bias.tolist()}
            yield base.plus(edit, 0.05, bias_factor=self.times_added)

    def sentence(self, edit: Edit) -> str:
        return "the bias was not added"


class BiasDoubled(BiasMissing):
    """The bias was added twice.

    How it shows: each channel is off by its bias. A bias of zeros shows nothing.
    Typical causes: the layer adds it and the code around it adds it again (tf.nn.bias_add after a
    Keras layer); a BatchNorm's shift folded into the bias and kept besides; a loop over input
    channels or groups that adds it each time, where there are two.
    What tells it apart: a bias with distinct values, none of them zero.
    Fix: add the bias once, in the layer or after it:
        numpy: `output - bias[:, None, None]` for NCHW undoes the second
        torch: `nn.Conv2d(C, O, 3, bias=False)`, or leave out the addition after it
        tensorflow: `keras.layers.Conv2D(O, 3, use_bias=False)`, or leave out tf.nn.bias_add
        jax: `flax.linen.Conv(O, (3, 3), use_bias=False)`, or leave out the addition: jax.lax adds none
    """

    code: ClassVar[str] = "bias-doubled"
    times_added: ClassVar[int] = 2

    def sentence(self, edit: Edit) -> str:
        return "the bias was added twice"


class BiasAdded(OutputHypothesis):
    """A constant per output channel was added that was not asked for.

    How it shows: each channel is off by a constant of its own, at every position.
    Typical causes: a layer's bias left out of the comparison (nn.Conv2d and keras.layers.Conv2D
    have one unless told otherwise); the shift of a BatchNorm folded into the layer; another layer's
    bias loaded; a zero point left in by quantization.
    What tells it apart: more than one position in each channel; an input of zeros gives the added
    constants themselves.
    Fix: give the bias with --bias, or compare without it:
        numpy: `output - bias[:, None, None]` for NCHW
        torch: `nn.Conv2d(C, O, 3, bias=False)`; the constants are in `layer.bias`
        tensorflow: `keras.layers.Conv2D(O, 3, use_bias=False)`; they are the last of
            `layer.get_weights()`
        jax: `flax.linen.Conv(O, (3, 3), use_bias=False)`; jax.lax adds none
    """

    code: ClassVar[str] = "bias-added"
    shown_by: ClassVar[str] = "more elements in each channel"
    is_fitted: ClassVar[bool] = True

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """One unknown constant per channel; a channel with a single element is off by some."""
        elements = base.array.size >= 2 * base.array.shape[1]
        if base.change == UNCHANGED and base.bias_factor == 1 and elements:
            yield base.plus({"code": self.code}, 0.3, change=UnknownConstants())

    def sentence(self, edit: Edit) -> str:
        values = edit.get("values", [])
        negligible = 1e-6 * max(map(abs, values), default=0)
        shown = ", ".join(f"{v if abs(v) > negligible else 0:.4g}" for v in values[:4])
        more = ", ..." if len(values) > 4 else ""
        return f"a bias was added that was not asked for ({shown}{more})"


@dataclass(frozen=True)
class UnknownConstants(OpenChange):
    """One constant per channel was added, which drops out of the difference of two values."""

    stored_again: ClassVar[bool] = True

    def invariant(self, first: SumBounds, second: SumBounds, pair: FirstPair) -> Invariant:
        slack = (pair.written + pair.bias_slack[:, None]).sum(axis=0)
        slack = slack + 2 * pair.unit * np.abs(pair.obtained).sum(axis=0)
        wanted = pair.obtained[0] - pair.obtained[1]
        sums = SumBounds(first.value - second.value, first.slack + second.slack)
        return Invariant(sums, wanted - slack, wanted + slack)

    def relates(self, pair: SumPair) -> Array:
        wanted = pair.obtained[0] - pair.obtained[1]
        error = np.abs((pair.sums[0] - pair.sums[1]) - wanted)
        slack = pair.slack + pair.written + 2 * pair.unit * np.abs(pair.obtained)
        return np.asarray(error <= slack.sum(axis=0))

    def verify(self, trial: Trial) -> Fields | None:
        """Every element confines its channel's constant to an interval: do all of them meet?"""
        rounding = trial.rounding
        got = trial.obtained.astype(np.float64)
        channels = got.shape[1]
        difference, scale, obtained = (
            np.moveaxis(array, 1, 0).reshape(channels, -1)
            for array in (got - trial.sums.output, trial.sums.scale, got)
        )
        size = np.abs(obtained) + np.abs(difference)
        slack = rounding.allowed_error(obtained, scale) + 2 * rounding.unit_roundoff * size
        slack = slack + rounding.storage_error(size)
        lows, highs = (difference - slack).max(axis=1), (difference + slack).min(axis=1)
        if difference.shape[1] < 2 or not (lows <= highs).all():
            return None
        sums = np.moveaxis(trial.sums.output, 1, 0).reshape(channels, -1)
        if trial.edits > 1 and (np.ptp(sums, axis=1) <= 2 * slack.max(axis=1)).all():
            # Constants, explained by constants: so would any be.
            return None
        ends = zip(lows.tolist(), highs.tolist(), strict=True)
        constants = [shortest_between(low, high) for low, high in ends]
        stored = rounding.storage_error(obtained)
        if rounding.stored_narrower and max(map(abs, constants)) <= 2 * float(np.max(stored)):
            # As much as sums that are kept in 16 bits lose on the average: no bias.
            return None
        return {BiasAdded.code: {"values": constants}}

    def partial_sums(self, values: Array) -> PartialSums:
        return PartialSums(values)
