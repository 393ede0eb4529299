"""Hypotheses about the input: read in another layout, reshaped, reversed, channels in another
order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

from convdiff.diagnose.core.forms import InputForm
from convdiff.diagnose.core.layouts import axis_misreadings
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import (
    MOVES_THE_BATCH,
    Edits,
    Hypothesis,
    InputHypothesis,
    listed,
    without_groups,
)
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec

# Channels, and items of a batch, of which every order is tried.
ENUMERATED = 4


class InputAxesPermuted(InputHypothesis):
    """The input array was read with its axes in another order than the one it has.

    How it shows: everything differs. It can show only where the exchanged axes have equal sizes
    (square pictures, as many rows as channels): elsewhere the call fails or the output's shape
    tells.
    Typical causes: NHWC data handed to torch, ONNX or jax.lax.conv, which take NCHW; NCHW handed to
    tf.nn.conv2d or flax; H and W exchanged by transpose(0, 3, 2, 1) or by a width-first image
    library; MATLAB's column order.
    What tells it apart: distinct sizes of batch, channels, height and width, when a wrong order no
    longer fits; H and W exchanged in the kernel, its usual rival, leave the output's positions
    where they are.
    Fix: transpose the input to the layout that the function documents:
        numpy: `input.transpose(0, 3, 1, 2)` brings NHWC to NCHW
        torch: `input.permute(0, 3, 1, 2)`; memory_format=torch.channels_last changes the strides, not the order of the axes
        tensorflow: `tf.transpose(input, [0, 2, 3, 1])` brings NCHW to NHWC; data_format="NCHW" needs a GPU
        jax: `dimension_numbers=("NHWC", "HWIO", "NHWC")` in jax.lax.conv_general_dilated
        theano: `input.dimshuffle(0, 3, 1, 2)`
    """

    code: ClassVar[str] = "input-axes-permuted"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """Every other reading with the asked number of channels."""
        spec, layout = problem.spec, problem.spec.input_layout
        if base.edits:
            return
        for read, oddness, made in axis_misreadings(problem.input_view, layout, "NC" + spec.axes):
            if made.shape[1] == base.array.shape[1]:
                yield base.plus(
                    {"code": self.code, "asked": layout, "obtained": read}, oddness, array=made
                )

    def sentence(self, edit: Edit) -> str:
        return f"the input, {edit['asked']}, was read as {edit['obtained']}"


class InputReshaped(InputHypothesis):
    """The input's buffer was reshaped to another layout's shape, not transposed: its values were
    shuffled.

    How it shows: everything differs and every shape is right. One channel shows nothing, nor does
    an input that is constant.
    Typical causes: np.reshape, view or tf.reshape used to bring NHWC to NCHW or to add a channel
    axis in the wrong place; a picture read as raw bytes with the other framework's shape.
    What tells it apart: more than one channel and an input whose values all differ; an exchange of
    axes leaves neighbours neighbours, a reshape does not.
    Fix: transpose where the axes change their order; reshape only joins or splits neighbours:
        numpy: `input.transpose(0, 3, 1, 2)` brings NHWC to NCHW
        torch: `input.permute(0, 3, 1, 2)`, and never `input.view(N, C, H, W)`
        tensorflow: `tf.transpose(input, [0, 2, 3, 1])` brings NCHW to NHWC
        jax: `jnp.transpose(input, (0, 3, 1, 2))`
        theano: `input.dimshuffle(0, 3, 1, 2)`
    """

    code: ClassVar[str] = "input-reshaped"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """The user's order reshaped to a common order, and a common order reshaped to the user's."""
        if base.edits:
            return
        for source, target, made in problem.reshaped_inputs:
            if made.shape[1] == base.array.shape[1]:
                edit = {"code": self.code, "asked": source, "obtained": target}
                # Whatever else was mixed up, the batch comes first.
                unusual = 0.05 * any(order[0] != "N" for order in (source, target) if "N" in order)
                yield base.plus(
                    edit,
                    unusual + (0.2 if source == problem.spec.input_layout else 0.4),
                    array=made,
                )

    def sentence(self, edit: Edit) -> str:
        return (
            f"the input's {edit['asked']} buffer was reshaped, not transposed, to "
            f"{edit['obtained']}"
        )


class InputChannelsReversed(InputHypothesis):
    """The input's channels were taken in reverse order: BGR for RGB.

    How it shows: everything differs, by little where the channels are much alike; a grey picture in
    three channels shows nothing.
    Typical causes: cv2.imread gives BGR, Pillow, imageio and tf.io.decode_jpeg give RGB; models
    from Caffe expect BGR; keras.applications.imagenet_utils.preprocess_input reverses the channels
    in mode "caffe"; a reversal done twice or not at all.
    What tells it apart: nothing tells it from the kernel's input channels reversed, which give the
    same sums; channels that differ tell it from all else.
    Fix: reverse the channel axis on one side:
        numpy: `input[..., ::-1]` for NHWC, `input[:, ::-1]` for NCHW
        torch: `input.flip(1)`
        tensorflow: `tf.reverse(input, [-1])`
        jax: `jnp.flip(input, axis=1)` for NCHW
        theano: `input[:, ::-1]`
    """

    code: ClassVar[str] = "input-channels-reversed"
    shown_by: ClassVar[str] = "channels that differ"
    interchangeable_with: ClassVar[tuple[str, ...]] = ("kernel-channels-reversed",)

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """The one reversal."""
        if base.array.shape[1] > 1 and not base.has(self.code):
            yield base.plus({"code": self.code}, 0.05, array=base.array.flipped([1]))

    def sentence(self, edit: Edit) -> str:
        return "the input's channels were reversed"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "RGB/BGR" if spec.in_channels == 3 else None

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The kernel's input channels reversed, where there are no groups."""
        reversed_axes = {e["axis"] for e in edits if e["code"] == "kernel-channels-reversed"}
        if without_groups(edits, problem) and "I" not in reversed_axes:
            yield {"code": "kernel-channels-reversed", "axis": "I"}


class InputReversed(InputHypothesis):
    """The input was reversed along spatial axes.

    How it shows: as a flipped kernel would, with the output's positions reversed besides. An input
    that is symmetric along the axis shows nothing.
    Typical causes: images stored bottom up; np.flipud or np.fliplr on a 4-D array (they turn axes 0
    and 1, not H and W); an augmentation left on; an input flipped in place of the kernel; a signal
    read from its end.
    What tells it apart: more than one output position and a kernel without symmetry; with one
    output position only a reversed input and a flipped kernel are the same.
    Fix: leave the input as it is, and flip the kernel if a convolution is meant; to undo the
    reversal along H and W:
        numpy: `input[..., ::-1, ::-1]` for NCHW, `input[:, ::-1, ::-1]` for NHWC
        torch: `input.flip(-2, -1)`
        tensorflow: `tf.reverse(input, [1, 2])`
        jax: `jnp.flip(input, axis=(-2, -1))` for NCHW
        theano: `input[:, :, ::-1, ::-1]`
    """

    code: ClassVar[str] = "input-reversed"
    shown_by: ClassVar[str] = "an input larger than the kernel, with more than one output position"

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """Every non-empty set of axes longer than 1."""
        long = [i for i, size in enumerate(base.size) if size > 1]
        if base.has(self.code):
            return
        for count in range(len(long), 0, -1):
            for chosen in itertools.combinations(long, count):
                edit = {"code": self.code, "axes": [problem.spec.axes[i] for i in chosen]}
                yield base.plus(edit, 0.35, array=base.array.flipped([i + 2 for i in chosen]))

    def sentence(self, edit: Edit) -> str:
        return f"the input was reversed along {listed(edit['axes'])}"


class InputBatchPermuted(InputHypothesis):
    """The batch's items were taken in another order.

    How it shows: each item of the output is another item's, and right there. A batch of one shows
    nothing, nor do items that are alike.
    Typical causes: a data loader that shuffles, files listed in another order (glob does not sort),
    [::-1] on axis 0, a batch gathered from several workers or devices.
    What tells it apart: nothing, for the same order of the output's items gives the same array;
    items that differ tell it from all else.
    Fix: save both sides' arrays from one batch, or take it in one order:
        numpy: `input[order]`; sort the list of files with `sorted(files)`
        torch: `torch.utils.data.DataLoader(dataset, shuffle=False)`
        tensorflow: `tf.data.Dataset.list_files(pattern, shuffle=False)`; without shuffle=False its order is random
        jax: `jnp.take(input, order, axis=0)`
    """

    code: ClassVar[str] = "input-batch-permuted"
    shown_by: ClassVar[str] = "batch items that differ"
    interchangeable_with: ClassVar[tuple[str, ...]] = ("output-batch-permuted",)

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """Every other order of a few items.  Of more, an order can be told only as the output's:
        see there.
        """
        items = base.array.shape[0]
        if 2 <= items <= ENUMERATED and not base.has(self.code):
            for order in itertools.permutations(range(items)):
                if list(order) != sorted(order):
                    edit = {"code": self.code, "permutation": list(order)}
                    yield base.plus(edit, 0.3, array=base.array.select(0, list(order)))

    def sentence(self, edit: Edit) -> str:
        return "the batch's items came in another order"

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The output's items in the same order, unless other edits move the batch."""
        codes = {other["code"] for other in edits}
        if not codes & {*MOVES_THE_BATCH, "output-batch-permuted"}:
            yield {"code": "output-batch-permuted", "permutation": edit["permutation"]}


class GroupsInterleaved(Hypothesis):
    """Channels were dealt out to the groups in turn: what its hypotheses of each stage share."""

    code: ClassVar[str] = "groups-interleaved"
    shown_by: ClassVar[str] = "channels that differ"

    def sentence(self, edit: Edit) -> str:
        if edit.get("gathered"):
            return (
                f"the {edit['which']}'s channels, taken for dealt out to the {edit['groups']} "
                "groups in turn, were gathered into blocks"
            )
        return (
            f"the {edit['which']}'s channels were dealt out to the {edit['groups']} groups in "
            "turn, not in blocks"
        )

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        if edit["which"] != "output" or spec.groups != spec.in_channels or spec.transposed:
            return None
        return (
            "a depthwise convolution's outputs lie in the order c*M+m in Keras, TensorFlow and "
            "torch alike; here they came as m*C+c"
        )


class InputGroupsInterleaved(GroupsInterleaved, InputHypothesis):
    """The groups' channels were dealt out in turn, not in blocks: group g took channels g, g + G, g
    + 2G, ...

    How it shows: every channel but the first and the last differs, or is another channel's. As many
    groups as channels (M = 1) show nothing on that side, nor does one group.
    Typical causes: a channel shuffle left in or out; a depthwise multiplier's outputs written as
    m*C + c where Keras, TensorFlow and torch have c*M + m; HWCM weights flattened in the other
    order; grouped convolutions built by stacking in place of joining.
    What tells it apart: more than one channel in each group, and weights and channels that differ
    between the groups; then only another order of the channels, with the same permutation, is the
    same.
    Fix: the channels of one group lie side by side, and channel c's outputs too:
        numpy: `input.reshape(N, K, G, H, W).swapaxes(1, 2).reshape(N, G * K, H, W)` brings what was dealt out into blocks
        torch: `input.unflatten(1, (K, G)).transpose(1, 2).flatten(1, 2)`
        torch: `kernel.permute(2, 3, 0, 1).reshape(C * M, 1, H, W)` makes depthwise HWCM weights grouped ones
        tensorflow: `tf.reshape(kernel, [H, W, 1, C * M])` makes depthwise HWCM weights grouped ones
        jax: `jnp.reshape(kernel, (H, W, 1, C * M))` with feature_group_count=C
    """

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """The input's channels dealt out, or gathered."""
        for edit, oddness, order in dealings(base.array.shape[1], problem.spec.groups, "input"):
            if not base.has(self.code):
                yield base.plus(edit, oddness, array=base.array.select(1, order))


def dealings(channels: int, groups: int, which: str) -> Iterator[tuple[Edit, float, list[int]]]:
    """The edit, its oddness and the order of the channels for dealing them out to the groups in
    turn, and for undoing that.
    """
    if not 1 < groups < channels:
        return
    orders = [
        [i for group in range(parts) for i in range(group, channels, parts)]
        for parts in (groups, channels // groups)
    ]
    edit: Edit = {"code": GroupsInterleaved.code, "groups": groups, "which": which}
    yield edit, 0.15, orders[0]
    if orders[1] != orders[0]:
        yield {**edit, "gathered": True}, 0.25, orders[1]


class InputChannelsPermuted(InputHypothesis):
    """The input's channels were taken in another order.

    How it shows: everything differs; where all channels are alike, nothing. Two channels have only
    the reversal.
    Typical causes: features concatenated in another order than the weights were trained with
    (torch.cat, tf.concat), bands of a satellite picture stacked otherwise, a channel shuffle, ARGB
    for RGBA.
    What tells it apart: channels that differ, and more output elements than channels; then only the
    kernel's input channels in the same order give the same sums.
    Fix: bring the input's channels into one order on both sides; the permutation says which channel
    was read in each one's place:
        numpy: `input[:, np.argsort(permutation)]` undoes it in NCHW
        torch: `input[:, torch.argsort(torch.tensor(permutation))]`
        tensorflow: `tf.gather(input, tf.argsort(permutation), axis=-1)` in NHWC
        jax: `jnp.take(input, jnp.argsort(jnp.array(permutation)), axis=1)` in NCHW
    """

    code: ClassVar[str] = "input-channels-permuted"
    shown_by: ClassVar[str] = "channels that differ"

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """Every order of a few channels but the reversal.  Of more, the order is read off (see
        `ordered.py`).
        """
        channels = base.array.shape[1]
        if (
            3 <= channels <= ENUMERATED
            and not base.has(self.code)
            and not base.has("input-channels-reversed")
        ):
            for order in itertools.permutations(range(channels)):
                if list(order) not in (sorted(order), sorted(order)[::-1]):
                    yield base.plus(
                        {"code": self.code, "permutation": list(order)},
                        0.4,
                        array=base.array.select(1, list(order)),
                    )

    def sentence(self, edit: Edit) -> str:
        order = edit["permutation"]
        return (
            "the input's channels were read in the order "
            f"{', '.join(map(str, order[:8]))}{', ...' if len(order) > 8 else ''}"
        )


INPUT: tuple[InputHypothesis, ...] = (
    InputAxesPermuted(),
    InputReshaped(),
    InputChannelsReversed(),
    InputGroupsInterleaved(),
    InputReversed(),
    InputBatchPermuted(),
    InputChannelsPermuted(),
)
