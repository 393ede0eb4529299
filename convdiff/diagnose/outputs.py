"""Hypotheses about the output: laid out otherwise, channels reversed, bias, scale, activation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from convdiff.case import Edit
from convdiff.diagnose.fitted import OutputBatchPermuted, OutputChannelsPermuted, OverlapAccumulated
from convdiff.diagnose.forms import OperationForm, OutputForm
from convdiff.diagnose.hypothesis import OutputHypothesis
from convdiff.diagnose.inputs import GroupsInterleaved, interleaved
from convdiff.diagnose.problem import Problem
from convdiff.diagnose.reshaping import read_otherwise


class OutputAxesPermuted:
    """The output's axes are in another order than the one asked.

    How it shows: the shape, unless the exchanged axes have equal sizes; then everything but a diagonal.
    Typical causes: an NHWC output compared with an NCHW one, H and W exchanged on the way.
    Fix: transpose the output: output.transpose(0, 3, 1, 2) brings NHWC to NCHW; or say it with --output-layout.
    """

    code: ClassVar[str] = "output-axes-permuted"

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:
        """Every other order with the asked batch and channels."""
        layout = problem.spec.output_layout
        if base.edits or problem.obtained.ndim != len(layout):
            return
        for read, oddness, made in read_otherwise(problem.placed_obtained, layout, "NC" + problem.spec.axes):
            yield base.plus({"code": self.code, "asked": layout, "obtained": read}, oddness, array=made)

    def sentence(self, edit: Edit) -> str:
        return f"the output is laid out {edit['obtained']} where {edit['asked']} was asked"


class OutputReshaped:
    """The output's buffer was reshaped to another layout's shape, not transposed: its values were shuffled.

    How it shows: everything differs, shapes are right.
    Typical causes: reshape or view used to bring NHWC to NCHW, or to flatten before a dense layer in the other order.
    Fix: transpose instead of reshape: output.transpose(0, 3, 1, 2) brings NHWC to NCHW.
    """

    code: ClassVar[str] = "output-reshaped"

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:
        """Undo each common mistaken reshape."""
        layout = problem.spec.output_layout
        if base.edits or problem.obtained.ndim != len(layout):
            return
        # The obtained array has the target's shape: reading it back is the reshape from target to source.
        for target, source, made in problem.reshaped_outputs:
            if target == layout:
                yield base.plus({"code": self.code, "asked": source, "obtained": target}, 0.2, array=made)

    def sentence(self, edit: Edit) -> str:
        return f"the output's {edit['asked']} buffer was reshaped, not transposed, to {edit['obtained']}"


class OutputChannelsReversed:
    """The output's channels come in reverse order.

    How it shows: channel c holds what channel C-1-c should.
    Typical causes: a kernel reversed along O, [::-1] on the wrong axis of the output.
    Fix: reverse the channel axis on one side only.
    """

    code: ClassVar[str] = "output-channels-reversed"

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:
        """The one reversal."""
        if base.array.shape[1] > 1 and not base.has(self.code):
            yield base.plus({"code": self.code}, 0.25, array=base.array.flipped([1]))

    def sentence(self, edit: Edit) -> str:
        return "the output's channels were reversed"


class OutputGroupsInterleaved(GroupsInterleaved):
    """The groups' output channels were written in turn, not in blocks: see the input's side."""

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:  # type: ignore[override]
        """The output's channels dealt out."""
        groups, channels = problem.spec.groups, base.array.shape[1]
        if 1 < groups < channels and not base.has(self.code):
            order = interleaved(channels, groups)
            yield base.plus({"code": self.code, "groups": groups, "which": "output"}, 0.15, array=base.array.along(1, order))


class BiasMissing:
    """The bias was not added.

    How it shows: each channel is off by a constant.
    Typical causes: use_bias=False on one side, the bias loaded into another layer, an in-place variant that returns the convolution only.
    Fix: add the bias once, one value per output channel.
    """

    code: ClassVar[str] = "bias-missing"
    factor: ClassVar[int] = 0

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:
        """The bias counted `factor` times."""
        if problem.bias is not None and base.bias_factor == 1 and base.values != "offset" and np.any(problem.channel_bias):
            edit = {"code": self.code, "values": problem.channel_bias.tolist()}
            yield base.plus(edit, 0.05, bias_factor=self.factor)

    def sentence(self, edit: Edit) -> str:
        return "the bias was not added"


class BiasDoubled(BiasMissing):
    """The bias was added twice.

    How it shows: each channel is off by its bias.
    Typical causes: the convolution adds it and the code around it adds it again.
    Fix: add the bias once.
    """

    code: ClassVar[str] = "bias-doubled"
    factor: ClassVar[int] = 2

    def sentence(self, edit: Edit) -> str:
        return "the bias was added twice"


class BiasAdded:
    """A constant per output channel was added that was not asked for.

    How it shows: each channel is off by a constant, everywhere.
    Typical causes: a layer's bias left out of the comparison, a folded BatchNorm's shift, another bias loaded.
    Fix: give the bias with --bias, or save the output before it is added.
    """

    code: ClassVar[str] = "bias-added"

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:
        """Values unknown: compared up to a constant per channel, fitted by the proof."""
        if base.values == "plain" and base.bias_factor == 1:
            yield base.plus({"code": self.code}, 0.3, values="offset")

    def sentence(self, edit: Edit) -> str:
        values = edit.get("values", [])
        shown = ", ".join(f"{v:.4g}" for v in values[:4]) + (", ..." if len(values) > 4 else "")
        return f"a bias was added that was not asked for ({shown})"


class Scaled:
    """Every element was multiplied by one factor.

    How it shows: obtained / reference is the same everywhere.
    Typical causes: inputs divided by 255 on one side only, an average in place of a sum, a gradient summed over the batch.
    Fix: apply the factor on both sides or on neither.
    """

    code: ClassVar[str] = "scaled"

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:
        """The factor unknown: fitted by the proof."""
        if base.values == "plain":
            yield base.plus({"code": self.code}, 0.3, values="factor")

    def sentence(self, edit: Edit) -> str:
        return f"everything was multiplied by {edit['factor']:.6g}"


class ActivationApplied:
    """An activation was applied to the output.

    How it shows: ReLU: no element is negative, and the zeros stand where the reference is.
    Typical causes: activation="relu" in the layer, an output saved after the fused activation.
    Fix: save the output before the activation, or apply it on both sides.
    """

    code: ClassVar[str] = "activation-applied"

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:
        """The activations whose range holds the obtained values."""
        if base.values != "plain" or not base.array.size:
            return
        low, high = problem.obtained_range
        if low == 0 and high > 0:
            if high <= 6:
                yield base.plus({"code": self.code, "obtained": "relu6"}, 0.3, values="relu6")
            yield base.plus({"code": self.code, "obtained": "relu"}, 0.1, values="relu")
        if low >= 0 and high <= 1:
            yield base.plus({"code": self.code, "obtained": "sigmoid"}, 0.3, values="sigmoid")
        if low >= -1 and high <= 1:
            yield base.plus({"code": self.code, "obtained": "tanh"}, 0.35, values="tanh")

    def sentence(self, edit: Edit) -> str:
        return f"{edit['obtained']} was applied to the output"


OUTPUT: tuple[OutputHypothesis, ...] = (
    OutputAxesPermuted(), OutputReshaped(), OutputChannelsReversed(), OutputGroupsInterleaved(), OutputBatchPermuted(),
    BiasMissing(), BiasDoubled(), BiasAdded(), Scaled(), ActivationApplied(), OverlapAccumulated(),
    OutputChannelsPermuted(),
)
