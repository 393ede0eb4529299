"""Hypotheses about the order of the output: laid out otherwise, reshaped, channels reversed or
dealt out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from convdiff.diagnose.core.forms import OperationForm, OutputForm
from convdiff.diagnose.core.layouts import axis_misreadings
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.input import GroupsInterleaved, dealings
from convdiff.records import Edit


class OutputAxesPermuted:
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

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
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


class OutputReshaped:
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

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
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


class OutputChannelsReversed:
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

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """The one reversal."""
        if base.array.shape[1] > 1 and not base.has(self.code):
            yield base.plus({"code": self.code}, 0.25, array=base.array.flipped([1]))

    def sentence(self, edit: Edit) -> str:
        return "the output's channels were reversed"


class OutputGroupsInterleaved(GroupsInterleaved):
    """The groups' output channels were written in turn, not in blocks: see the input's side."""

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:  # type: ignore[override]
        """The output's channels dealt out, or gathered."""
        for edit, oddness, order in dealings(base.array.shape[1], problem.spec.groups, "output"):
            if not base.has(self.code):
                yield base.plus(edit, oddness, array=base.array.select(1, order))
