"""Hypotheses about the bias: missing, added twice, or added although none was asked for."""

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
    WholeOutput,
)
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import OutputHypothesis, first_values
from convdiff.records import Edit
from convdiff.spec.layout import Array

# The share of the largest constant below which a sentence shows a constant as 0.
NEGLIGIBLE_SHARE = 1e-6


class BiasMissing(OutputHypothesis):
    """The bias was not added.

    How it shows: Each channel is off by a constant, which is its bias. A bias of zeros, with which
    layers of Keras and Flax start, shows nothing.
    Typical causes: bias=False or use_bias=False on one side; tf.nn.conv2d and jax.lax, which take
    no bias; the bias loaded into another layer; a converter that drops the bias of depthwise
    layers; an in-place variant that returns only the convolution.
    What tells it apart: A bias of distinct values, none of them zero.
    Fix: Add the bias once, one value for each output channel:
        numpy: `output + bias[:, None, None]` for NCHW
        torch: `F.conv2d(input, kernel, bias)`
        tensorflow: `tf.nn.bias_add(output, bias)`
        jax: `output + bias[None, :, None, None]` for NCHW
        theano: `output + bias.dimshuffle("x", 0, "x", "x")`
    """

    code: ClassVar[str] = "bias-missing"
    numbers_output_channels: ClassVar[bool] = True
    changes_bias: ClassVar[bool] = True
    changes_single_values: ClassVar[bool] = True
    shown_by: ClassVar[str] = "a bias with no zeros"
    times_added: ClassVar[int] = 0

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The bias added `times_added` times, unless it is zero or unknown constants hide it."""
        is_possible = base.bias_factor == 1 and base.change != UnknownConstants()
        if problem.bias is not None and is_possible and np.any(problem.channel_bias):
            edit = {"code": self.code, "values": problem.channel_bias.tolist()}
            yield base.plus(edit, 0.05, bias_factor=self.times_added)

    def sentence(self, edit: Edit) -> str:
        return "the bias was not added"


class BiasDoubled(BiasMissing):
    """The bias was added twice.

    How it shows: Each channel is off by its bias. A bias of zeros shows nothing.
    Typical causes: The layer adds the bias and the code around it adds it again (tf.nn.bias_add
    after a Keras layer); a BatchNorm's shift folded into the bias but also kept; a loop over two
    input channels or groups that adds the bias each time.
    What tells it apart: A bias of distinct values, none of them zero.
    Fix: Add the bias once, in the layer or after it:
        numpy: `output - bias[:, None, None]` for NCHW undoes the second
        torch: `nn.Conv2d(C, O, 3, bias=False)`, or leave out the addition after it
        tensorflow: `keras.layers.Conv2D(O, 3, use_bias=False)`, or leave out tf.nn.bias_add
        jax: `flax.linen.Conv(O, (3, 3), use_bias=False)`, or leave out the addition; jax.lax adds
            none
    """

    code: ClassVar[str] = "bias-doubled"
    numbers_output_channels: ClassVar[bool] = True
    changes_bias: ClassVar[bool] = True
    times_added: ClassVar[int] = 2

    def sentence(self, edit: Edit) -> str:
        return "the bias was added twice"


class BiasAdded(OutputHypothesis):
    """A constant that was not asked for was added to each output channel.

    How it shows: Each channel is off by a constant of its own, the same at every position.
    Typical causes: A layer's bias left out of the comparison (nn.Conv2d and keras.layers.Conv2D
    have one unless told otherwise); the shift of a BatchNorm folded into the layer; another layer's
    bias; a zero point left in by quantization.
    What tells it apart: More than one position in each channel. An input of zeros gives the added
    constants themselves.
    Fix: Give the bias with --bias, or compare without it:
        numpy: `output - bias[:, None, None]` for NCHW
        torch: `nn.Conv2d(C, O, 3, bias=False)`; the constants are in `layer.bias`
        tensorflow: `keras.layers.Conv2D(O, 3, use_bias=False)`; the constants are the last of
            `layer.get_weights()`
        jax: `flax.linen.Conv(O, (3, 3), use_bias=False)`; jax.lax adds none
    """

    code: ClassVar[str] = "bias-added"
    changes_single_values: ClassVar[bool] = True
    numbers_output_channels: ClassVar[bool] = True
    shown_by: ClassVar[str] = "more elements in each channel"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """An unknown constant for each channel.

        None if the channels have one element each, which some constant always explains.
        """
        has_evidence = base.array.size >= 2 * base.array.shape[1]
        if base.change == UNCHANGED and base.bias_factor == 1 and has_evidence:
            yield base.plus({"code": self.code}, 0.3, change=UnknownConstants())

    def is_fitted(self, edit: Edit) -> bool:
        return True

    def sentence(self, edit: Edit) -> str:
        values = edit.get("values", [])
        negligible = NEGLIGIBLE_SHARE * max(map(abs, values), default=0)
        shown = first_values([value if abs(value) > negligible else 0 for value in values])
        return f"a bias was added ({shown})"


@dataclass(frozen=True)
class UnknownConstants(OpenChange):
    """A constant was added to each channel; it drops out of the difference of two values."""

    stored_again: ClassVar[bool] = True

    def invariant(self, first: SumBounds, second: SumBounds, pair: FirstPair) -> Invariant:
        """The difference of the two sums, which is that of the obtained values."""
        slack = (pair.storage_error + pair.bias_error[:, None]).sum(axis=0)
        slack = slack + 2 * pair.unit_roundoff * np.abs(pair.obtained).sum(axis=0)
        difference = pair.obtained[0] - pair.obtained[1]
        sums = SumBounds(first.value - second.value, first.slack + second.slack)
        return Invariant(sums, difference - slack, difference + slack)

    def relates(self, pair: SumPair) -> Array:
        difference = pair.obtained[0] - pair.obtained[1]
        error = np.abs((pair.sums[0] - pair.sums[1]) - difference)
        slack = pair.slack + pair.storage_error + 2 * pair.unit_roundoff * np.abs(pair.obtained)
        return np.asarray(error <= slack.sum(axis=0))

    def verify(self, whole: WholeOutput) -> Fields | None:
        """The constants, if the intervals to which the elements of each channel limit it meet.

        None too where the constants explain nothing: every channel of the sums is constant itself,
        or the constants are no larger than what sums kept in 16 bits lose.
        """
        rounding = whole.rounding
        float64 = whole.obtained.astype(np.float64)
        difference, scale, obtained, sums = (
            np.moveaxis(array, 1, 0).reshape(array.shape[1], -1)
            for array in (
                float64 - whole.sums.output,
                whole.sums.scale,
                float64,
                whole.sums.output,
            )
        )
        size = np.abs(obtained) + np.abs(difference)
        slack = rounding.allowed_error(obtained, scale) + 2 * rounding.unit_roundoff * size
        slack = slack + rounding.storage_error(size)
        lows, highs = (difference - slack).max(axis=1), (difference + slack).min(axis=1)
        if difference.shape[1] < 2 or not (lows <= highs).all():
            return None
        if whole.edits > 1 and (np.ptp(sums, axis=1) <= 2 * slack.max(axis=1)).all():
            return None
        intervals = zip(lows.tolist(), highs.tolist(), strict=True)
        constants = [shortest_between(low, high) for low, high in intervals]
        storage_error = float(np.max(rounding.storage_error(obtained)))
        if rounding.stored_narrower and max(map(abs, constants)) <= 2 * storage_error:
            return None
        return {BiasAdded.code: {"values": constants}}

    def partial_sums(self, values: Array) -> PartialSums:
        return PartialSums(values)
