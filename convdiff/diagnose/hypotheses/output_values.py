"""Hypotheses about the output's values: activations, limits, wrapped sums; and the output's table.

`OUTPUT` lists every hypothesis about the output, of the modules beside this one too, in the order
in which a set of edits names them: a form that has an edit gains only those of its own hypothesis
and of those after it, so that no set of edits is made twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.activation_change import RELU, RELU6, Activated, Clamped
from convdiff.diagnose.core.activations import SIGMOID, TANH
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.output_change import UNCHANGED, Fields, OpenChange, SumPair, Trial
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import OutputHypothesis
from convdiff.diagnose.hypotheses.output_bias import BiasAdded, BiasDoubled, BiasMissing
from convdiff.diagnose.hypotheses.output_order import (
    BATCH_REORDERED,
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

# The activations that people most often leave on; the others are odder.
ODDNESS = {SIGMOID: 0.3, TANH: 0.35}
OTHER_ODDNESS = 0.4


class ActivationApplied(OutputHypothesis):
    """An activation was applied to the output.

    How it shows: with ReLU no element is negative, and zeros stand where the reference is negative;
    sigmoid and tanh keep within (0, 1) and (-1, 1); GELU, SiLU, Mish and hard swish go no lower
    than -0.170, -0.278, -0.309 and -0.375, ELU than -1; a leaky ReLU has small values below 0
    beside large ones above. ReLU on an output without negative elements shows nothing.
    Typical causes: activation="relu" in a Keras layer; an output saved by a hook after a fused
    activation; inference libraries that fuse Conv and ReLU; an in-place nn.ReLU(inplace=True) that
    overwrites the saved array.
    What tells it apart: an output with many negative elements, and some beyond 6.
    Fix: save the output before the activation, or apply it on both sides:
        numpy: `np.maximum(output, 0)` on the side that lacks it
        torch: `nn.ReLU(inplace=False)`, or `output.clone()` in the hook
        tensorflow: `keras.layers.Conv2D(O, 3, activation=None)`
        jax: `jax.nn.relu(output)` on the side that lacks it: jax.lax and flax apply none
    """

    code: ClassVar[str] = "activation-applied"
    shown_by: ClassVar[str] = "values of both signs"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The activations whose range holds the obtained values.

        ReLU also beside batch items in any order, which it does not depend on.
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
        for activation in problem.likely_activations:
            oddness = ODDNESS.get(activation, OTHER_ODDNESS)
            edit = {"code": self.code, **activation.fields}
            yield base.plus(edit, oddness, change=Activated(activation))

    def sentence(self, edit: Edit) -> str:
        kind = f" (its {edit['approximate']} approximation)" if "approximate" in edit else ""
        slope = f" with slope {edit['slope']:g}" if "slope" in edit else ""
        return f"{edit['obtained']}{kind}{slope} was applied to the output"


class Clipped(OutputHypothesis):
    """Values beyond two limits were cut off there.

    How it shows: the least or the largest value is a round number (0, 255, 1) and occurs many
    times. Where every sum lies within the limits nothing shows.
    Typical causes: OpenCV's filter2D saturates to the type of its input; np.clip before an image is
    saved; a quantized layer; a hard sigmoid or ReLU6 after the convolution.
    What tells it apart: values well inside the limits and some beyond both; ReLU, its rival, has
    one limit only.
    Fix: convert the input before the call, and clip only what is shown:
        numpy: `input.astype(np.float32)`
        opencv: `cv2.filter2D(image, cv2.CV_32F, kernel)`
        torch: `input.float()`
        tensorflow: `tf.cast(input, tf.float32)`
        jax: `input.astype(jnp.float32)`
    """

    code: ClassVar[str] = "clipped"
    shown_by: ClassVar[str] = "values well inside the limits, and some beyond both"
    # The limits that integer types and pictures have.
    limits: ClassVar[tuple[tuple[float, float], ...]] = (
        (0, 255),
        (0, 1),
        (-1, 1),
        (-128, 127),
        (0, 65535),
        (-32768, 32767),
    )

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """Limits that some obtained values equal, and none exceeds."""
        if base.change != UNCHANGED:
            return
        low, high = problem.obtained_range
        for least, most in self.limits:
            if least <= low < high <= most and (high == most or low == least != 0):
                edit = {"code": self.code, "limits": [least, most]}
                yield base.plus(edit, 0.3, change=Clamped(float(least), float(most)))

    def sentence(self, edit: Edit) -> str:
        return f"values were cut off at {edit['limits'][0]:g} and {edit['limits'][1]:g}"


class IntegerWrapped(OutputHypothesis):
    """Sums too large for an integer type wrapped around.

    How it shows: whole numbers, wrong by multiples of 256 (or 65536), and only where the sums are
    large or negative. Small sums show nothing.
    Typical causes: np.convolve, scipy.signal and scipy.ndimage answer in the type of the input,
    uint8 for a picture; JAX convolves int8 in int8; an accumulator of 8 or 16 bits in a quantized
    kernel.
    What tells it apart: sums well beyond the type's limits, which saturation would cut off; an
    input of small whole numbers, which then comes out right.
    Fix: convert the input before the call:
        numpy: `input.astype(np.float32)` or `input.astype(np.int32)`
        torch: `input.float()`
        tensorflow: `tf.cast(input, tf.float32)`
        jax: `input.astype(jnp.float32)`, or `preferred_element_type=jnp.int32` in
            jax.lax.conv_general_dilated
    """

    code: ClassVar[str] = "integer-wrapped"
    shown_by: ClassVar[str] = "sums well beyond the limits of the integer type"
    # Integer types, with the number of values that they have.
    moduli: ClassVar[dict[str, float]] = {
        "uint8": 2.0**8,
        "int8": 2.0**8,
        "uint16": 2.0**16,
        "int16": 2.0**16,
    }

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The types that hold all obtained values, if those are whole."""
        if base.change != UNCHANGED or not problem.obtained_integral:
            return
        low, high = problem.obtained_range
        for name, modulus in self.moduli.items():
            least = 0 if name.startswith("u") else -modulus / 2
            if least <= low and high < least + modulus and high - low > modulus / 16:
                edit = {"code": self.code, "obtained": name}
                yield base.plus(edit, 0.3, change=Wrapped(modulus))

    def sentence(self, edit: Edit) -> str:
        return f"sums wrapped around in {edit['obtained']}"


@dataclass(frozen=True)
class Wrapped(OpenChange):
    """The sums lost whole multiples of `modulus`, a number for each element left open."""

    modulus: float

    # Multiples that are listed for the first value; beyond, the first pair misses the wrapped sum.
    multiples: ClassVar[Array] = np.arange(-128.0, 129.0)

    def possible_sums(self, obtained: Array) -> Array:
        return np.asarray(obtained[:, None] + self.modulus * self.multiples)

    def relates(self, pair: SumPair) -> Array:
        difference = pair.sums - pair.obtained
        rest = np.abs(difference - self.modulus * np.rint(difference / self.modulus))
        near = rest <= pair.slack + pair.written
        # Where rounding is no small part of the modulus, any number is near some multiple.
        return np.asarray((near & (pair.slack < self.modulus / 8)).all(axis=0))

    def verify(self, trial: Trial) -> Fields | None:
        sums, scale = trial.sums
        lost = np.rint((sums - trial.obtained) / self.modulus)
        if (
            float(trial.rounding.allowed_error(sums, scale).max()) > self.modulus / 8
            or not lost.any()
        ):
            return None
        restored = trial.obtained + self.modulus * lost
        return {} if trial.rounding.explains_all(restored, sums, scale) else None


OUTPUT: tuple[OutputHypothesis, ...] = (
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
    ChannelsScaled(),
)
