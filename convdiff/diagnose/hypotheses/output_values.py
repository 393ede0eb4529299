"""Hypotheses about the output's values: an activation, clipping, wrapped integers; and `OUTPUT`.

`OUTPUT` lists all hypotheses about the output, also those of the other `output_` modules.  Its
order is that of the edits in a finding: a form is extended only by the hypothesis of its last edit
and by those after it, so that no set of edits is made twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.activation_change import (
    RELU,
    RELU6,
    Activated,
    Clamped,
    Magnitude,
    MagnitudeThen,
    UnknownSlopes,
)
from convdiff.diagnose.core.activations import LEAKY_SLOPES, SIGMOID, TANH
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.output_change import UNCHANGED, Fields, OpenChange, SumPair, WholeOutput
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import OutputHypothesis, first_values
from convdiff.diagnose.hypotheses.output_bias import BiasAdded, BiasDoubled, BiasMissing
from convdiff.diagnose.hypotheses.output_integer import StoredAsInteger
from convdiff.diagnose.hypotheses.output_order import (
    BATCH_REORDERED,
    OperandsExchanged,
    OutputAxesPermuted,
    OutputBatchPermuted,
    OutputChannelsPermuted,
    OutputChannelsReversed,
    OutputGroupsInterleaved,
    OutputReshaped,
)
from convdiff.diagnose.hypotheses.output_overlap import OverlapAccumulated
from convdiff.diagnose.hypotheses.output_scale import ChannelsScaled, Scaled
from convdiff.records import Edit
from convdiff.spec.layout import Array

# How odd the common activations are, and all others.
ACTIVATION_ODDNESS = {SIGMOID: 0.3, TANH: 0.35}
OTHER_ACTIVATION_ODDNESS = 0.4
# How odd magnitudes are, and slopes that are read off.
MAGNITUDE_ODDNESS, UNKNOWN_SLOPE_ODDNESS = 0.3, 0.45
# The share of the values of an integer type that wrapped sums must span to be evidence.
MIN_WRAPPED_RANGE = 1 / 16
# The share of the modulus that rounding may amount to; above it, any sum is near some multiple.
MAX_SLACK_OF_MODULUS = 1 / 8


class ActivationApplied(OutputHypothesis):
    """An activation was applied to the output, or its magnitude was taken.

    How it shows: With ReLU no element is negative, and the output is zero where the reference is
    negative. Of magnitudes (abs) none is negative either, and each has the size of the reference's;
    the magnitude of two gradients, sqrt(gx^2 + gy^2), has one channel where the two have one each.
    Sigmoid and tanh stay within (0, 1) and (-1, 1). GELU, SiLU, Mish and hard swish go no lower
    than -0.170, -0.278, -0.309 and -0.375, and ELU no lower than -1. A leaky ReLU gives small
    negative values beside large positive ones. ReLU on an output without negative elements shows
    nothing.
    Typical causes: activation="relu" in a Keras layer; an output saved by a hook after a fused
    activation; inference libraries that fuse Conv and ReLU; an in-place nn.ReLU(inplace=True) that
    overwrites the saved array; np.abs or cv2.convertScaleAbs before the output of an edge filter is
    shown as a picture.
    What tells it apart: Negative elements exclude ReLU and ReLU6, elements above 6 exclude ReLU6.
    The slope of a leaky ReLU, or of each channel of a PReLU, is read off the negative elements.
    Fix: Save the output before the activation, or apply it on both sides:
        numpy: `np.maximum(output, 0)` on the side that lacks it
        torch: `nn.ReLU(inplace=False)`, or `output.clone()` in the hook
        tensorflow: `keras.layers.Conv2D(O, 3, activation=None)`
        jax: `jax.nn.relu(output)` on the side that lacks it; jax.lax and Flax apply none
    """

    code: ClassVar[str] = "activation-applied"
    changes_single_values: ClassVar[bool] = True
    shown_by: ClassVar[str] = "values of both signs"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The activations that can give the obtained values.

        ReLU, the commonest, also beside batch items in an unknown order.
        """
        low, high = problem.obtained_range
        relu = {"code": self.code, "obtained": "relu"}
        if base.change == BATCH_REORDERED and low == 0:
            yield base.plus(relu, 0.1, relu_before=True)
        if base.change != UNCHANGED or not base.array.size:
            return
        if low >= 0 and 0 < high <= 6 and (low == 0 or high == 6):
            yield base.plus({"code": self.code, "obtained": "relu6"}, 0.3, change=RELU6)
        if low == 0:
            yield base.plus(relu, 0.1, change=RELU)
        if low >= 0 < high:
            magnitude = {"code": self.code, "obtained": "abs"}
            yield base.plus(magnitude, MAGNITUDE_ODDNESS, change=Magnitude())
        for activation in problem.likely_activations:
            oddness = ACTIVATION_ODDNESS.get(activation, OTHER_ACTIVATION_ODDNESS)
            edit = {"code": self.code, **activation.fields}
            yield base.plus(edit, oddness, change=Activated(activation))
        if low < 0 < high:
            leaky = {"code": self.code, "obtained": "leaky_relu"}
            yield base.plus(leaky, UNKNOWN_SLOPE_ODDNESS, change=UnknownSlopes(self.code))

    def is_fitted(self, edit: Edit) -> bool:
        """Whether a slope was read off the output."""
        return edit["obtained"] in ("leaky_relu", "prelu") and edit.get("slope") not in LEAKY_SLOPES

    def sentence(self, edit: Edit) -> str:
        if edit["obtained"] == "abs":
            return "the magnitude of each sum was taken: its sign was dropped"
        if edit["obtained"] == "magnitude":
            return f"the magnitude sqrt(a^2 + b^2) was taken{MAGNITUDE_OF[edit.get('of', '')]}"
        kind = f" (its {edit['approximate']} approximation)" if "approximate" in edit else ""
        slope = f" with slope {edit['slope']:g}" if "slope" in edit else ""
        if "slopes" in edit:
            slope = f" with a slope for each channel ({first_values(edit['slopes'])})"
        return f"{edit['obtained']}{kind}{slope} was applied to the output"


# Whose magnitude was taken, by the field `of`.
MAGNITUDE_OF = {
    "": "",
    "channels": " of the output channels",
    "exchanged axes": " of the sums of the kernel and of the kernel with H and W exchanged",
    "outputs": " of two of the other outputs",
}


class Clipped(OutputHypothesis):
    """Values beyond two limits were clipped to them.

    How it shows: The smallest or the largest value, often a round number (0, 255, 1), occurs many
    times. If all sums lie within the limits, nothing shows. Where only one limit was met, the other
    is null, unless it is that of a common type or minus the first one.
    Typical causes: OpenCV's filter2D, which saturates to the type of its input; np.clip before an
    image is saved; a quantized layer; a hard sigmoid or hard tanh after the convolution.
    What tells it apart: Values well inside the limits, and some beyond both. ReLU, its rival, has
    only one limit, 0.
    Fix: Convert the input before the call, and clip only what is displayed:
        numpy: `input.astype(np.float32)`
        opencv: `cv2.filter2D(image, cv2.CV_32F, kernel)`
        torch: `input.float()`
        tensorflow: `tf.cast(input, tf.float32)`
        jax: `input.astype(jnp.float32)`
    """

    code: ClassVar[str] = "clipped"
    changes_single_values: ClassVar[bool] = True
    shown_by: ClassVar[str] = "values well inside the limits, and some beyond both"
    # The limits of integer types and of images.
    limits: ClassVar[tuple[tuple[float, float], ...]] = (
        (0, 255),
        (0, 1),
        (-1, 1),
        (-128, 127),
        (0, 65535),
        (-32768, 32767),
    )

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """Common limits that the obtained values meet, or else their extremes, if repeated.

        Also after the magnitude was taken.
        """
        if isinstance(base.change, Magnitude):
            for form in self._clamped(problem, replace(base, change=UNCHANGED)):
                yield replace(form, change=MagnitudeThen(form.change))
        elif base.change == UNCHANGED:
            yield from self._clamped(problem, base)

    def _clamped(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        low, high = problem.obtained_range
        is_common = False
        for least, most in self.limits:
            if least <= low < high <= most and (high == most or low == least != 0):
                edit = {"code": self.code, "limits": [least, most]}
                yield base.plus(edit, 0.3, change=Clamped(float(least), float(most)))
                is_common |= high == most and low == least
        if not is_common and np.isfinite([low, high]).all() and low < high:
            yield from self._at_extremes(problem, base)

    def _at_extremes(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The limits that the extremes of the obtained values are, if any is repeated."""
        low, high = problem.obtained_range
        low_repeated, high_repeated = problem.repeated_extremes
        limits: list[float | None]
        if low_repeated and high_repeated:
            limits = [low, high]
        elif high_repeated:
            limits = [-high if -high < low else None, high]
        elif low_repeated and low != 0:
            limits = [low, -low if high < -low else None]
        else:
            return
        least, most = limits
        change = Clamped(
            -np.inf if least is None or not low_repeated else least,
            np.inf if most is None or not high_repeated else most,
            read_off=True,
        )
        edit = {"code": self.code, "limits": [_number(limit) for limit in limits]}
        yield base.plus(edit, 0.35, change=change)

    def sentence(self, edit: Edit) -> str:
        low, high = edit["limits"]
        if low is None:
            return f"values above {high:g} were clipped to it"
        if high is None:
            return f"values below {low:g} were clipped to it"
        return f"values were clipped at {low:g} and {high:g}"


def _number(limit: float | None) -> float | None:
    """A limit as it is shown: a whole number without a fraction, None for no limit."""
    return int(limit) if limit is not None and limit == int(limit) else limit


class IntegerWrapped(OutputHypothesis):
    """Sums too large for an integer type wrapped around.

    How it shows: Whole numbers that are wrong by multiples of 256 (or 65536), only where the sums
    are large or negative. Small sums show nothing.
    Typical causes: scipy.ndimage returns the type of its input, uint8 for an image, and np.convolve
    and scipy.signal return it if the kernel has it too; JAX convolves int8 in int8; an accumulator
    of 8 or 16 bits in a quantized layer.
    What tells it apart: Sums well beyond the type's limits, where saturation would clip them. An
    input of small whole numbers then gives a correct output.
    Fix: Convert the input before the call:
        numpy: `input.astype(np.float32)` or `input.astype(np.int32)`
        torch: `input.float()`
        tensorflow: `tf.cast(input, tf.float32)`
        jax: `input.astype(jnp.float32)`, or `preferred_element_type=jnp.int32` in
            jax.lax.conv_general_dilated
    """

    code: ClassVar[str] = "integer-wrapped"
    shown_by: ClassVar[str] = "sums well beyond the limits of the integer type"
    # The number of values of each integer type.
    moduli: ClassVar[dict[str, float]] = {
        "uint8": 2.0**8,
        "int8": 2.0**8,
        "uint16": 2.0**16,
        "int16": 2.0**16,
    }

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The types that contain all obtained values, if those are whole numbers."""
        if base.change != UNCHANGED or not problem.obtained_integral:
            return
        low, high = problem.obtained_range
        for name, modulus in self.moduli.items():
            least = 0 if name.startswith("u") else -modulus / 2
            if least <= low and high < least + modulus and high - low > modulus * MIN_WRAPPED_RANGE:
                edit = {"code": self.code, "obtained": name}
                yield base.plus(edit, 0.3, change=Wrapped(modulus))

    def sentence(self, edit: Edit) -> str:
        return f"sums wrapped around in {edit['obtained']}"


@dataclass(frozen=True)
class Wrapped(OpenChange):
    """Each sum lost an unknown multiple of `modulus`."""

    modulus: float

    # The multiples by which the first sum may have wrapped; a sum that lost more is missed.
    multiples: ClassVar[Array] = np.arange(-128.0, 129.0)

    def possible_sums(self, obtained: Array) -> Array:
        return np.asarray(obtained[:, None] + self.modulus * self.multiples)

    def relates(self, pair: SumPair) -> Array:
        lost = pair.sums - pair.obtained
        error = np.abs(lost - self.modulus * np.rint(lost / self.modulus))
        is_near = error <= pair.slack + pair.storage_error
        is_evidence = pair.slack < self.modulus * MAX_SLACK_OF_MODULUS
        return np.asarray((is_near & is_evidence).all(axis=0))

    def verify(self, whole: WholeOutput) -> Fields | None:
        sums, scale = whole.sums
        multiples = np.rint((sums - whole.obtained) / self.modulus)
        slack = float(whole.rounding.allowed_error(sums, scale).max())
        if slack > self.modulus * MAX_SLACK_OF_MODULUS or not multiples.any():
            return None
        unwrapped = whole.obtained + self.modulus * multiples
        return {} if whole.rounding.explains_all(unwrapped, sums, scale) else None


OUTPUT: tuple[OutputHypothesis, ...] = (
    OperandsExchanged(),
    OutputAxesPermuted(),
    OutputReshaped(),
    OutputChannelsReversed(),
    OutputGroupsInterleaved(),
    OutputBatchPermuted(),
    BiasMissing(),
    BiasDoubled(),
    BiasAdded(),
    Scaled(),
    ActivationApplied(),
    OverlapAccumulated(),
    OutputChannelsPermuted(),
    Clipped(),
    IntegerWrapped(),
    StoredAsInteger(),
    ChannelsScaled(),
)
