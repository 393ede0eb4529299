"""Hypotheses about the output's values: scale, activation, limits, wrapped sums; and all about the
output, as the search takes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.activations import fields
from convdiff.diagnose.core.forms import OperationForm, OutputForm
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.core.relations import MODULI
from convdiff.diagnose.hypotheses.base import OutputHypothesis
from convdiff.diagnose.hypotheses.output_bias import BiasAdded, BiasDoubled, BiasMissing
from convdiff.diagnose.hypotheses.output_fitted import (
    OutputBatchPermuted,
    OutputChannelsPermuted,
    OverlapAccumulated,
)
from convdiff.diagnose.hypotheses.output_order import (
    OutputAxesPermuted,
    OutputChannelsReversed,
    OutputGroupsInterleaved,
    OutputReshaped,
)
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.records import Edit
from convdiff.spec.layout import Array

# Elements from which on an unknown factor can be told: one is used up by it, and two must be left
# to test it on.
LEAST_SCALED = 3
_USUAL = (*range(2, 11), 16, 100, 127.5, 128, 255, 256)
USUAL_FACTORS = (-1.0, *map(float, _USUAL), *(1 / factor for factor in _USUAL))

# The activations people most often leave on; others are odder.
ODDNESS = {"sigmoid": 0.3, "tanh": 0.35}


class Scaled:
    """Every element was multiplied by one factor.

    How it shows: obtained / reference is the same everywhere.
    Typical causes: inputs divided by 255 on one side only (torchvision's ToTensor divides, Pillow
    and cv2 do not); an average in place of a sum (a box filter that is normalised, the number of
    taps or the batch size as factor); a gradient summed over the batch; a quantised layer's scale
    left out; equal data in wrong groups.
    What tells it apart: channels that differ and a bias: a factor on the input leaves the bias
    alone, one on the output does not.
    Fix: apply the factor on both sides or on neither:
        numpy: `input.astype(np.float32) / 255` on the side that lacks it
        torch: `input.float() / 255`; `torchvision.transforms.ToTensor` does it too
        tensorflow: `tf.cast(input, tf.float32) / 255`; `keras.layers.Rescaling(1 / 255)` does it in the model
        jax: `input.astype(jnp.float32) / 255`
    """

    code: ClassVar[str] = "scaled"

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """The factor unknown: fitted by the proof.  Of everything, or of the sums before the bias
        is added.

        Of one or two elements any is some factor off: only those that people multiply by are worth
        telling.
        """
        if base.values != "plain":
            return
        kinds: tuple[tuple[str, Edit], ...] = (("factor", {"code": self.code}),)
        if base.array.size < LEAST_SCALED:
            kinds = tuple(
                (f"times {factor!r}", {"code": self.code, "factor": factor})
                for factor in USUAL_FACTORS
            )
        for values, edit in kinds:
            yield base.plus(edit, 0.3, values=values)
            if base.bias_factor == 1 and np.any(problem.channel_bias):
                yield base.plus(
                    {**edit, "of": "sums"}, 0.35, values=values, bias_factor=0, bias_kept=True
                )

    def sentence(self, edit: Edit) -> str:
        if edit.get("of"):
            return f"the sums were multiplied by {edit['factor']:.6g}, the bias was not"
        return f"everything was multiplied by {edit['factor']:.6g}"


class ActivationApplied:
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

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """The activations whose range holds the obtained values; ReLU also of items in any order,
        which changes nothing of it.
        """
        if base.values == "items" and problem.obtained_range[0] == 0:
            yield base.plus({"code": self.code, "obtained": "relu"}, 0.1, rectified=True)
        if base.values != "plain" or not base.array.size:
            return
        low, high = problem.obtained_range
        if low >= 0 and 0 < high <= 6 and (low == 0 or high == 6):
            yield base.plus({"code": self.code, "obtained": "relu6"}, 0.3, values="relu6")
        if low == 0:
            yield base.plus({"code": self.code, "obtained": "relu"}, 0.1, values="relu")
        for name in problem.likely_activations:
            yield base.plus(
                {"code": self.code, **fields(name)}, ODDNESS.get(name, 0.4), values=name
            )

    def sentence(self, edit: Edit) -> str:
        kind = f" (its {edit['approximate']} approximation)" if "approximate" in edit else ""
        slope = f" with slope {edit['slope']:g}" if "slope" in edit else ""
        return f"{edit['obtained']}{kind}{slope} was applied to the output"


class Clipped:
    """Values beyond two limits were cut off there.

    How it shows: the least or the largest value is a round number (0, 255, 1) and occurs many
    times. Where every sum lies within the limits nothing shows.
    Typical causes: OpenCV's filter2D saturates to the type of its input; np.clip before an image is
    saved; a quantised layer; a hard sigmoid or ReLU6 after the convolution.
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
    limits: ClassVar[tuple[tuple[float, float], ...]] = (
        (0, 255),
        (0, 1),
        (-1, 1),
        (-128, 127),
        (0, 65535),
        (-32768, 32767),
    )

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """The limits that types and pictures have, where an output stands at one of them and at
        none beyond.
        """
        if base.values == "plain":
            low, high = problem.obtained_range
            for least, most in self.limits:
                if least <= low < high <= most and (high == most or low == least != 0):
                    edit = {"code": self.code, "limits": [least, most]}
                    yield base.plus(edit, 0.3, values=f"clip {least} {most}")

    def sentence(self, edit: Edit) -> str:
        return f"values were cut off at {edit['limits'][0]:g} and {edit['limits'][1]:g}"


class IntegerWrapped:
    """Sums too large for an integer type wrapped around.

    How it shows: whole numbers, wrong by multiples of 256 (or 65536), and only where the sums are
    large or negative. Small sums show nothing.
    Typical causes: np.convolve, scipy.signal and scipy.ndimage answer in the type of the input,
    uint8 for a picture; JAX convolves int8 in int8; an accumulator of 8 or 16 bits in a quantised
    kernel.
    What tells it apart: sums well beyond the type's limits, which saturation would cut off; an
    input of small whole numbers, which then comes out right.
    Fix: convert the input before the call:
        numpy: `input.astype(np.float32)` or `input.astype(np.int32)`
        torch: `input.float()`
        tensorflow: `tf.cast(input, tf.float32)`
        jax: `input.astype(jnp.float32)`, or `preferred_element_type=jnp.int32` in jax.lax.conv_general_dilated
    """

    code: ClassVar[str] = "integer-wrapped"

    def __init__(self, name: str = "uint8") -> None:
        self.name = name

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """The types that hold all obtained values, if those are whole."""
        if base.values != "plain" or not problem.obtained_whole:
            return
        low, high = problem.obtained_range
        for name, modulus in MODULI.items():
            least = 0 if name.startswith("u") else -modulus / 2
            if least <= low and high < least + modulus and high - low > modulus / 16:
                yield base.plus({"code": self.code, "obtained": name}, 0.3, values=name)

    def fit(self, rounding: Rounding, obtained: Array, reference: Reference) -> Edit | None:
        """The edit if every element is right but for whole turns, and some have lost one."""
        modulus = MODULI[self.name]
        turns = np.rint((reference.output - obtained) / modulus)
        if float(rounding.allowed_error(reference.output, reference.scale).max()) > modulus / 8:
            return None
        if not turns.any() or not rounding.explains_all(
            obtained + modulus * turns, reference.output, reference.scale
        ):
            return None
        return {"code": self.code, "obtained": self.name}

    def sentence(self, edit: Edit) -> str:
        return f"sums wrapped around in {edit['obtained']}"


class ChannelsScaled:
    """Each output channel was multiplied by a factor and shifted by a constant of its own.

    How it shows: each channel lies on a straight line over the reference's. With two positions in a
    channel any two numbers do.
    Typical causes: a BatchNorm folded into the layer on one side only, or with another epsilon
    (1e-3 in Keras, 1e-5 in torch), or along the wrong axis of the weights; per-channel quantisation
    scales; a normalisation of the input moved into the weights.
    What tells it apart: the layer without its BatchNorm; many positions in each channel, and
    factors that differ between them.
    Fix: compare the convolution alone, or fold on both sides with the same epsilon:
        numpy: `kernel * (gamma / np.sqrt(variance + epsilon))[:, None, None, None]` is the folded OIHW kernel
        torch: `torch.nn.utils.fusion.fuse_conv_bn_eval(conv, bn)`; `nn.BatchNorm2d(O, eps=1e-3)` has Keras' epsilon
        tensorflow: `keras.layers.BatchNormalization(epsilon=1e-5)` has torch's epsilon
        jax: `flax.linen.BatchNorm(use_running_average=True, epsilon=1e-5)`
    """

    code: ClassVar[str] = "channels-scaled"

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """None to enumerate: see `lines.py`."""
        return iter(())

    def sentence(self, edit: Edit) -> str:
        shown = ", ".join(f"{f:.4g}" for f in edit["factors"][:4]) + (
            ", ..." if len(edit["factors"]) > 4 else ""
        )
        shifted = " and shifted" if any(edit["values"]) else ""
        return f"each output channel was scaled{shifted} by itself (factors {shown})"


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
