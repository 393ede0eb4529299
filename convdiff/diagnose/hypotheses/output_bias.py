"""Hypotheses about the bias: missing, added twice, or one that was not asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.forms import OperationForm, OutputForm
from convdiff.diagnose.core.problem import Problem
from convdiff.records import Edit


class BiasMissing:
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
    factor: ClassVar[int] = 0

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """The bias counted `factor` times."""
        if (
            problem.bias is not None
            and base.bias_factor == 1
            and base.values != "offset"
            and np.any(problem.channel_bias)
        ):
            edit = {"code": self.code, "values": problem.channel_bias.tolist()}
            yield base.plus(edit, 0.05, bias_factor=self.factor)

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
    factor: ClassVar[int] = 2

    def sentence(self, edit: Edit) -> str:
        return "the bias was added twice"


class BiasAdded:
    """A constant per output channel was added that was not asked for.

    How it shows: each channel is off by a constant of its own, at every position.
    Typical causes: a layer's bias left out of the comparison (nn.Conv2d and keras.layers.Conv2D
    have one unless told otherwise); the shift of a BatchNorm folded into the layer; another layer's
    bias loaded; a zero point left in by quantisation.
    What tells it apart: more than one position in each channel; an input of zeros gives the added
    constants themselves.
    Fix: give the bias with --bias, or compare without it:
        numpy: `output - bias[:, None, None]` for NCHW
        torch: `nn.Conv2d(C, O, 3, bias=False)`; the constants are in `layer.bias`
        tensorflow: `keras.layers.Conv2D(O, 3, use_bias=False)`; they are the last of `layer.get_weights()`
        jax: `flax.linen.Conv(O, (3, 3), use_bias=False)`; jax.lax adds none
    """

    code: ClassVar[str] = "bias-added"

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """Values unknown: compared up to a constant per channel, fitted by the proof.  One element
        is some constant off from anything.
        """
        if (
            base.values == "plain"
            and base.bias_factor == 1
            and base.array.size >= 2 * base.array.shape[1]
        ):
            yield base.plus({"code": self.code}, 0.3, values="offset")

    def sentence(self, edit: Edit) -> str:
        values = edit.get("values", [])
        least = 1e-6 * max(map(abs, values), default=0)
        shown = ", ".join(f"{v if abs(v) > least else 0:.4g}" for v in values[:4]) + (
            ", ..." if len(values) > 4 else ""
        )
        return f"a bias was added that was not asked for ({shown})"
