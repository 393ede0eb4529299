"""Hypotheses about the input: read in another layout, reshaped, reversed or reordered."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

from convdiff.diagnose.core.forms import InputForm
from convdiff.diagnose.core.layouts import axis_misreadings
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import (
    CODES_THAT_MOVE_THE_BATCH,
    Edits,
    Hypothesis,
    InputHypothesis,
    enumeration,
    first_indices,
    has_one_group,
    input_channels_are_padded_alike,
)
from convdiff.diagnose.hypotheses.scaled_operands import InputScaled
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import spatial_axes

# The most channels, or batch items, of which every order becomes a form of its own.
MAX_ENUMERATED_LENGTH = 4
# How odd a reshape is from the asked layout, from another one, and of a batch that is not first.
RESHAPE_ODDNESS, OTHER_RESHAPE_ODDNESS, MOVED_BATCH_ODDNESS = 0.2, 0.4, 0.05


class InputAxesPermuted(InputHypothesis):
    """The input array was read with its axes in the wrong order.

    How it shows: Every element differs. The mistake goes unnoticed only where the exchanged axes
    have the same size, as in a square image or one with as many rows as channels; otherwise the
    call fails or the output has the wrong shape.
    Typical causes: NHWC data passed to torch, ONNX or jax.lax.conv, which expect NCHW; NCHW data
    passed to tf.nn.conv2d or Flax, which expect NHWC; H and W exchanged by transpose(0, 3, 2, 1) or
    by an image library that gives the width first; arrays from MATLAB, which is column-major.
    What tells it apart: Different sizes of batch, channels, height and width, which a wrong order
    does not fit. Its usual rival is a kernel whose H and W are exchanged, which leaves the output's
    positions in place.
    Fix: Transpose the input to the layout that the function documents:
        numpy: `input.transpose(0, 3, 1, 2)` converts NHWC to NCHW
        torch: `input.permute(0, 3, 1, 2)`; memory_format=torch.channels_last changes the strides,
            not the order of the axes
        tensorflow: `tf.transpose(input, [0, 2, 3, 1])` converts NCHW to NHWC; data_format="NCHW"
            needs a GPU
        jax: `dimension_numbers=("NHWC", "HWIO", "NHWC")` in jax.lax.conv_general_dilated
        theano: `input.dimshuffle(0, 3, 1, 2)`
    """

    code: ClassVar[str] = "input-axes-permuted"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """The input read in every other order of its axes that has the asked number of channels."""
        spec, layout = problem.spec, problem.spec.input_layout
        if base.edits:
            return
        for read, oddness, view in axis_misreadings(problem.input_view, layout, "NC" + spec.axes):
            if view.shape[1] == base.array.shape[1]:
                edit = {"code": self.code, "asked": layout, "obtained": read}
                yield base.plus(edit, oddness, array=view)

    def sentence(self, edit: Edit) -> str:
        return f"the input, {edit['asked']}, was read as {edit['obtained']}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        if spatial_axes(edit["obtained"]) != spec.axes:
            # The order of the axes is also that of stride, padding and dilation.
            return None
        return {
            "input_layout": edit["obtained"],
            "kernel_layout": spec.kernel_layout,
            "output_layout": spec.output_layout,
        }


class InputReshaped(InputHypothesis):
    """The input was reshaped to another layout instead of transposed.

    How it shows: The input's values are shuffled, so every element differs although every shape is
    right. An input with one channel, or of constant values, shows nothing.
    Typical causes: np.reshape, view or tf.reshape used to convert NHWC to NCHW, or to add a channel
    axis in the wrong place; an image read from raw bytes with the other framework's shape.
    What tells it apart: More than one channel, and an input whose values all differ. Exchanged axes
    keep neighboring values together; a reshape does not.
    Fix: Transpose to change the order of the axes; reshape only joins or splits adjacent axes:
        numpy: `input.transpose(0, 3, 1, 2)` converts NHWC to NCHW
        torch: `input.permute(0, 3, 1, 2)`, never `input.view(N, C, H, W)`
        tensorflow: `tf.transpose(input, [0, 2, 3, 1])` converts NCHW to NHWC
        jax: `jnp.transpose(input, (0, 3, 1, 2))`
        theano: `input.dimshuffle(0, 3, 1, 2)`
    """

    code: ClassVar[str] = "input-reshaped"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """The reshapes from the user's layout to a common one, and from a common one to it."""
        if base.edits:
            return
        for source, target, view in problem.reshaped_inputs:
            if view.shape[1] != base.array.shape[1]:
                continue
            edit = {"code": self.code, "asked": source, "obtained": target}
            is_usual_source = source == problem.spec.input_layout
            oddness = RESHAPE_ODDNESS if is_usual_source else OTHER_RESHAPE_ODDNESS
            # Whatever else people mix up, the batch comes first.
            if any(layout[0] != "N" for layout in (source, target) if "N" in layout):
                oddness += MOVED_BATCH_ODDNESS
            yield base.plus(edit, oddness, array=view)

    def sentence(self, edit: Edit) -> str:
        return (
            f"the input's {edit['asked']} buffer was reshaped, not transposed, to "
            f"{edit['obtained']}"
        )


class InputChannelsReversed(InputHypothesis):
    """The input's channels were read in reverse order, as BGR instead of RGB.

    How it shows: Every element differs, though only by little where the channels are similar. A
    gray image stored in three channels shows nothing.
    Typical causes: cv2.imread gives BGR, while Pillow, imageio and tf.io.decode_jpeg give RGB;
    models from Caffe expect BGR; keras.applications.imagenet_utils.preprocess_input reverses the
    channels in mode "caffe"; a reversal done twice or not at all.
    What tells it apart: Channels that differ tell it from all but one other mistake: the kernel's
    input channels in reverse order give the same sums.
    Fix: Reverse the channel axis on one side:
        numpy: `input[..., ::-1]` for NHWC, `input[:, ::-1]` for NCHW
        torch: `input.flip(1)`
        tensorflow: `tf.reverse(input, [-1])`
        jax: `jnp.flip(input, axis=1)` for NCHW
        theano: `input[:, ::-1]`
    """

    code: ClassVar[str] = "input-channels-reversed"
    changes_kernel: ClassVar[bool] = True
    shown_by: ClassVar[str] = "channels that differ"
    interchangeable_with: ClassVar[tuple[str, ...]] = ("kernel-channels-reversed",)

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """The channels in reverse order."""
        if base.array.shape[1] > 1 and not base.has(self.code):
            yield base.plus({"code": self.code}, 0.05, array=base.array.flipped([1]))

    def sentence(self, edit: Edit) -> str:
        return "the input's channels were reversed"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "RGB/BGR" if spec.in_channels == 3 else None

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The kernel's input channels reversed, if there are no groups."""
        reversed_axes = {e["axis"] for e in edits if e["code"] == "kernel-channels-reversed"}
        applies = has_one_group(edits, problem) and input_channels_are_padded_alike(edits, problem)
        if applies and "I" not in reversed_axes:
            yield {"code": "kernel-channels-reversed", "axis": "I"}


class InputReversed(InputHypothesis):
    """The input was reversed along spatial axes.

    How it shows: As with a flipped kernel, but the output's positions are reversed as well. An
    input that is symmetric along the axis shows nothing.
    Typical causes: Images stored with the bottom row first; np.fliplr on an NHWC batch, where it
    reverses H; an augmentation left on; the input flipped instead of the kernel; a signal read from
    its end.
    What tells it apart: More than one output position, and a kernel without symmetry. With a single
    output position, a reversed input and a flipped kernel give the same sum.
    Fix: Leave the input as it is, and flip the kernel if a convolution is meant. To undo the
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
        """The input reversed along every non-empty set of the spatial axes longer than 1."""
        long_axes = [axis for axis, size in enumerate(base.size) if size > 1]
        if base.has(self.code):
            return
        for count in range(len(long_axes), 0, -1):
            for chosen in itertools.combinations(long_axes, count):
                edit = {"code": self.code, "axes": [problem.spec.axes[axis] for axis in chosen]}
                view = base.array.flipped([axis + 2 for axis in chosen])
                yield base.plus(edit, 0.35, array=view)

    def sentence(self, edit: Edit) -> str:
        return f"the input was reversed along {enumeration(edit['axes'])}"


class InputBatchPermuted(InputHypothesis):
    """The input's batch items were read in another order.

    How it shows: Each item of the output is correct, but is that of another item. A batch of one
    shows nothing, nor do identical items.
    Typical causes: A data loader that shuffles; files listed in another order, since glob does not
    sort; [::-1] on axis 0; a batch gathered from several workers or devices.
    What tells it apart: Items that differ tell it from all but one other mistake: the output's
    items in the same order give the same array.
    Fix: Save both sides' arrays from the same batch, or put the batch into the same order:
        numpy: `input[order]`; `sorted(files)` gives files a fixed order
        torch: `torch.utils.data.DataLoader(dataset, shuffle=False)`
        tensorflow: `tf.data.Dataset.list_files(pattern, shuffle=False)`; it shuffles by default
        jax: `jnp.take(input, order, axis=0)`
    """

    code: ClassVar[str] = "input-batch-permuted"
    numbers_items: ClassVar[bool] = True
    shown_by: ClassVar[str] = "batch items that differ"
    interchangeable_with: ClassVar[tuple[str, ...]] = ("output-batch-permuted",)

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """Every other order of up to `MAX_ENUMERATED_LENGTH` items.

        The order of more items is found as that of the output's: see `OutputBatchPermuted`.
        """
        items = base.array.shape[0]
        if 2 <= items <= MAX_ENUMERATED_LENGTH and not base.has(self.code):
            for order in map(list, itertools.permutations(range(items))):
                if order != sorted(order):
                    edit = {"code": self.code, "permutation": order}
                    yield base.plus(edit, 0.3, array=base.array.select(0, order))

    def sentence(self, edit: Edit) -> str:
        return "the input's batch items were read in another order"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "RGB/BGR" if _is_reversed_picture(edit, spec) else None

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The output's items in the same order, unless other edits move the batch.

        The items of a colour picture with a plain kernel are its channels.
        """
        if _is_reversed_picture(edit, problem.spec):
            yield {"code": InputChannelsReversed.code}
        codes = {other["code"] for other in edits}
        if not codes & {*CODES_THAT_MOVE_THE_BATCH, "output-batch-permuted"}:
            yield {"code": "output-batch-permuted", "permutation": edit["permutation"]}


def _is_reversed_picture(edit: Edit, spec: ConvSpec) -> bool:
    """Whether the items are the three channels of a picture (HWC, read as HWN), reversed."""
    return edit["permutation"] == [2, 1, 0] and spec.input_layout in ("HWN", "NHW")


class GroupsInterleaved(Hypothesis):
    """What the hypotheses of interleaved groups share, one each for input, kernel and output."""

    code: ClassVar[str] = "groups-interleaved"
    changes_kernel: ClassVar[bool] = True
    shown_by: ClassVar[str] = "channels that differ"

    def sentence(self, edit: Edit) -> str:
        if edit.get("gathered"):
            return (
                f"the {edit['which']}'s channels were gathered into blocks, as if they were "
                f"interleaved between the {edit['groups']} groups"
            )
        return (
            f"the {edit['which']}'s channels were interleaved between the {edit['groups']} groups, "
            "not split into blocks"
        )

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        if spec.groups != spec.in_channels or spec.transposed:
            return None
        if edit["which"] == "kernel":
            return (
                "depthwise filters stored multiplier-major: in the order m*C+c on one side, c*M+m "
                "on the other"
            )
        if edit["which"] != "output":
            return None
        return (
            "Keras, TensorFlow and torch put a depthwise convolution's outputs in the order c*M+m; "
            "here they are in the order m*C+c"
        )


class InputGroupsInterleaved(GroupsInterleaved, InputHypothesis):
    """Channels were interleaved between the groups, not split into blocks.

    How it shows: Of G groups, group g has the channels g, g + G, g + 2G and so on. If the output
    was interleaved, every channel but the first and the last is another one; if the input or the
    kernel was, the sums differ. A single group shows nothing, and neither do groups of a single
    channel, such as the outputs of a depthwise layer with a multiplier M of 1.
    Typical causes: A channel shuffle left in or out; a depthwise layer's outputs written in the
    order m*C + c, where Keras, TensorFlow and torch use c*M + m; depthwise HWIM weights flattened
    in the wrong order; the parts of a grouped convolution joined by stack instead of concatenate.
    What tells it apart: More than one channel in each group, and weights and channels that differ
    between the groups. Then only the same permutation, made by other means, gives the same sums.
    Fix: Keep the channels of each group side by side, and also the outputs of each channel:
        numpy: `input.reshape(N, K, G, H, W).swapaxes(1, 2).reshape(N, G * K, H, W)` gathers
            interleaved channels into G blocks of K
        torch: `input.unflatten(1, (K, G)).transpose(1, 2).flatten(1, 2)`
        torch: `kernel.permute(2, 3, 0, 1).reshape(C * M, 1, H, W)` converts depthwise HWIM weights
            to grouped OIHW ones
        tensorflow: `tf.reshape(kernel, [H, W, 1, C * M])` converts depthwise HWIM weights to
            grouped HWIO ones
        jax: `jnp.reshape(kernel, (H, W, 1, C * M))` with feature_group_count=C
    """

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """The input's channels interleaved between the groups, or gathered as if they were."""
        channels, groups = base.array.shape[1], problem.spec.groups
        for edit, oddness, order in group_interleavings(channels, groups, "input"):
            if not base.has(self.code):
                yield base.plus(edit, oddness, array=base.array.select(1, order))


def group_interleavings(
    channels: int, groups: int, which: str
) -> Iterator[tuple[Edit, float, list[int]]]:
    """Yields (edit, oddness, order of the channels) for channels interleaved between the groups.

    The second one undoes the first: channels that were gathered into blocks as if they were
    interleaved.  `which` array it is, "input", "kernel" or "output", stands in the edit.
    """
    if not 1 < groups < channels:
        return
    interleaved, gathered = (
        [channel for start in range(step) for channel in range(start, channels, step)]
        for step in (groups, channels // groups)
    )
    edit: Edit = {"code": GroupsInterleaved.code, "groups": groups, "which": which}
    yield edit, 0.15, interleaved
    if gathered != interleaved:
        yield {**edit, "gathered": True}, 0.25, gathered


class InputChannelsPermuted(InputHypothesis):
    """The input's channels were read in another order.

    How it shows: Every element differs. Identical channels show nothing, and the only other order
    of two channels is the reverse, which has a code of its own.
    Typical causes: Features concatenated (torch.cat, tf.concat) in another order than the weights
    were trained with; the bands of a satellite image stacked in another order; a channel shuffle;
    ARGB taken for RGBA.
    What tells it apart: Channels that differ, and more output elements than channels. Then only the
    kernel's input channels in the corresponding order give the same sums.
    Fix: Use the same order of the input's channels on both sides; entry c of the permutation is the
    channel that was read in place of channel c:
        numpy: `input[:, np.argsort(permutation)]` undoes it in NCHW
        torch: `input[:, torch.argsort(torch.tensor(permutation))]`
        tensorflow: `tf.gather(input, tf.argsort(permutation), axis=-1)` in NHWC
        jax: `jnp.take(input, jnp.argsort(jnp.array(permutation)), axis=1)` in NCHW
    """

    code: ClassVar[str] = "input-channels-permuted"
    changes_kernel: ClassVar[bool] = True
    shown_by: ClassVar[str] = "channels that differ"

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """Every order of up to `MAX_ENUMERATED_LENGTH` channels, except the reverse.

        The order of more channels is fitted: see `fit.order_search`.
        """
        channels = base.array.shape[1]
        reordered = base.has(self.code) or base.has(InputChannelsReversed.code)
        if reordered or not 3 <= channels <= MAX_ENUMERATED_LENGTH:
            return
        for order in map(list, itertools.permutations(range(channels))):
            if order not in (sorted(order), sorted(order)[::-1]):
                edit = {"code": self.code, "permutation": order}
                yield base.plus(edit, 0.4, array=base.array.select(1, order))

    def sentence(self, edit: Edit) -> str:
        return f"the input's channels were read in the order {first_indices(edit['permutation'])}"


INPUT: tuple[InputHypothesis, ...] = (
    InputAxesPermuted(),
    InputReshaped(),
    InputChannelsReversed(),
    InputGroupsInterleaved(),
    InputReversed(),
    InputBatchPermuted(),
    InputChannelsPermuted(),
    InputScaled(),
)
