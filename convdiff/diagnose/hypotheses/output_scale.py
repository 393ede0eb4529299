"""Hypotheses about factors: everything multiplied by one, or each output channel by its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
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
from convdiff.diagnose.core.output_change import (
    UNCHANGED,
    Fields,
    FirstPair,
    Invariant,
    OpenChange,
    OutputChange,
    PartialSums,
    SumBounds,
    SumPair,
    Trial,
)
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import Edits, OutputHypothesis
from convdiff.diagnose.hypotheses.output_bias import BiasAdded
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import UNIT_ROUNDOFF
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# Elements from which on an unknown factor can be fitted: it uses up one, and two must be left to
# test it on.
MIN_ELEMENTS_FOR_A_FACTOR = 3
_USUAL = (*range(2, 11), 16, 100, 127.5, 128, 255, 256)
USUAL_FACTORS = (-1.0, *map(float, _USUAL), *(1 / factor for factor in _USUAL))
# The relative error with which a fitted factor is known.
FACTOR_TOLERANCE = 1e-4


class Scaled(OutputHypothesis):
    """Every element was multiplied by one factor.

    How it shows: obtained / reference is the same everywhere.
    Typical causes: inputs divided by 255 on one side only (torchvision's ToTensor divides, Pillow
    and cv2 do not); an average in place of a sum (a box filter that is normalized, with the number
    of taps or the batch size as the factor); a gradient summed over the batch; the scale of a
    quantized layer left out; wrong groups on channels that hold equal data.
    What tells it apart: channels that differ and a bias: a factor on the input leaves the bias
    alone, one on the output does not.
    Fix: apply the factor on both sides or on neither:
        numpy: `input.astype(np.float32) / 255` on the side that lacks it
        torch: `input.float() / 255`; `torchvision.transforms.ToTensor` does it too
        tensorflow: `tf.cast(input, tf.float32) / 255`; in the model, `keras.layers.Rescaling(1 / 255)`
        jax: `input.astype(jnp.float32) / 255`
    """

    code: ClassVar[str] = "scaled"
    shown_by: ClassVar[str] = "random values, of both signs"
    is_fitted: ClassVar[bool] = True

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """One unknown factor on everything, or on the sums before the bias is added.

        One or two elements are some multiple of any number: for those only usual factors are tried.
        """
        if base.change != UNCHANGED:
            return
        changes: list[tuple[OutputChange, Edit]] = [(UnknownFactor(), {"code": self.code})]
        if base.array.size < MIN_ELEMENTS_FOR_A_FACTOR:
            changes = [(Times(f), {"code": self.code, "factor": f}) for f in USUAL_FACTORS]
        for change, edit in changes:
            yield base.plus(edit, 0.3, change=change)
            if base.bias_factor == 1 and np.any(problem.channel_bias):
                of_sums = {**edit, "of": "sums"}
                yield base.plus(of_sums, 0.35, change=change, bias_factor=0, late_bias=True)

    def sentence(self, edit: Edit) -> str:
        if edit.get("of"):
            return f"the sums were multiplied by {edit['factor']:.6g}, the bias was not"
        return f"everything was multiplied by {edit['factor']:.6g}"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        """The input's range, or the number of terms, taps or batch items."""
        factor = edit["factor"]
        if any(math.isclose(factor, f, rel_tol=FACTOR_TOLERANCE) for f in (255, 1 / 255)):
            return "the inputs divided by 255 on one side only"
        window = math.prod(spec.kernel_size)
        counts = [
            (window * spec.in_channels // spec.groups, "the number of products in a sum"),
            (window, "the number of the kernel's taps"),
            (spec.batch, "the batch size"),
        ]
        for count, words in counts:
            if count > 1 and math.isclose(factor, 1 / count, rel_tol=FACTOR_TOLERANCE):
                return f"1/{count} is {words}: an average in place of a sum"
            if count > 1 and math.isclose(factor, count, rel_tol=FACTOR_TOLERANCE):
                return f"{count} is {words}: a sum in place of an average"
        return None


@dataclass(frozen=True)
class Times(OutputChange):
    """The sums were multiplied by a known factor."""

    factor: float

    def sum_interval(self, obtained: Array, low: Array, high: Array) -> tuple[Array, Array]:
        ends = np.sort(np.stack([low, high]) / self.factor, axis=0)
        return ends[0], ends[1]

    def verify(self, trial: Trial) -> Fields | None:
        scale = trial.sums.scale * abs(self.factor) + np.abs(trial.late_bias)
        expected = trial.sums.output * self.factor
        return {} if trial.rounding.explains_all(trial.obtained, expected, scale) else None


@dataclass(frozen=True)
class UnknownFactor(OpenChange):
    """The sums were multiplied by one factor, which drops out of the ratio of two values."""

    stored_again: ClassVar[bool] = True

    def invariant(self, first: SumBounds, second: SumBounds, pair: FirstPair) -> Invariant:
        over, under = second.value + pair.bias[1], first.value + pair.bias[0]
        ratio = over / under
        ratio[~np.isfinite(ratio)] = 0.0
        loss = [sums.slack + s for sums, s in zip((first, second), pair.bias_slack, strict=True)]
        slack = (loss[1] + np.abs(ratio) * loss[0]) / np.maximum(np.abs(under) - loss[0], 0)
        slack[~np.isfinite(slack)] = np.inf
        size = np.abs(pair.obtained[0])
        wanted = pair.obtained[1] / pair.obtained[0]
        own = np.abs(wanted) * (4 * pair.unit + pair.written[0] / size) + pair.written[1] / size
        return Invariant(SumBounds(ratio, slack), wanted - own, wanted + own)

    def relates(self, pair: SumPair) -> Array:
        first = np.abs(pair.first_obtained)
        step = pair.first_written + pair.unit * first
        error = np.abs(pair.first_obtained * pair.sums - pair.obtained * pair.first_sum)
        own = pair.written + pair.unit * np.abs(pair.obtained)
        allowed = (
            first * pair.slack
            + np.abs(pair.obtained) * pair.first_slack
            + own * np.abs(pair.first_sum)
            + step * np.abs(pair.sums)
        )
        return np.asarray((error <= allowed).all(axis=0) & (pair.first_obtained != 0))

    def verify(self, trial: Trial) -> Fields | None:
        """Every element confines the factor to an interval: do all of them meet?"""
        rounding, sums = trial.rounding, trial.sums.output
        obtained, late_bias = trial.obtained.astype(np.float64), np.abs(trial.late_bias)
        rough = _projection(obtained, sums)
        used = sums != 0
        if rough == 0 or not np.isfinite(rough) or int(used.sum()) < MIN_ELEMENTS_FOR_A_FACTOR:
            return None
        slack = rounding.allowed_error(
            np.abs(obtained) + late_bias, trial.sums.scale * abs(rough) + late_bias
        )
        slack = slack + rounding.unit_roundoff * np.abs(obtained) + rounding.storage_error(obtained)
        ends = np.stack([(obtained - slack)[used], (obtained + slack)[used]]) / sums[used]
        low, high = float(ends.min(axis=0).max()), float(ends.max(axis=0).min())
        if low > high or not (np.abs(obtained[~used]) <= slack[~used]).all():
            return None
        if late_bias.any() and _bits_beside_a_bias(obtained, slack) < MIN_EVIDENCE_BITS:
            # Small sums drown in the rounding of a large bias: any factor would do.
            return None
        usual = (factor for factor in USUAL_FACTORS if low <= factor <= high)
        nearest = min(usual, key=lambda f: abs(f - rough), default=shortest_between(low, high))
        return None if _is_loss(nearest, rounding) else {Scaled.code: {"factor": nearest}}

    def partial_sums(self, values: Array) -> PartialSums:
        return PartialSums(values)


def _projection(obtained: Array, sums: Array) -> float:
    """The factor of the sums that comes nearest to the obtained values, by least squares."""
    norm = float(np.vdot(sums, sums))
    return float(np.vdot(obtained, sums)) / norm if norm else 0.0


def _bits_beside_a_bias(obtained: Array, slack: Array) -> float:
    rows, free = (np.moveaxis(a, 1, 0).reshape(a.shape[1], -1) for a in (obtained, slack))
    return evidence_bits(rows, free, np.ones(rows.shape, bool), numbers_used=0)


def _is_loss(factor: float, rounding: Rounding) -> bool:
    """Whether sums that were kept in 16 bits lose as much by themselves."""
    return rounding.stored_narrower and abs(factor - 1) <= 4 * UNIT_ROUNDOFF[rounding.stored_dtype]


class ChannelsScaled(OutputHypothesis):
    """Each output channel was multiplied by a factor and shifted by a constant of its own.

    How it shows: each channel lies on a straight line over the reference's. A channel with two
    positions shows nothing: a line goes through any two points.
    Typical causes: a BatchNorm folded into the layer on one side only, or with another epsilon
    (1e-3 in Keras, 1e-5 in torch), or along the wrong axis of the weights; per-channel quantization
    scales; a normalization of the input moved into the weights.
    What tells it apart: the layer without its BatchNorm; many positions in each channel, and
    factors that differ between them.
    Fix: compare the convolution alone, or fold on both sides with the same epsilon:
        numpy: `kernel * (gamma / np.sqrt(variance + epsilon))[:, None, None, None]` folds into OIHW
        torch: `torch.nn.utils.fusion.fuse_conv_bn_eval(conv, bn)`; Keras' epsilon is
            `nn.BatchNorm2d(O, eps=1e-3)`
        tensorflow: `keras.layers.BatchNormalization(epsilon=1e-5)` has torch's epsilon
        jax: `flax.linen.BatchNorm(use_running_average=True, epsilon=1e-5)`
    """

    code: ClassVar[str] = "channels-scaled"
    shown_by: ClassVar[str] = "many positions in each channel, and values of both signs"
    is_fitted: ClassVar[bool] = True

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """None to enumerate: `fit/channel_scale_search.py` looks for lines at sample points."""
        return iter(())

    def sentence(self, edit: Edit) -> str:
        factors = edit["factors"]
        shown = ", ".join(f"{f:.4g}" for f in factors[:4]) + (", ..." if len(factors) > 4 else "")
        shifted = " and shifted" if any(edit["values"]) else ""
        return f"each output channel was scaled{shifted} by itself (factors {shown})"


@dataclass(frozen=True)
class LinePerChannel(OutputChange):
    """Each channel was multiplied by a factor and shifted by a constant of its own."""

    def verify(self, trial: Trial) -> Fields | None:
        values = ChannelValues.of(trial.obtained, trial.sums, relu=trial.relu_after)
        line = line_per_channel(trial.twice_stored, values)
        if line is None:
            return None
        factors, constants = (numbers.tolist() for numbers in line)
        return {ChannelsScaled.code: {"factors": factors, "values": constants}}


@dataclass(frozen=True)
class OneFactorAndConstants(OutputChange):
    """Everything was multiplied by one factor, then each channel shifted by its own constant."""

    def verify(self, trial: Trial) -> Fields | None:
        values = ChannelValues.of(trial.obtained, trial.sums, relu=trial.relu_after)
        fit = one_factor(trial.twice_stored, values, USUAL_FACTORS)
        if fit is None:
            return None
        factor, lows, highs = fit
        ends = zip(lows.tolist(), highs.tolist(), strict=True)
        constants = [shortest_between(low, high) for low, high in ends]
        return {Scaled.code: {"factor": factor}, BiasAdded.code: {"values": constants}}
