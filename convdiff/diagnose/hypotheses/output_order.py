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
    MOVES_THE_BATCH,
    Edits,
    OutputHypothesis,
    without_groups,
)
from convdiff.diagnose.hypotheses.input import GroupsInterleaved, dealings
from convdiff.records import Edit


class OutputAxesPermuted(OutputHypothesis):
    """The output's axes are in another order than the one asked.

    How it shows: by the shape, unless the exchanged axes have equal sizes; then everything but a
    diagonal differs.
    Typical causes: an NHWC output compared with an NCHW one; H and W exchanged on the way; an
    output flattened for a dense layer in the other order; a framework that answers in its own
    layout whatever the input's.
    What tells it apart: distinct sizes of batch, channels, height and width; an input read in
    another order gives another output unless the kernel is exchanged with it.
    Fix: transpose the output, or say its layout with --output-layout:
        numpy: `output.transpose(0, 3, 1, 2)` brings NHWC to NCHW
        torch: `output.permute(0, 2, 3, 1)` brings NCHW to NHWC, as before a Flatten ported from TensorFlow
        tensorflow: `tf.transpose(output, [0, 3, 1, 2])` brings NHWC to NCHW
        jax: `dimension_numbers=("NCHW", "OIHW", "NHWC")` names the output's axes too
        theano: `output.dimshuffle(0, 2, 3, 1)`
    """

    code: ClassVar[str] = "output-axes-permuted"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """Every other order with the asked batch and channels."""
        layout = problem.spec.output_layout
        if base.edits or problem.obtained.ndim != len(layout):
            return
        for read, oddness, made in axis_misreadings(
            problem.obtained_view, layout, "NC" + problem.spec.axes
        ):
            yield base.plus(
                {"code": self.code, "asked": layout, "obtained": read}, oddness, array=made
            )

    def sentence(self, edit: Edit) -> str:
        return f"the output is laid out {edit['obtained']} where {edit['asked']} was asked"


class OutputReshaped(OutputHypothesis):
    """The output's buffer was reshaped to another layout's shape, not transposed: its values were
    shuffled.

    How it shows: everything differs and every shape is right; the sorted values are the same. One
    output channel shows nothing.
    Typical causes: reshape or view used to bring NHWC to NCHW; a flattened output given its shape
    back in the other framework's order; a raw buffer read with the wrong shape.
    What tells it apart: more than one output channel and more than one position; an exchange of
    axes has each channel's values together, a reshape mixes them.
    Fix: transpose where the axes change their order; reshape only joins or splits neighbours:
        numpy: `output.transpose(0, 3, 1, 2)` brings NHWC to NCHW
        torch: `output.permute(0, 3, 1, 2)`, and never `output.view(N, C, H, W)`
        tensorflow: `tf.transpose(output, [0, 3, 1, 2])`
        jax: `jnp.transpose(output, (0, 3, 1, 2))`
        theano: `output.dimshuffle(0, 3, 1, 2)`
    """

    code: ClassVar[str] = "output-reshaped"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """Undo each common mistaken reshape."""
        layout = problem.spec.output_layout
        if base.edits or problem.obtained.ndim != len(layout):
            return
        # The obtained array has the target's shape: reading it back is the reshape from target to
        # source.
        for target, source, made in problem.reshaped_outputs:
            if target == layout:
                yield base.plus(
                    {"code": self.code, "asked": source, "obtained": target},
                    0.2 if source[0] == "N" else 0.25,
                    array=made,
                )

    def sentence(self, edit: Edit) -> str:
        return (
            f"the output's {edit['asked']} buffer was reshaped, not transposed, to "
            f"{edit['obtained']}"
        )


class OutputChannelsReversed(OutputHypothesis):
    """The output's channels come in reverse order.

    How it shows: channel c holds what channel C-1-c should. One channel shows nothing.
    Typical causes: a kernel reversed along O as well (np.flip without axis=, kernel[::-1] where
    spatial axes were meant), [::-1] on the wrong axis of the output, a picture written in BGR.
    What tells it apart: a bias with distinct values tells it from the kernel's output channels
    reversed, which it leaves in place; three channels or more tell it from other orders.
    Fix: reverse the channel axis on one side only:
        numpy: `output[:, ::-1]` for NCHW, `output[..., ::-1]` for NHWC
        torch: `output.flip(1)`
        tensorflow: `tf.reverse(output, [-1])`
        jax: `jnp.flip(output, axis=1)` for NCHW
        theano: `output[:, ::-1]`
    """

    code: ClassVar[str] = "output-channels-reversed"
    shown_by: ClassVar[str] = "channels that differ"
    interchangeable_with: ClassVar[tuple[str, ...]] = ("kernel-channels-reversed",)

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The one reversal."""
        if base.array.shape[1] > 1 and not base.has(self.code):
            yield base.plus({"code": self.code}, 0.25, array=base.array.flipped([1]))

    def sentence(self, edit: Edit) -> str:
        return "the output's channels were reversed"

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The kernel's output channels reversed, where nothing else tells channels apart."""
        reversed_axes = {e["axis"] for e in edits if e["code"] == "kernel-channels-reversed"}
        if channels_are_alike(edits, problem) and "O" not in reversed_axes:
            yield {"code": "kernel-channels-reversed", "axis": "O"}


def channels_are_alike(edits: Edits, problem: Problem) -> bool:
    """Whether no bias, group or other order of the output tells one channel from another."""
    codes = {edit["code"] for edit in edits}
    told_apart = codes & {"bias-added", "output-axes-permuted", "output-reshaped"}
    return without_groups(edits, problem) and problem.bias is None and not told_apart


class OutputGroupsInterleaved(GroupsInterleaved, OutputHypothesis):
    """The groups' output channels were written in turn, not in blocks: see the input's side."""

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The output's channels dealt out, or gathered."""
        for edit, oddness, order in dealings(base.array.shape[1], problem.spec.groups, "output"):
            if not base.has(self.code):
                yield base.plus(edit, oddness, array=base.array.select(1, order))


class OutputBatchPermuted(OutputHypothesis):
    """The output's batch items come in another order.

    How it shows: each item of the output is another item's, and right there. A batch of one shows
    nothing, nor do items that are alike.
    Typical causes: a data loader that shuffles, files listed in another order (glob does not sort),
    outputs gathered from several workers or devices as they came.
    What tells it apart: nothing, for the input's items in the same order give the same array; items
    that differ tell it from all else.
    Fix: save both sides' arrays from one batch, or put them into one order:
        numpy: `output[np.argsort(permutation)]`
        torch: `torch.utils.data.DataLoader(dataset, shuffle=False)`
        tensorflow: `tf.data.Dataset.list_files(pattern, shuffle=False)`; without shuffle=False its order is random
        jax: `jnp.take(output, jnp.argsort(jnp.array(permutation)), axis=0)`
    """

    code: ClassVar[str] = "output-batch-permuted"
    shown_by: ClassVar[str] = "batch items that differ"
    interchangeable_with: ClassVar[tuple[str, ...]] = ("input-batch-permuted",)

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """An unknown order; of two items there is only one other than the natural."""
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
        if not codes & {*MOVES_THE_BATCH, "input-batch-permuted"}:
            yield {"code": "input-batch-permuted", "permutation": edit["permutation"]}


BATCH_REORDERED = Reordered(OutputBatchPermuted.code, BATCH_AXIS)


class OutputChannelsPermuted(OutputHypothesis):
    """The output's channels come in another order.

    How it shows: each channel is another channel of the reference, and right there. One channel
    shows nothing, nor do filters that are alike.
    Typical causes: filters sorted or pruned on one side; weights matched by name in another order;
    branches concatenated in another order (torch.cat, tf.concat); a channel shuffle; shards of a
    layer gathered in another order.
    What tells it apart: filters that differ and a bias with distinct values, which a kernel in
    another order would leave in place.
    Fix: bring the kernel's output channels, and the bias with them, into one order on both sides:
        numpy: `kernel[permutation]` for OIHW makes the reference's channels come as obtained
        torch: `output[:, torch.argsort(torch.tensor(permutation))]` undoes it
        tensorflow: `tf.gather(output, tf.argsort(permutation), axis=-1)` undoes it in NHWC
        jax: `jnp.take(output, jnp.argsort(jnp.array(permutation)), axis=1)` undoes it in NCHW
    """

    code: ClassVar[str] = "output-channels-permuted"
    shown_by: ClassVar[str] = "channels that differ"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """An unknown order, of sums or of what ReLU made of them.

        Where it is a reversal, that is the likelier cause, and has a hypothesis of its own.
        """
        several = base.array.shape[1] > 1 and not base.has(OutputChannelsReversed.code)
        if base.change in (UNCHANGED, RELU) and several:
            relu = base.change == RELU
            yield base.plus({"code": self.code}, 0.45, change=CHANNELS_REORDERED, relu_before=relu)

    def sentence(self, edit: Edit) -> str:
        order = edit["permutation"]
        shown = ", ".join(map(str, order[:8])) + (", ..." if len(order) > 8 else "")
        return f"the output's channels come in the order {shown}"


CHANNELS_REORDERED = Reordered(OutputChannelsPermuted.code, CHANNEL_AXIS)
