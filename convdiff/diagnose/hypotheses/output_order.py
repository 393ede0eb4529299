"""Hypotheses about the order of the output: its axes, its buffer, its channels and batch items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from convdiff.diagnose.core.activation_change import RELU
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.layouts import axis_misreadings
from convdiff.diagnose.core.output_change import UNCHANGED
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.core.reordered import BATCH_AXIS, CHANNEL_AXIS, Reordered
from convdiff.diagnose.hypotheses.base import (
    CODES_THAT_MOVE_THE_BATCH,
    Edits,
    OutputHypothesis,
    first_indices,
    has_one_group,
)
from convdiff.diagnose.hypotheses.input import GroupsInterleaved, group_interleavings
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import kernel_span


class OutputAxesPermuted(OutputHypothesis):
    """The output's axes are in another order than asked for.

    How it shows: The output has another shape. If the exchanged axes have the same size, every
    element off the diagonal differs.
    Typical causes: An NHWC output compared with an NCHW one; H and W exchanged; an output flattened
    in the other order for a dense layer; a framework whose output has its own layout, whatever the
    input's is.
    What tells it apart: Different sizes of batch, channels, height and width. An input read in
    another order gives another output, unless the kernel's axes are exchanged too.
    Fix: Transpose the output, or give its layout with --output-layout:
        numpy: `output.transpose(0, 3, 1, 2)` converts NHWC to NCHW
        torch: `output.permute(0, 2, 3, 1)` converts NCHW to NHWC, as before a Flatten that was
            ported from TensorFlow
        tensorflow: `tf.transpose(output, [0, 3, 1, 2])` converts NHWC to NCHW
        jax: `dimension_numbers=("NCHW", "OIHW", "NHWC")` names the output's axes too
        theano: `output.dimshuffle(0, 2, 3, 1)`
    """

    code: ClassVar[str] = "output-axes-permuted"
    may_look_restored: ClassVar[bool] = True
    moves_output_channels: ClassVar[bool] = True
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The obtained output with its axes in every other order."""
        layout = problem.spec.output_layout
        if base.edits or problem.obtained.ndim != len(layout):
            return
        target = "NC" + problem.spec.axes
        for read, oddness, view in axis_misreadings(problem.obtained_view, layout, target):
            edit = {"code": self.code, "asked": layout, "obtained": read}
            yield base.plus(edit, oddness, array=view)

    def sentence(self, edit: Edit) -> str:
        return f"the output's layout is {edit['obtained']} instead of {edit['asked']}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        return {"output_layout": edit["obtained"]}


class OutputReshaped(OutputHypothesis):
    """The output was reshaped to another layout instead of transposed.

    How it shows: The output's values are shuffled, so every element differs although every shape is
    right; sorted, the values are the same. One output channel shows nothing.
    Typical causes: reshape or view used to convert NHWC to NCHW; a flattened output reshaped in the
    other framework's order; a raw buffer read with the wrong shape.
    What tells it apart: More than one output channel and more than one position. Exchanged axes
    keep the values of each channel together; a reshape mixes them.
    Fix: Transpose to change the order of the axes; reshape only joins or splits adjacent axes:
        numpy: `output.transpose(0, 3, 1, 2)` converts NHWC to NCHW
        torch: `output.permute(0, 3, 1, 2)`, never `output.view(N, C, H, W)`
        tensorflow: `tf.transpose(output, [0, 3, 1, 2])`
        jax: `jnp.transpose(output, (0, 3, 1, 2))`
        theano: `output.dimshuffle(0, 3, 1, 2)`
    """

    code: ClassVar[str] = "output-reshaped"
    may_look_restored: ClassVar[bool] = True
    moves_output_channels: ClassVar[bool] = True
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The obtained output with each common mistaken reshape undone."""
        layout = problem.spec.output_layout
        if base.edits or problem.obtained.ndim != len(layout):
            return
        # A reshape from `source` to `target` is undone by the reshape from `target` to `source`.
        for target, source, view in problem.reshaped_outputs:
            if target == layout:
                edit = {"code": self.code, "asked": source, "obtained": target}
                yield base.plus(edit, 0.2 if source[0] == "N" else 0.25, array=view)

    def sentence(self, edit: Edit) -> str:
        return (
            f"the output's {edit['asked']} buffer was reshaped, not transposed, to "
            f"{edit['obtained']}"
        )


class OutputChannelsReversed(OutputHypothesis):
    """The output's channels are in reverse order.

    How it shows: Channel c has the values of channel C-1-c. One channel shows nothing.
    Typical causes: A kernel reversed along O by mistake (np.flip without axis=, or kernel[::-1]
    where a spatial axis was meant); [::-1] on the wrong axis of the output; an image written as
    BGR.
    What tells it apart: A bias of distinct values, which reversed channels of the kernel leave in
    place. With two channels, the reverse is the only other order.
    Fix: Reverse the channel axis on one side only:
        numpy: `output[:, ::-1]` for NCHW, `output[..., ::-1]` for NHWC
        torch: `output.flip(1)`
        tensorflow: `tf.reverse(output, [-1])`
        jax: `jnp.flip(output, axis=1)` for NCHW
        theano: `output[:, ::-1]`
    """

    code: ClassVar[str] = "output-channels-reversed"
    numbers_output_channels: ClassVar[bool] = True
    shown_by: ClassVar[str] = "channels that differ"
    interchangeable_with: ClassVar[tuple[str, ...]] = ("kernel-channels-reversed",)

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The obtained output with its channels in reverse order."""
        if base.array.shape[1] > 1 and not base.has(self.code):
            yield base.plus({"code": self.code}, 0.25, array=base.array.flipped([1]))

    def sentence(self, edit: Edit) -> str:
        return "the output's channels were reversed"

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The kernel's output channels reversed, if nothing else tells the channels apart."""
        reversed_axes = {e["axis"] for e in edits if e["code"] == "kernel-channels-reversed"}
        if channels_are_alike(edits, problem) and "O" not in reversed_axes:
            yield {"code": "kernel-channels-reversed", "axis": "O"}


def channels_are_alike(edits: Edits, problem: Problem) -> bool:
    """Whether no bias, no groups and no other order of the output tell its channels apart."""
    codes = {edit["code"] for edit in edits}
    telling_apart = codes & {"bias-added", "output-axes-permuted", "output-reshaped"}
    return has_one_group(edits, problem) and problem.bias is None and not telling_apart


class OutputGroupsInterleaved(GroupsInterleaved, OutputHypothesis):
    """The output's channels were interleaved between the groups.

    The page is that of `InputGroupsInterleaved`.
    """

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The obtained output with interleaved, or wrongly gathered, channels put in order."""
        channels, groups = base.array.shape[1], problem.spec.groups
        for edit, oddness, order in group_interleavings(channels, groups, "output"):
            if not base.has(self.code):
                yield base.plus(edit, oddness, array=base.array.select(1, order))


class OutputBatchPermuted(OutputHypothesis):
    """The output's batch items are in another order.

    How it shows: Each item of the output is correct, but is that of another item. A batch of one
    shows nothing, nor do identical items.
    Typical causes: A data loader that shuffles; files listed in another order, since glob does not
    sort; outputs gathered from several workers or devices in the order in which they came.
    What tells it apart: Items that differ tell it from all but one other mistake: the input's items
    in the same order give the same array.
    Fix: Save both sides' arrays from the same batch, or put them into the same order:
        numpy: `output[np.argsort(permutation)]`
        torch: `torch.utils.data.DataLoader(dataset, shuffle=False)`
        tensorflow: `tf.data.Dataset.list_files(pattern, shuffle=False)`; it shuffles by default
        jax: `jnp.take(output, jnp.argsort(jnp.array(permutation)), axis=0)`
    """

    code: ClassVar[str] = "output-batch-permuted"
    numbers_items: ClassVar[bool] = True
    shown_by: ClassVar[str] = "batch items that differ"
    interchangeable_with: ClassVar[tuple[str, ...]] = ("input-batch-permuted",)

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The two items of a batch exchanged, or more items in an unknown order."""
        items = base.array.shape[0]
        if items == 2 and not base.has(self.code):
            edit = {"code": self.code, "permutation": [1, 0]}
            yield base.plus(edit, 0.35, array=base.array.flipped([0]))
        if items > 2 and base.change == UNCHANGED:
            yield base.plus({"code": self.code}, 0.35, change=BATCH_REORDERED)

    def sentence(self, edit: Edit) -> str:
        return "the output's batch items came in another order"

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The input's items in the same order, unless other edits move the batch."""
        codes = {other["code"] for other in edits}
        if not codes & {*CODES_THAT_MOVE_THE_BATCH, "input-batch-permuted"}:
            yield {"code": "input-batch-permuted", "permutation": edit["permutation"]}


BATCH_REORDERED = Reordered(OutputBatchPermuted.code, BATCH_AXIS)


class OutputChannelsPermuted(OutputHypothesis):
    """The output's channels are in another order.

    How it shows: Each channel is correct, but is another channel of the reference. One channel
    shows nothing, nor do identical ones.
    Typical causes: The kernel's output channels sorted or pruned on one side; weights matched by
    name in another order; branches concatenated in another order (torch.cat, tf.concat); a channel
    shuffle; the shards of a layer gathered in another order.
    What tells it apart: Output channels that differ, and a bias of distinct values, which a kernel
    in another order would leave in place.
    Fix: Use the same order of the kernel's output channels, and of the bias, on both sides:
        numpy: `kernel[permutation]` for OIHW puts the reference's channels in the obtained order
        torch: `output[:, torch.argsort(torch.tensor(permutation))]` undoes it
        tensorflow: `tf.gather(output, tf.argsort(permutation), axis=-1)` undoes it in NHWC
        jax: `jnp.take(output, jnp.argsort(jnp.array(permutation)), axis=1)` undoes it in NCHW
    """

    code: ClassVar[str] = "output-channels-permuted"
    numbers_output_channels: ClassVar[bool] = True
    moves_output_channels: ClassVar[bool] = True
    shown_by: ClassVar[str] = "channels that differ"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The channels in an unknown order, with or without ReLU before it.

        None beside a reversal, which is a likelier order and has a hypothesis of its own.
        """
        may_be_permuted = base.array.shape[1] > 1 and not base.has(OutputChannelsReversed.code)
        if base.change in (UNCHANGED, RELU) and may_be_permuted:
            relu = base.change == RELU
            yield base.plus({"code": self.code}, 0.45, change=CHANNELS_REORDERED, relu_before=relu)

    def sentence(self, edit: Edit) -> str:
        return f"the output's channels came in the order {first_indices(edit['permutation'])}"


CHANNELS_REORDERED = Reordered(OutputChannelsPermuted.code, CHANNEL_AXIS)


class OperandsExchanged(OutputHypothesis):
    """Input and kernel were exchanged: the input was slid over the kernel.

    How it shows: The output is reversed along every spatial axis. A convolution with a flipped
    kernel is the same either way, and shows nothing.
    Typical causes: np.correlate(kernel, signal), whose arguments have no order in which one is
    plainly the kernel; F.conv1d(weight, input); np.correlate and scipy.signal.correlate in mode
    valid, which exchange operands by themselves where the second is longer.
    What tells it apart: Data without symmetry. A reversed input under a flipped kernel gives the
    same output, and so does a template match whose lags have the opposite sign.
    Fix: Pass the input first and the kernel second, or reverse the output:
        numpy: `output[..., ::-1]` undoes it for a signal, `output[..., ::-1, ::-1]` for an image
        torch: `F.conv1d(input, kernel)`
        tensorflow: `tf.nn.conv2d(input, filters)`
        jax: `jnp.correlate(input, kernel, mode="full")`
        theano: `theano.tensor.nnet.conv2d(input, filters)`
    """

    code: ClassVar[str] = "operands-exchanged"
    shown_by: ClassVar[str] = "an input or a kernel without symmetry"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The obtained output reversed along all spatial axes, where exchanging has that effect."""
        if not base.edits and _operands_can_be_exchanged(problem):
            axes = range(2, len(base.array.shape))
            yield base.plus({"code": self.code}, 0.3, array=base.array.flipped(axes))

    def sentence(self, edit: Edit) -> str:
        return "input and kernel were exchanged, so that the output is reversed"


def _operands_can_be_exchanged(problem: Problem) -> bool:
    """Whether an exchange of the operands reverses the output, and does nothing else.

    Along several axes, libraries keep the output's size only in the modes full and valid.
    """
    spec = problem.spec
    full = tuple((kernel_span(k, 1) - 1,) * 2 for k in spec.kernel_size)
    out_channels = spec.out_channels // 2 if problem.complex_parts else spec.out_channels
    plain_mode = spec.rank == 1 or spec.padding in (full, ((0, 0),) * spec.rank)
    return (
        spec.batch == out_channels == spec.groups == 1
        and not spec.transposed
        and not spec.flip
        and max(*spec.stride, *spec.dilation, *spec.input_dilation) == 1
        and plain_mode
        and (
            (spec.pad_mode == "constant" and spec.pad_value == 0) or not any(map(any, spec.padding))
        )
    )
