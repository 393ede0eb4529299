"""Hypotheses about factors: one for the whole output, or one for each output channel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.fitted_numbers import shortest_between
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.line_fit import (
    MIN_EVIDENCE_BITS,
    ChannelValues,
    evidence_bits,
    line_per_channel,
    one_factor,
)
from convdiff.diagnose.core.line_then_function import (
    LineIntervals,
    Lines,
    factor_alone,
    line_for_each_channel,
    one_factor_for_all,
)
from convdiff.diagnose.core.output_change import (
    UNCHANGED,
    Fields,
    FirstPair,
    FittedChange,
    Invariant,
    OpenChange,
    OutputChange,
    PartialSums,
    SumBounds,
    SumPair,
    WholeOutput,
)
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import Edits, OutputHypothesis, first_values
from convdiff.diagnose.hypotheses.output_bias import BiasAdded
from convdiff.diagnose.hypotheses.scaled_operands import KernelScaled
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import UNIT_ROUNDOFF
from convdiff.numerics.reference import Reference
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# Elements that fitting a factor needs: one determines it, and two more test it.
MIN_ELEMENTS_FOR_A_FACTOR = 3
_USUAL_MULTIPLES = (*range(2, 11), 16, 100, 127.5, 128, 255, 256)
# Factors that people multiply by; a fitted factor that may be one of them is taken for it.
USUAL_FACTORS = (
    -1.0,
    *map(float, _USUAL_MULTIPLES),
    *(1 / multiple for multiple in _USUAL_MULTIPLES),
)
# The error of a fitted constant, as a share of the largest obtained value.
CONSTANT_TOLERANCE = 1e-5
# The relative error of a fitted factor.
FACTOR_TOLERANCE = 1e-4
# Unit roundoffs of a 16-bit type by which sums that are kept in it may be off as a whole.
MAX_ROUNDOFFS_OF_NARROW_SUMS = 4


class Scaled(OutputHypothesis):
    """Every element was multiplied by one factor.

    How it shows: The ratio of obtained to expected values is the same everywhere.
    Typical causes: Inputs divided by 255 on one side only (torchvision's ToTensor divides, Pillow
    and cv2 do not); an average instead of a sum, as of a normalized box filter, whose factor is the
    number of taps; a gradient summed over the batch instead of averaged; the scale of a quantized
    layer left out; wrong groups on channels that hold the same data.
    What tells it apart: Channels that differ, and a bias: a factor on the input leaves the bias
    alone, one on the output does not.
    Fix: Apply the factor on both sides or on neither:
        numpy: `input.astype(np.float32) / 255` on the side that lacks it
        torch: `input.float() / 255`; `torchvision.transforms.ToTensor` does it too
        tensorflow: `tf.cast(input, tf.float32) / 255`; in a model `keras.layers.Rescaling(1 / 255)`
        jax: `input.astype(jnp.float32) / 255`
    """

    code: ClassVar[str] = "scaled"
    changes_single_values: ClassVar[bool] = True
    changes_bias: ClassVar[bool] = True
    changes_kernel: ClassVar[bool] = True
    shown_by: ClassVar[str] = "random values of both signs"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """An unknown factor on everything, or on the sums before the bias is added.

        If there are too few elements to test it, the factor must be one of `USUAL_FACTORS`.
        """
        if base.change != UNCHANGED:
            return
        changes: list[tuple[OutputChange, Edit]] = [(UnknownFactor(), {"code": self.code})]
        if base.array.size < MIN_ELEMENTS_FOR_A_FACTOR:
            changes = [(KnownFactor(f), {"code": self.code, "factor": f}) for f in USUAL_FACTORS]
        for change, edit in changes:
            yield base.plus(edit, 0.3, change=change)
            if base.bias_factor == 1 and np.any(problem.channel_bias):
                of_sums = {**edit, "of": "sums"}
                yield base.plus(of_sums, 0.35, change=change, bias_factor=0, late_bias=True)

    def is_fitted(self, edit: Edit) -> bool:
        return True

    def sentence(self, edit: Edit) -> str:
        if edit.get("of"):
            return f"the sums were multiplied by {edit['factor']:.6g}, the bias was not"
        return f"everything was multiplied by {edit['factor']:.6g}"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        """The range of the inputs, or the number of products, taps or batch items."""
        factor = edit["factor"]
        if isinstance(factor, complex):
            return None
        if any(math.isclose(factor, f, rel_tol=FACTOR_TOLERANCE) for f in (255, 1 / 255)):
            return "the inputs divided by 255 on one side only"
        taps = math.prod(spec.kernel_size)
        counts = [
            (taps * spec.in_channels // spec.groups, "the number of products in a sum"),
            (taps, "the number of the kernel's taps"),
            (spec.batch, "the batch size"),
        ]
        for count, meaning in counts:
            if count > 1 and math.isclose(factor, 1 / count, rel_tol=FACTOR_TOLERANCE):
                return f"{count} is {meaning}: an average instead of a sum"
            if count > 1 and math.isclose(factor, count, rel_tol=FACTOR_TOLERANCE):
                return f"{count} is {meaning}: a sum instead of an average"
        return None


@dataclass(frozen=True)
class KnownFactor(OutputChange):
    """The sums were multiplied by a known factor."""

    factor: float

    def sum_interval(self, obtained: Array, low: Array, high: Array) -> tuple[Array, Array]:
        ends = np.sort(np.stack([low, high]) / self.factor, axis=0)
        return ends[0], ends[1]

    def verify(self, whole: WholeOutput) -> Fields | None:
        scale = whole.sums.scale * abs(self.factor) + np.abs(whole.late_bias)
        expected = whole.sums.output * self.factor
        return {} if whole.rounding.explains_all(whole.obtained, expected, scale) else None


@dataclass(frozen=True)
class UnknownFactor(OpenChange):
    """The sums were multiplied by an unknown factor, which drops out of the ratio of two values."""

    stored_again: ClassVar[bool] = True

    def invariant(self, first: SumBounds, second: SumBounds, pair: FirstPair) -> Invariant:
        """The ratio of the two sums, which is that of the obtained values."""
        numerator, denominator = second.value + pair.bias[1], first.value + pair.bias[0]
        ratio = numerator / denominator
        ratio[~np.isfinite(ratio)] = 0.0
        first_error, second_error = (
            sums.slack + bias_slack
            for sums, bias_slack in zip((first, second), pair.bias_error, strict=True)
        )
        slack = (second_error + np.abs(ratio) * first_error) / np.maximum(
            np.abs(denominator) - first_error, 0
        )
        slack[~np.isfinite(slack)] = np.inf
        size = np.abs(pair.obtained[0])
        obtained_ratio = pair.obtained[1] / pair.obtained[0]
        obtained_error = (
            np.abs(obtained_ratio) * (4 * pair.unit_roundoff + pair.storage_error[0] / size)
            + pair.storage_error[1] / size
        )
        return Invariant(
            SumBounds(ratio, slack),
            obtained_ratio - obtained_error,
            obtained_ratio + obtained_error,
        )

    def relates(self, pair: SumPair) -> Array:
        first_size, size = np.abs(pair.first_obtained), np.abs(pair.obtained)
        first_error = pair.first_storage_error + pair.unit_roundoff * first_size
        obtained_error = pair.storage_error + pair.unit_roundoff * size
        difference = np.abs(pair.first_obtained * pair.sums - pair.obtained * pair.first_sum)
        allowed = (
            first_size * pair.slack
            + size * pair.first_slack
            + obtained_error * np.abs(pair.first_sum)
            + first_error * np.abs(pair.sums)
        )
        return np.asarray((difference <= allowed).all(axis=0) & (pair.first_obtained != 0))

    def verify(self, whole: WholeOutput) -> Fields | None:
        """The factor, if the intervals to which all elements limit it meet.

        None too where the factor explains nothing: beside a large bias the rounding may hide the
        sums, and sums that were kept in 16 bits may be off by as much.
        """
        rounding, sums = whole.rounding, whole.sums.output
        obtained, late_bias = whole.obtained.astype(np.float64), np.abs(whole.late_bias)
        estimate = least_squares_factor(obtained, sums)
        used = sums != 0
        is_usable = estimate != 0 and np.isfinite(estimate)
        if not is_usable or int(used.sum()) < MIN_ELEMENTS_FOR_A_FACTOR:
            return None
        slack = rounding.allowed_error(
            np.abs(obtained) + late_bias, whole.sums.scale * abs(estimate) + late_bias
        )
        slack = slack + rounding.unit_roundoff * np.abs(obtained) + rounding.storage_error(obtained)
        ends = np.stack([(obtained - slack)[used], (obtained + slack)[used]]) / sums[used]
        low, high = float(ends.min(axis=0).max()), float(ends.max(axis=0).min())
        if low > high or not (np.abs(obtained[~used]) <= slack[~used]).all():
            return None
        if late_bias.any() and _evidence_bits(obtained, slack) < MIN_EVIDENCE_BITS:
            return None
        usual = (factor for factor in USUAL_FACTORS if low <= factor <= high)
        default = shortest_between(low, high)
        factor = min(usual, key=lambda f: abs(f - estimate), default=default)
        return None if _may_be_loss(factor, rounding) else {Scaled.code: {"factor": factor}}

    def partial_sums(self, values: Array) -> PartialSums:
        return PartialSums(values)


def least_squares_factor(obtained: Array, sums: Array) -> float:
    """The factor by which the sums come nearest to the obtained values; arrays of one shape."""
    norm = float(np.vdot(sums, sums))
    return float(np.vdot(obtained, sums)) / norm if norm else 0.0


def _evidence_bits(obtained: Array, slack: Array) -> float:
    """`line_fit.evidence_bits` of arrays (N, O, *space), from which no number was fitted."""
    rows, slack_rows = (np.moveaxis(a, 1, 0).reshape(a.shape[1], -1) for a in (obtained, slack))
    return evidence_bits(rows, slack_rows, np.ones(rows.shape, bool), numbers_used=0)


def _may_be_loss(factor: float, rounding: Rounding) -> bool:
    """Whether sums that were kept in 16 bits may be off by this factor without another cause."""
    if not rounding.stored_narrower:
        return False
    unit_roundoff = UNIT_ROUNDOFF[rounding.stored_dtype]
    return abs(factor - 1) <= MAX_ROUNDOFFS_OF_NARROW_SUMS * unit_roundoff


class ChannelsScaled(OutputHypothesis):
    """Each output channel was scaled and shifted by numbers of its own.

    How it shows: Plotted over the expected values, the obtained values of each channel lie on a
    straight line. A channel with two positions shows nothing, since a line goes through any two
    points.
    Typical causes: A BatchNorm folded into the layer on one side only, or with another epsilon
    (1e-3 in Keras, 1e-5 in torch), or along the wrong axis of the weights; the scales of
    per-channel quantization; a normalization of the input moved into the weights.
    What tells it apart: A comparison of the layer without its BatchNorm; many positions in each
    channel, and factors that differ between channels.
    Fix: Compare the convolution alone, or fold on both sides with the same epsilon:
        numpy: `kernel * (gamma / np.sqrt(variance + epsilon))[:, None, None, None]` folds into OIHW
        torch: `torch.nn.utils.fusion.fuse_conv_bn_eval(conv, bn)`; Keras' epsilon is
            `nn.BatchNorm2d(O, eps=1e-3)`
        tensorflow: `keras.layers.BatchNormalization(epsilon=1e-5)` has torch's epsilon
        jax: `flax.linen.BatchNorm(use_running_average=True, epsilon=1e-5)`
    """

    code: ClassVar[str] = "channels-scaled"
    numbers_output_channels: ClassVar[bool] = True
    changes_kernel: ClassVar[bool] = True
    shown_by: ClassVar[str] = "many positions in each channel, and values of both signs"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """None, because the candidates come from `fit.channel_scale_search`."""
        return iter(())

    def is_fitted(self, edit: Edit) -> bool:
        return True

    def sentence(self, edit: Edit) -> str:
        shifted = " and shifted" if any(edit["values"]) else ""
        factors = first_values(edit["factors"])
        return f"each output channel was scaled{shifted} separately (factors {factors})"

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The same factors along the kernel's output channels, where the bias is as it was."""
        bias, constants = problem.channel_bias, np.array(edit["values"])
        size = float(np.abs(problem.obtained).max())
        kept = constants.shape == bias.shape and np.allclose(
            constants, bias, rtol=0, atol=CONSTANT_TOLERANCE * size
        )
        if len(edits) == 1 and kept:
            yield {"code": KernelScaled.code, "axis": "O", "factors": edit["factors"]}


@dataclass(frozen=True)
class LinePerChannel(FittedChange):
    """Each channel was multiplied by its own factor and shifted by its own constant."""

    def verify(self, whole: WholeOutput) -> Fields | None:
        values = ChannelValues.of(whole.obtained, whole.sums)
        line = line_per_channel(whole.twice_stored, values)
        if line is None:
            return None
        factors, constants = (numbers.tolist() for numbers in line)
        return {ChannelsScaled.code: {"factors": factors, "values": constants}}


@dataclass(frozen=True)
class OneFactorAndConstants(FittedChange):
    """Everything was multiplied by one factor, then each channel shifted by its own constant."""

    def verify(self, whole: WholeOutput) -> Fields | None:
        values = ChannelValues.of(whole.obtained, whole.sums)
        fit = one_factor(whole.twice_stored, values, USUAL_FACTORS)
        if fit is None:
            return None
        factor, lows, highs = fit
        intervals = zip(lows.tolist(), highs.tolist(), strict=True)
        constants = [shortest_between(low, high) for low, high in intervals]
        return {Scaled.code: {"factor": factor}, BiasAdded.code: {"values": constants}}


@dataclass(frozen=True)
class LineThen(FittedChange):
    """The sums were scaled and shifted; then they were changed as `then`, a known function, says.

    Each channel by numbers of its own, unless there is `one_factor` for all: with a constant for
    each channel, or without, if not `shifted`.  With `of_magnitudes` the sums lost their signs
    before.
    """

    then: OutputChange
    one_factor: bool
    shifted: bool
    of_magnitudes: bool = False

    def verify(self, whole: WholeOutput) -> Fields | None:
        if self.of_magnitudes:
            sums, scale = whole.sums
            # Of one sign, they are the sums themselves, or the sums times -1.
            if not self.one_factor or not (sums > 0).any() or not (sums < 0).any():
                return None
            whole = replace(whole, sums=Reference(np.abs(sums), scale))
        intervals = LineIntervals.of(whole, self.then)
        if intervals is None or not intervals.need_a_line:
            return None
        for fitted, lines in self._lines(intervals):
            factors, constants = (
                each.reshape(1, -1, *(1,) * (whole.obtained.ndim - 2)) for each in lines
            )
            sums = whole.sums.output * factors + constants
            scale = whole.sums.scale * np.abs(factors) + np.abs(constants)
            # Numbers that were read off are as far off as the values they were read off.
            fields = self.then.verify(replace(whole, sums=Reference(sums, 2 * scale)))
            if fields is not None:
                return {**fields, **fitted}
        return None

    def _lines(self, intervals: LineIntervals) -> Iterator[tuple[Fields, Lines]]:
        """The fields of the edits, and the lines, that bring all sums into their intervals."""
        if not self.one_factor:
            lines = line_for_each_channel(intervals)
            if lines is not None and next(one_factor_for_all(intervals, ()), None) is None:
                factors, constants = (each.tolist() for each in lines)
                yield {ChannelsScaled.code: {"factors": factors, "values": constants}}, lines
        elif self.shifted:
            for lines in one_factor_for_all(intervals, USUAL_FACTORS):
                factor, constants = float(lines.factors[0]), lines.constants.tolist()
                fitted = {Scaled.code: {"factor": factor}, BiasAdded.code: {"values": constants}}
                yield fitted, lines
        else:
            only = factor_alone(intervals, USUAL_FACTORS)
            if only is not None:
                channels = len(intervals.sums)
                lines = Lines(np.full(channels, only), np.zeros(channels))
                yield {Scaled.code: {"factor": only}}, lines
