"""Hypotheses about the kernel: flipped, read in another layout, reshaped or reordered."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView, FlatView
from convdiff.diagnose.core.forms import KernelForm, OperationForm
from convdiff.diagnose.core.layouts import other_axis_orders, to_layout
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import (
    Edits,
    KernelHypothesis,
    enumeration,
    exchanged_channel_letters,
    has_one_group,
    input_channels_are_padded_alike,
)
from convdiff.diagnose.hypotheses.input import (
    GroupsInterleaved,
    InputChannelsReversed,
    group_interleavings,
)
from convdiff.diagnose.hypotheses.output_order import OutputChannelsReversed, channels_are_alike
from convdiff.diagnose.hypotheses.scaled_operands import KernelScaled
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import axis_sizes

# How odd it is that two axes of the kernel, or more, were read in the wrong order.
TWO_AXES_ODDNESS, MORE_AXES_ODDNESS = 0.1, 0.5
REVERSED_ODDNESS = 0.3
# How odd it is that patches and kernel were flattened in orders of which one is no usual layout.
PATCH_ORDER_ODDNESS = 0.5


class KernelFlipped(KernelHypothesis):
    """The kernel was flipped: a convolution instead of a cross-correlation.

    How it shows: The interior and the border both differ. A kernel that is symmetric along an axis
    does not show a flip of that axis, and an axis of size 1 cannot be flipped. A constant input
    shows the flip at the border only.
    Typical causes: np.convolve, scipy.signal.convolve2d, scipy.ndimage.convolve, MATLAB's conv2,
    Flux and Theano's conv2d flip the kernel; torch, TensorFlow, JAX, ONNX, OpenCV's filter2D and
    np.correlate do not. Weights moved from one kind of framework to the other without flipping
    every spatial axis; jax.lax.conv_transpose without transpose_kernel=True; a hand-written
    backward pass that flips the kernel in the forward pass too.
    What tells it apart: A kernel without symmetry along any axis; different numbers of input and
    output channels, since a transposed convolution, a rival, also exchanges the channels; and more
    than one output position, since a reversed input, another rival, also reverses the positions.
    Fix: Flip the kernel along the named axes on one side only, or call the other function:
        numpy: `kernel[..., ::-1, ::-1]` before the call; in 1-D `np.correlate` instead of
            `np.convolve`
        scipy: `scipy.signal.correlate2d` instead of `convolve2d`, `scipy.ndimage.correlate` instead
            of `convolve`
        torch: `kernel.flip(-2, -1)`
        tensorflow: `tf.reverse(kernel, [0, 1])` (HWIO)
        jax: `jnp.flip(kernel, (-2, -1))` (OIHW); in jax.lax.conv_transpose `transpose_kernel=True`,
            with the kernel as HWOI
        theano: `filter_flip=False`
    """

    code: ClassVar[str] = "kernel-flipped"
    shown_by: ClassVar[str] = "a kernel without symmetry, smaller than the input"

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """The kernel flipped along every non-empty set of axes longer than 1, all axes first.

        Where a flip was asked for, the code of these forms is "kernel-not-flipped".
        """
        axes = problem.spec.axes
        long_axes = [axis for axis, size in enumerate(base.size) if size > 1]
        if base.has(KernelFlipped.code) or base.has(KernelNotFlipped.code):
            return
        code = KernelNotFlipped.code if problem.spec.flip else KernelFlipped.code
        for count in range(len(long_axes), 0, -1):
            for chosen in itertools.combinations(long_axes, count):
                edit = {"code": code, "axes": [axes[axis] for axis in chosen]}
                # The common mistake is to flip all axes.
                oddness = 0.0 if count == len(long_axes) else 0.3
                yield base.plus(edit, oddness, array=base.array.flipped([a + 2 for a in chosen]))

    def sentence(self, edit: Edit) -> str:
        return f"the kernel was flipped along {enumeration(edit['axes'])}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        sizes = zip(spec.axes, spec.kernel_size, strict=True)
        long_axes = [axis for axis, size in sizes if size > 1]
        return {"flip": not spec.flip} if list(edit["axes"]) == long_axes else None

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        if not spec.transposed:
            return None
        return (
            "jax.lax.conv_transpose flips relative to torch and TensorFlow unless "
            "transpose_kernel=True"
        )


class KernelNotFlipped(KernelFlipped):
    """The kernel was not flipped: a cross-correlation instead of a convolution.

    How it shows: The interior and the border both differ. A kernel that is symmetric along an axis
    does not show whether that axis was flipped, and an axis of size 1 cannot be flipped. A constant
    input shows the mistake at the border only.
    Typical causes: torch, TensorFlow, Keras, JAX, ONNX, OpenCV's filter2D and np.correlate do not
    flip the kernel, although most of them are called convolution; np.convolve, scipy.signal and
    Theano with filter_flip=True do. A formula from signal processing ported by the name of the
    function; weights of Theano or Flux loaded without flipping them.
    What tells it apart: A kernel without symmetry along any axis, different numbers of input and
    output channels, and more than one output position.
    Fix: Flip the kernel along the named axes before the call, or ask for the cross-correlation by
    leaving out --flip:
        numpy: `np.convolve` instead of `np.correlate`, or `kernel[..., ::-1, ::-1]`
        scipy: `scipy.signal.convolve2d` instead of `correlate2d`, `scipy.ndimage.convolve` instead
            of `correlate`
        torch: `kernel.flip(-2, -1)`
        tensorflow: `tf.reverse(kernel, [0, 1])` (HWIO)
        jax: `jnp.flip(kernel, (-2, -1))` (OIHW)
        theano: `filter_flip=True`, the default of conv2d
    """

    code: ClassVar[str] = "kernel-not-flipped"

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """None, because `KernelFlipped` makes the forms of both codes."""
        return iter(())

    def sentence(self, edit: Edit) -> str:
        return f"the kernel was not flipped along {enumeration(edit['axes'])}"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return None


class KernelAxesPermuted(KernelHypothesis):
    """The kernel array was read with its axes in the wrong order.

    How it shows: Every element differs. The mistake goes unnoticed only where the exchanged axes
    have the same size, as in a square kernel or one with as many input as output channels;
    otherwise the call fails or the output has the wrong shape.
    Typical causes: torch's conv2d and ONNX's Conv take OIHW, but their transposed convolutions take
    IOHW; tf.nn.conv2d takes HWIO, but tf.nn.conv2d_transpose takes HWOI; np.transpose without
    axes, which turns HWIO into OIWH and so exchanges H and W; arrays from MATLAB or MatConvNet,
    which are column-major.
    What tells it apart: Different sizes of all axes of the kernel, which a wrong order does not
    fit. A reshape, its usual rival, also shuffles the values along each axis.
    Fix: Transpose the kernel to the layout that the function documents; between HWIO and OIHW:
        numpy: `kernel.transpose(3, 2, 0, 1)` converts HWIO to OIHW
        torch: `kernel.permute(3, 2, 0, 1)`; `kernel.transpose(0, 1)` between OIHW and IOHW
        tensorflow: `tf.transpose(kernel, [2, 3, 1, 0])` converts OIHW to HWIO
        jax: `dimension_numbers=("NCHW", "HWIO", "NCHW")` names the axes, so that no copy is needed
        theano: `kernel.dimshuffle(3, 2, 0, 1)`
    """

    code: ClassVar[str] = "kernel-axes-permuted"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """The user's array read in every other order of its axes that fits the channel counts.

        With groups, also the array whose input and output channels were exchanged in each group.
        """
        spec, layout = operation.spec, operation.spec.kernel_layout
        if base.own_edits:
            return
        for read, _, _ in other_axis_orders(layout, layout):
            kernel = kernel_read_as(spec, operation.raw_kernel, read)
            if kernel is not None:
                moved = sum(a != b for a, b in zip(layout, read, strict=True))
                oddness = TWO_AXES_ODDNESS if moved == 2 else MORE_AXES_ODDNESS
                edit = {"code": self.code, "asked": layout, "obtained": read}
                yield base.plus(edit, oddness, array=kernel)
        out_channels, group_inputs = base.array.shape[:2]
        has_square_groups = spec.groups > 1 and out_channels == group_inputs * spec.groups
        if has_square_groups and group_inputs > 1 and {"O", "I"} <= set(layout):
            # Exchanging the axes of the whole array does not fit the channel counts.
            read = exchanged_channel_letters(layout)
            edit = {"code": self.code, "asked": layout, "obtained": read}
            yield base.plus(edit, 0.2, array=_exchanged_in_groups(base.array, spec.groups))

    def sentence(self, edit: Edit) -> str:
        return f"the kernel, {edit['asked']}, was read as {edit['obtained']}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        # With groups, the channel axes may have been exchanged in each: no layout says that.
        if spec.groups > 1 or edit["asked"] != spec.kernel_layout:
            return None
        return {"input_layout": spec.input_layout, "kernel_layout": edit["obtained"]}

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        exchanged = edit["obtained"] == exchanged_channel_letters(edit["asked"])
        if spec.groups > 1 and exchanged:
            return "input and output channels exchanged inside each group"
        return None

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        return edits_with_exchanged_letters(edit, edits)


class KernelReshaped(KernelHypothesis):
    """The kernel was reshaped to another layout instead of transposed.

    How it shows: The kernel's values are shuffled, so every element differs although every shape is
    right. A kernel of which only one axis is longer than 1, or of constant values, shows nothing.
    Typical causes: np.reshape, view or tf.reshape used to convert HWIO weights to OIHW; weights
    read from a file of raw numbers with the shape of another framework; a convolution as a matrix
    product (im2col, the patch embedding of a vision transformer), whose patches were flattened in
    another order, such as einops' "(p1 p2 c)", than the kernel.
    What tells it apart: A kernel whose values all differ, with more than one input and output
    channel. Exchanged axes keep the taps of each pair of channels together; a reshape does not.
    Fix: Transpose to change the order of the axes; reshape only joins or splits adjacent axes.
    Between HWIO and OIHW:
        numpy: `kernel.transpose(3, 2, 0, 1)`, never `kernel.reshape(O, I, H, W)`
        torch: `kernel.permute(3, 2, 0, 1)`, never `kernel.view(O, I, H, W)`
        tensorflow: `tf.transpose(kernel, [2, 3, 1, 0])` converts OIHW to HWIO
        jax: `jnp.transpose(kernel, (3, 2, 0, 1))`
        theano: `kernel.dimshuffle(3, 2, 0, 1)`
    """

    code: ClassVar[str] = "kernel-reshaped"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """The reshapes from the user's layout to another one, and from another one to it."""
        spec, array = operation.spec, operation.raw_kernel
        if base.own_edits:
            return
        layout = spec.kernel_layout
        size_of = axis_sizes(layout, array.shape)
        flattened: dict[str, FlatView] = {}
        seen: set[tuple[tuple[str, ...], ...]] = set()
        for source, target, oddness in _reshapes(spec):
            # Axes of size 1 may stand anywhere.
            long_axes = tuple(
                tuple(axis for axis in order if size_of[axis] > 1) for order in (source, target)
            )
            sizes = [[size_of[axis] for axis in axes] for axes in long_axes]
            # To reshape axes of one size is to read the kernel in another layout.
            is_known = long_axes in seen or sizes[0] == sizes[1]
            if long_axes[0] == long_axes[1] or (oddness == PATCH_ORDER_ODDNESS and is_known):
                continue
            seen.add(long_axes)
            if source not in flattened:
                order = [layout.index(letter) for letter in source]
                flattened[source] = array.transposed(order).flattened()
            view = flattened[source].reshaped([size_of[letter] for letter in target])
            kernel = kernel_read_as(spec, view, target)
            if kernel is not None:
                edit = {"code": self.code, "asked": source, "obtained": target}
                yield base.plus(edit, oddness, array=kernel)

    def sentence(self, edit: Edit) -> str:
        return (
            f"the kernel's {edit['asked']} buffer was reshaped, not transposed, to "
            f"{edit['obtained']}"
        )

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        asked, obtained = edit["asked"], edit["obtained"]
        frameworks = {f"{spec.axes}IO": "TensorFlow's", f"OI{spec.axes}": "torch's"}
        if {asked, obtained} - {spec.kernel_layout} <= {*patch_orders(spec)}:
            kernel, patches = (_flattening(order, spec) for order in (asked, obtained))
            return f"the kernel was flattened as {kernel}, the patches as {patches}"
        if spec.transposed or asked not in frameworks or obtained not in frameworks:
            return None
        order = tuple(asked.index(axis) for axis in obtained)
        return f"transpose{order} converts {frameworks[asked]} {asked} to {obtained}"

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        return edits_with_exchanged_letters(edit, edits)


class KernelChannelsReversed(KernelHypothesis):
    """The kernel's output channels (O) or input channels (I) were reversed.

    How it shows: Along I, as if the input were BGR instead of RGB; along O, the output's channels
    are in reverse order. A single channel, or identical channels, show nothing.
    Typical causes: np.flip without axis=, or np.rot90 without axes=, which rotates axes 0 and 1, on
    a kernel with channel axes; np.flipud and np.fliplr on a 4-D array; kernel[::-1, ::-1] where the
    spatial axes come last; the first layer of a BGR model converted to RGB.
    What tells it apart: Along O, a bias of distinct values, which reversed channels of the output
    would move and those of the kernel do not. Along I, without groups, nothing: the input's
    channels in reverse order give the same sums.
    Fix: Name the spatial axes when flipping; to convert a first layer from BGR to RGB, reverse I
    once:
        numpy: `np.flip(kernel, axis=(2, 3))` for OIHW, `np.flip(kernel, axis=(0, 1))` for HWIO
        torch: `kernel.flip(2, 3)`; from BGR to RGB `kernel.flip(1)`
        tensorflow: `tf.reverse(kernel, [0, 1])`; from BGR to RGB `tf.reverse(kernel, [2])`
        jax: `jnp.flip(kernel, axis=(2, 3))` for OIHW
        theano: `kernel[:, :, ::-1, ::-1]`
    """

    code: ClassVar[str] = "kernel-channels-reversed"
    shown_by: ClassVar[str] = "channels that differ"
    interchangeable_with: ClassVar[tuple[str, ...]] = (
        "input-channels-reversed",
        "output-channels-reversed",
    )

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """The kernel with its O reversed, then with its I, each at most once.

        The letters are those of the user's array, also for a transposed convolution.
        """
        length = {"O": operation.spec.kernel_out, "I": operation.spec.kernel_in}
        reversed_axes = [edit["axis"] for edit in base.edits if edit["code"] == self.code]
        for axis in "OI":
            is_out_of_order = bool(reversed_axes) and axis < reversed_axes[-1]
            if length[axis] > 1 and axis not in reversed_axes and not is_out_of_order:
                kernel = _reversed_channels(base.array, axis, operation.spec)
                yield base.plus({"code": self.code, "axis": axis}, REVERSED_ODDNESS, array=kernel)

    def sentence(self, edit: Edit) -> str:
        name = "output" if edit["axis"] == "O" else "input"
        return f"the kernel's {name} channels were reversed"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        """The call of NumPy that reverses both channel axes, or the exchange of RGB and BGR."""
        codes = {other["code"] for other in edits}
        if {e.get("axis") for e in edits if e["code"] == self.code} == {"O", "I"}:
            was_asked = spec.flip and KernelNotFlipped.code not in codes
            if was_asked or KernelFlipped.code in codes:
                return "np.flip(kernel) without axis= reverses every axis"
            if {*spec.kernel_layout[:2]} == {"O", "I"}:
                return (
                    "np.rot90(kernel, 2) without axes= reverses the first two axes, as np.flipud "
                    "and np.fliplr do"
                )
        is_rgb = edit["axis"] == "I" and spec.in_channels == 3 and spec.groups == 1
        return "as if RGB and BGR were exchanged" if is_rgb else None

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The input's channels reversed for I, the output's for O."""
        if edit["axis"] == "I":
            code = InputChannelsReversed.code
            applies = has_one_group(edits, problem)
            applies = applies and input_channels_are_padded_alike(edits, problem)
        else:
            code, applies = OutputChannelsReversed.code, channels_are_alike(edits, problem)
        if applies and all(other["code"] != code for other in edits):
            yield {"code": code}
        yield from edits_with_exchanged_letters(edit, edits)


def edits_with_exchanged_letters(edit: Edit, edits: Edits) -> Iterator[Edit]:
    """The edit with I and O exchanged, if the other operation was run.

    The other operation takes the kernel's first channel axis for its second one, so that the edit
    may use the letters of either.
    """
    if any(other["code"] == "wrong-transposed" for other in edits):
        yield {
            name: value if name == "code" else exchanged_channel_letters(value)
            for name, value in edit.items()
        }


def _reversed_channels(array: ArrayView, axis: str, spec: ConvSpec) -> ArrayView:
    """The kernel `array` (O, I per group, *space) with the user's axis `axis`, O or I, reversed.

    With groups, the user's O of a direct kernel covers all groups and its I covers one.  For a
    transposed or a depthwise kernel (M) it is the reverse: O covers one group and I all groups, so
    that reversing I also reverses the groups.
    """
    if spec.groups == 1 or not (spec.transposed or "M" in spec.kernel_layout):
        return array.flipped([0 if axis == "O" else 1])
    by_group = np.arange(array.shape[0]).reshape(spec.groups, -1)
    if axis == "O":
        return array.select(0, by_group[:, ::-1].reshape(-1))
    return array.select(0, by_group[::-1].reshape(-1)).flipped([1])


class BothChannelAxesReversed(KernelHypothesis):
    """Both channel axes of the kernel were reversed by one call of np.rot90 or np.flip.

    np.rot90(kernel, 2) without axes= reverses the first two axes; np.flip without axis= reverses
    the spatial axes too.  The search counts such a call as one mistake, although a finding needs
    two or three edits for it.  The page is that of `KernelChannelsReversed`.
    """

    code: ClassVar[str] = KernelChannelsReversed.code
    shown_by: ClassVar[str] = KernelChannelsReversed.shown_by

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """The kernel with both channel axes reversed, as it is and flipped.

        None if one of the reversals changes nothing, since fewer edits then give the same kernel.
        """
        spec = operation.spec
        if base.own_edits or min(spec.kernel_out, spec.kernel_in) == 1:
            return
        values = base.array.to_array()
        for axis in "OI":
            reversed_values = _reversed_channels(base.array, axis, spec).to_array()
            if np.array_equal(values, reversed_values, equal_nan=True):
                return
        flipped_along_all = itertools.islice(KernelFlipped().forms(problem, operation, base), 1)
        for form in (base, *flipped_along_all):
            for axis in "OI":
                edit = {"code": self.code, "axis": axis}
                kernel = _reversed_channels(form.array, axis, spec)
                form = form.plus(edit, REVERSED_ODDNESS, array=kernel)
            yield form

    def sentence(self, edit: Edit) -> str:
        return KernelChannelsReversed().sentence(edit)


class KernelGroupsInterleaved(GroupsInterleaved, KernelHypothesis):
    """The kernel's output channels were interleaved between the groups.

    A depthwise kernel is then in the order m*C + c.  The page is that of `InputGroupsInterleaved`.
    """

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """The kernel's output channels interleaved, or gathered as if they were."""
        channels, groups = base.array.shape[0], problem.spec.groups
        for edit, oddness, order in group_interleavings(channels, groups, "kernel"):
            if not base.has(self.code):
                yield base.plus(edit, oddness + 0.05, array=base.array.select(0, order))


def common_kernel_orders(layout: str) -> list[str]:
    """The usual orders of a kernel's axes, for the letters of `layout`."""
    space = "".join(letter for letter in layout if letter in "DHW")
    outer = "M" if "M" in layout else "O"
    orders = [
        f"{outer}I{space}",
        f"{space}I{outer}",
        f"I{outer}{space}",
        f"{space}{outer}I",
        f"{outer}{space}I",
        f"I{space}{outer}",
    ]
    return [order for order in orders if sorted(order) == sorted(layout)]


def _reshapes(spec: ConvSpec) -> Iterator[tuple[str, str, float]]:
    """Yields (source, target, oddness) for the reshapes that are looked for, the usual ones first.

    Those between the user's layout and a common one, or an order of patches; in one or two
    dimensions also those between any two orders of patches.
    """
    layout, orders = spec.kernel_layout, patch_orders(spec)
    for common in common_kernel_orders(layout):
        if common != layout:
            yield layout, common, 0.2
            yield common, layout, 0.4
    for source, target in itertools.permutations([layout, *orders], 2):
        if spec.rank < 3 or layout in (source, target):
            yield source, target, PATCH_ORDER_ODDNESS


def patch_orders(spec: ConvSpec) -> list[str]:
    """The layouts in which a kernel that meets flattened patches can be flattened.

    The axis that is not flattened, O of a direct kernel, stays where it is.
    """
    layout = spec.kernel_layout
    kept = "I" if spec.transposed else "O"
    if layout[0] != kept != layout[-1] or "M" in layout:
        return []
    first, last = (kept, "") if layout[0] == kept else ("", kept)
    orders = itertools.permutations(layout.replace(kept, ""))
    return [
        order for order in (f"{first}{''.join(rest)}{last}" for rest in orders) if order != layout
    ]


def _flattening(layout: str, spec: ConvSpec) -> str:
    """The order in which a kernel in this layout is flattened, as einops writes it: "(c h w)"."""
    channel, kept = ("O", "I") if spec.transposed else ("I", "O")
    names = ("c" if letter == channel else letter.lower() for letter in layout if letter != kept)
    return f"({' '.join(names)})"


def kernel_read_as(spec: ConvSpec, array: ArrayView, layout: str) -> ArrayView | None:
    """The kernel in normal form (O, I per group, *space) if `array` is read in `layout`.

    None if the channels of `array` then do not fit `spec`.
    """
    shape = array.shape
    is_depthwise, layout = "M" in layout, layout.replace("M", "O")
    if ("I" in layout and shape[layout.index("I")] != spec.kernel_in) or (
        "O" in layout and shape[layout.index("O")] != spec.kernel_out
    ):
        return None
    space = range(2, 2 + spec.rank)
    if not spec.transposed:
        kernel = to_layout(array, layout, "OI" + spec.axes)
        if is_depthwise:
            # Output channel c * M + m belongs to input channel c.
            multiplier, channel, *rest = kernel.offsets
            kernel = ArrayView(
                kernel.buffer,
                ((channel[:, None] + multiplier).reshape(-1), np.zeros(1, int), *rest),
                kernel.base_offsets,
            )
        return kernel.flipped(space) if spec.flip else kernel
    kernel = to_layout(array, layout, "IO" + spec.axes)
    return _exchanged_in_groups(kernel if spec.flip else kernel.flipped(space), spec.groups)


def _exchanged_in_groups(array: ArrayView, groups: int) -> ArrayView:
    """The kernel (I, O per group, *space) as (O, I per group, *space), exchanged in each group.

    The offsets of the first axis must be evenly spaced.
    """
    first, second, *rest = array.offsets
    group_size = len(first) // groups
    outer = (first[::group_size, None] - first[0] + second).reshape(-1)
    return ArrayView(array.buffer, (outer, first[:group_size], *rest), array.base_offsets)


KERNEL: tuple[KernelHypothesis, ...] = (
    KernelAxesPermuted(),
    KernelReshaped(),
    KernelFlipped(),
    KernelNotFlipped(),
    KernelChannelsReversed(),
    BothChannelAxesReversed(),
    KernelGroupsInterleaved(),
    KernelScaled(),
)
