"""Hypotheses about the kernel: flipped, read in another layout, reshaped, channels reversed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.forms import KernelForm, OperationForm
from convdiff.diagnose.core.layouts import other_axis_orders, to_layout
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import (
    Edits,
    KernelHypothesis,
    listed,
    without_groups,
)
from convdiff.diagnose.hypotheses.input import (
    GroupsInterleaved,
    InputChannelsReversed,
    dealings,
)
from convdiff.diagnose.hypotheses.output_order import OutputChannelsReversed, channels_are_alike
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import axis_sizes


class KernelFlipped(KernelHypothesis):
    """The kernel was slid reversed: a convolution where a cross-correlation was asked.

    How it shows: interior and border both differ. A kernel that is symmetric along an axis shows no
    flip there, one of size 1 none at all; an input that is constant shows it at the border only.
    Typical causes: np.convolve, scipy.signal.convolve2d, scipy.ndimage.convolve, MATLAB's conv2,
    Flux and Theano's conv2d reverse the kernel; torch, TensorFlow, JAX, ONNX, OpenCV's filter2D and
    np.correlate do not. Weights carried from one kind to the other without reversing every spatial
    axis; jax.lax.conv_transpose without transpose_kernel=True; a backward pass by hand that
    reverses the kernel in the forward pass too.
    What tells it apart: a kernel without symmetry along any axis, with distinct channel counts (a
    transposed convolution exchanges the channels besides) and more than one output position (a
    reversed input reverses the positions besides).
    Fix: reverse the kernel along the axes named, on one side only, or call the other function:
        numpy: `kernel[..., ::-1, ::-1]` before the call; in 1-D `np.correlate` for `np.convolve`
        scipy: `scipy.signal.correlate2d` for `convolve2d`, `scipy.ndimage.correlate` for `convolve`
        torch: `kernel.flip(-2, -1)`
        tensorflow: `tf.reverse(kernel, [0, 1])` (HWIO)
        jax: `jnp.flip(kernel, (-2, -1))` (OIHW); in jax.lax.conv_transpose `transpose_kernel=True`, with the kernel as HWOI
        theano: `filter_flip=False`
    """

    code: ClassVar[str] = "kernel-flipped"
    shown_by: ClassVar[str] = "a kernel without symmetry, smaller than the input"

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """Every non-empty set of axes longer than 1, all of them first."""
        axes = problem.spec.axes
        long = [i for i, size in enumerate(base.size) if size > 1]
        if base.has("kernel-flipped") or base.has("kernel-not-flipped"):
            return
        code = "kernel-not-flipped" if problem.spec.flip else self.code
        for count in range(len(long), 0, -1):
            for chosen in itertools.combinations(long, count):
                edit = {"code": code, "axes": [axes[i] for i in chosen]}
                # All axes at once is the classic; axes of size 1 do not count.
                oddness = 0.0 if count == len(long) else 0.3
                yield base.plus(edit, oddness, array=base.array.flipped([i + 2 for i in chosen]))

    def sentence(self, edit: Edit) -> str:
        return f"the kernel was flipped along {listed(edit['axes'])}"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        if not spec.transposed:
            return None
        return (
            "jax.lax.conv_transpose flips relative to torch and TensorFlow unless "
            "transpose_kernel=True"
        )


class KernelNotFlipped(KernelFlipped):
    """The kernel was slid as it is: a cross-correlation where a convolution was asked.

    How it shows: interior and border both differ. A kernel that is symmetric along an axis shows
    nothing there, one of size 1 nothing at all; an input that is constant shows it at the border
    only.
    Typical causes: torch, TensorFlow, Keras, JAX, ONNX, OpenCV's filter2D and np.correlate slide
    the kernel as it lies, whatever their name says; a mathematical convolution (np.convolve,
    scipy.signal.convolve, Theano with filter_flip=True) reverses it first. A formula from signal
    processing ported by the name of the function; weights of Theano or Flux loaded as they are.
    What tells it apart: a kernel without symmetry along any axis, with distinct channel counts, and
    more than one output position.
    Fix: reverse the kernel along the axes named before the call, or ask for the cross-correlation
    (leave out --flip):
        numpy: `np.convolve` for `np.correlate`, or `kernel[..., ::-1, ::-1]`
        scipy: `scipy.signal.convolve2d` for `correlate2d`, `scipy.ndimage.convolve` for `correlate`
        torch: `kernel.flip(-2, -1)`
        tensorflow: `tf.reverse(kernel, [0, 1])` (HWIO)
        jax: `jnp.flip(kernel, (-2, -1))` (OIHW)
        theano: `filter_flip=True`, the default of conv2d
    """

    code: ClassVar[str] = "kernel-not-flipped"

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """None of its own: `KernelFlipped` gives both codes."""
        return iter(())

    def sentence(self, edit: Edit) -> str:
        return f"the kernel was not flipped along {listed(edit['axes'])}"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return None


class KernelAxesPermuted(KernelHypothesis):
    """The kernel array was read with its axes in another order than the one it has.

    How it shows: everything differs. It can show only where the exchanged axes have equal sizes (in
    = out channels, square kernels): elsewhere the call fails or the output's shape does.
    Typical causes: torch's and ONNX's transposed convolutions take IOHW and conv2d OIHW;
    tf.nn.conv2d_transpose takes HWOI and tf.nn.conv2d HWIO; transpose(0, 3, 2, 1) or np.transpose
    without axes, which exchange H and W too; MatConvNet's and MATLAB's column order; a BatchNorm
    folded along the wrong axis of the weights.
    What tells it apart: distinct sizes on every axis of the kernel, when a wrong order no longer
    fits; a reshape, its usual rival, shuffles the values within an axis also.
    Fix: transpose the kernel to the layout that the function documents, here from HWIO to OIHW or
    back:
        numpy: `kernel.transpose(3, 2, 0, 1)`
        torch: `kernel.permute(3, 2, 0, 1)`; `kernel.transpose(0, 1)` between OIHW and IOHW
        tensorflow: `tf.transpose(kernel, [2, 3, 1, 0])` from OIHW
        jax: no copy needed: `dimension_numbers=("NCHW", "HWIO", "NCHW")` names the axes
        theano: `kernel.dimshuffle(3, 2, 0, 1)`
    """

    code: ClassVar[str] = "kernel-axes-permuted"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """Every other reading of the array as the user has it, if it gives a kernel of fitting
        channel counts.
        """
        spec, layout = operation.spec, operation.spec.kernel_layout
        if base.own_edits:
            return
        for read, _, _ in other_axis_orders(layout, layout):
            made = kernel_placed_as(spec, operation.raw_kernel, read)
            if made is not None:
                moved = sum(a != b for a, b in zip(layout, read, strict=True))
                edit = {"code": self.code, "asked": layout, "obtained": read}
                yield base.plus(edit, 0.1 if moved == 2 else 0.5, array=made)
        outer, inner = base.array.shape[:2]
        if (
            spec.groups > 1
            and outer == inner * spec.groups
            and inner > 1
            and {"O", "I"} <= set(layout)
        ):
            # The whole does not fit, but each group's in and out channels may have been exchanged.
            edit = {
                "code": self.code,
                "asked": layout,
                "obtained": layout.translate(str.maketrans("IO", "OI")),
            }
            yield base.plus(edit, 0.2, array=_exchanged_in_groups(base.array, spec.groups))

    def sentence(self, edit: Edit) -> str:
        return f"the kernel, {edit['asked']}, was read as {edit['obtained']}"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        exchanged = edit["asked"].translate(str.maketrans("IO", "OI"))
        in_groups = spec.groups > 1 and edit["obtained"] == exchanged
        return "in and out exchanged inside each group" if in_groups else None

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        return exchanged_letters(edit, edits)


class KernelReshaped(KernelHypothesis):
    """The kernel's buffer was reshaped to another layout's shape, not transposed: its values were
    base_offsets.

    How it shows: everything differs and every shape is right. Nothing shows where all but one axis
    have size 1, or where the kernel is constant.
    Typical causes: np.reshape, view or tf.reshape used to bring HWIO weights to OIHW; weights read
    from a file of raw numbers with the shape of another framework.
    What tells it apart: a kernel whose values all differ, with more than one channel in and out; an
    exchange of axes leaves each filter whole, a reshape does not.
    Fix: transpose where the axes change their order; reshape only joins or splits neighbours. From
    HWIO to OIHW, or back:
        numpy: `kernel.transpose(3, 2, 0, 1)`, and never `kernel.reshape(O, I, H, W)`
        torch: `kernel.permute(3, 2, 0, 1)`, and never `kernel.view(O, I, H, W)`
        tensorflow: `tf.transpose(kernel, [2, 3, 1, 0])` from OIHW
        jax: `jnp.transpose(kernel, (3, 2, 0, 1))`
        theano: `kernel.dimshuffle(3, 2, 0, 1)`
    """

    code: ClassVar[str] = "kernel-reshaped"
    shown_by: ClassVar[str] = "axes of different sizes"

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """Buffers in the user's or a common order, reshaped to a common order."""
        spec = operation.spec
        if base.own_edits:
            return
        layout = spec.kernel_layout
        orders = [layout, *(order for order in common_kernel_orders(layout) if order != layout)]
        known = axis_sizes(layout, operation.raw_kernel.shape)
        flat = {
            source: operation.raw_kernel.transposed([layout.index(a) for a in source]).flattened()
            for source in orders
        }
        for source, target in itertools.permutations(orders, 2):
            if layout not in (source, target) or [a for a in source if known[a] > 1] == [
                a for a in target if known[a] > 1
            ]:
                continue
            made = kernel_placed_as(spec, flat[source].reshaped([known[a] for a in target]), target)
            if made is not None:
                edit = {"code": self.code, "asked": source, "obtained": target}
                yield base.plus(edit, 0.2 if source == layout else 0.4, array=made)

    def sentence(self, edit: Edit) -> str:
        return (
            f"the kernel's {edit['asked']} buffer was reshaped, not transposed, to "
            f"{edit['obtained']}"
        )

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        asked, obtained = edit["asked"], edit["obtained"]
        frameworks = {f"{spec.axes}IO": "TensorFlow's", f"OI{spec.axes}": "torch's"}
        if spec.transposed or asked not in frameworks or obtained not in frameworks:
            return None
        order = tuple(asked.index(axis) for axis in obtained)
        return f"{frameworks[asked]} {asked} is brought to {obtained} by transpose{order}"

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        return exchanged_letters(edit, edits)


class KernelChannelsReversed(KernelHypothesis):
    """The kernel's channels were taken in reverse order along O or I.

    How it shows: along I as if the input were BGR for RGB; along O the output's channels come in
    reverse. One channel, or channels that are all alike, show nothing.
    Typical causes: np.flip without axis=, np.rot90 without axes= on a kernel with channel axes (it
    turns axes 0 and 1), np.flipud and np.fliplr on a 4-D array, kernel[::-1, ::-1] where the
    spatial axes come last; the first layer of a BGR model converted to RGB.
    What tells it apart: along I nothing, without groups: the same channels reversed in the input
    give the same sums; along O a bias with distinct values, which the output's channels reversed
    would move and the kernel's do not.
    Fix: name the spatial axes when flipping; to bring the first layer from BGR to RGB reverse I
    once:
        numpy: `np.flip(kernel, axis=(2, 3))` for OIHW, `np.flip(kernel, axis=(0, 1))` for HWIO
        torch: `kernel.flip(2, 3)`; BGR to RGB `kernel.flip(1)`
        tensorflow: `tf.reverse(kernel, [0, 1])`; BGR to RGB `tf.reverse(kernel, [2])`
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
        """O, then I, each at most once; of a transposed kernel the letters are those of the user's
        array.
        """
        length = {"O": operation.spec.kernel_out, "I": operation.spec.kernel_in}
        done = [edit["axis"] for edit in base.edits if edit["code"] == self.code]
        for axis in "OI":
            if axis in done or (done and axis < done[-1]):
                continue
            made = _reversed_channels(base.array, axis, operation.spec)
            if length[axis] > 1:
                yield base.plus({"code": self.code, "axis": axis}, 0.3, array=made)

    def sentence(self, edit: Edit) -> str:
        name = "output" if edit["axis"] == "O" else "input"
        return f"the kernel's {name} channels were reversed"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        codes = {other["code"] for other in edits}
        if {e.get("axis") for e in edits if e["code"] == self.code} == {"O", "I"}:
            if {KernelFlipped.code, KernelNotFlipped.code} & codes:
                return "np.flip without axis= reverses every axis"
            if {*spec.kernel_layout[:2]} == {"O", "I"}:
                return (
                    "np.rot90(kernel, 2) without axes= turns the first two axes, as np.flipud and "
                    "np.fliplr do"
                )
        rgb = edit["axis"] == "I" and spec.in_channels == 3 and spec.groups == 1
        return "as RGB/BGR exchanged" if rgb else None

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The input's channels reversed along I, the output's along O."""
        codes = {other["code"] for other in edits}
        if edit["axis"] == "I" and without_groups(edits, problem):
            if InputChannelsReversed.code not in codes:
                yield {"code": InputChannelsReversed.code}
        elif edit["axis"] == "O" and channels_are_alike(edits, problem):
            if OutputChannelsReversed.code not in codes:
                yield {"code": OutputChannelsReversed.code}
        yield from exchanged_letters(edit, edits)


def exchanged_letters(edit: Edit, edits: Edits) -> Iterator[Edit]:
    """The same edit with I and O exchanged, beside the other operation.

    That takes the kernel's first channel axis for the other kind: either's letters may be meant.
    """
    if any(other["code"] == "wrong-transposed" for other in edits):
        exchanged = str.maketrans("IO", "OI")
        yield {
            name: value if name == "code" else value.translate(exchanged)
            for name, value in edit.items()
        }


def _reversed_channels(array: ArrayView, axis: str, spec: ConvSpec) -> ArrayView:
    """`array` (O, I per group, ...) with the user's axis O (or M) or I reversed.

    A direct kernel has all output channels on O and those of one group on I; a transposed or a
    depthwise one (M) the other way round, where reversing I exchanges the groups as well.
    """
    if spec.groups == 1 or not (spec.transposed or "M" in spec.kernel_layout):
        return array.flipped([0 if axis == "O" else 1])
    by_group = np.arange(array.shape[0]).reshape(spec.groups, -1)
    if axis == "O":
        return array.select(0, by_group[:, ::-1].reshape(-1))
    return array.select(0, by_group[::-1].reshape(-1)).flipped([1])


class BothChannelAxesReversed(KernelHypothesis):
    """One slip reversed both channel axes: np.rot90(kernel, 2) alone, np.flip without axis= the
    spatial axes besides.

    It is one mistake, and counts as one in the search, though it takes two edits or three to tell;
    see the others for their stories.
    """

    code: ClassVar[str] = KernelChannelsReversed.code
    shown_by: ClassVar[str] = KernelChannelsReversed.shown_by

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """Both, of a kernel that either reversal changes: else fewer edits tell it."""
        if base.own_edits or min(operation.spec.kernel_out, operation.spec.kernel_in) == 1:
            return
        values = base.array.to_array()
        if any(
            np.array_equal(
                values,
                _reversed_channels(base.array, axis, operation.spec).to_array(),
                equal_nan=True,
            )
            for axis in "OI"
        ):
            return
        for flipped in (
            base,
            *itertools.islice(KernelFlipped().forms(problem, operation, base), 1),
        ):
            made = flipped
            for axis in "OI":
                made = made.plus(
                    {"code": self.code, "axis": axis},
                    0.3,
                    array=_reversed_channels(made.array, axis, operation.spec),
                )
            yield made

    def sentence(self, edit: Edit) -> str:
        return KernelChannelsReversed().sentence(edit)


class KernelGroupsInterleaved(GroupsInterleaved, KernelHypothesis):
    """The kernel's output channels were taken in turn from the groups: a depthwise kernel in the
    order m*C + c; see the input's side.
    """

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """The kernel's output channels dealt out, or gathered."""
        for edit, oddness, order in dealings(base.array.shape[0], problem.spec.groups, "kernel"):
            if not base.has(self.code):
                yield base.plus(edit, oddness + 0.05, array=base.array.select(0, order))


def common_kernel_orders(layout: str) -> list[str]:
    """The orders kernels come in, for the letters of `layout`."""
    space = "".join(a for a in layout if a in "DHW")
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


def kernel_placed_as(spec: ConvSpec, array: ArrayView, layout: str) -> ArrayView | None:
    """`array` read in `layout` as a kernel in normal form, or None if its channels do not fit the
    spec.
    """
    known = array.shape
    depthwise, layout = "M" in layout, layout.replace("M", "O")
    if ("I" in layout and known[layout.index("I")] != spec.kernel_in) or (
        "O" in layout and known[layout.index("O")] != spec.kernel_out
    ):
        return None
    space = range(2, 2 + spec.rank)
    if not spec.transposed:
        made = to_layout(array, layout, "OI" + spec.axes)
        if depthwise:
            # Output channel c * M + m is input channel c's.
            multiplier, channel, *rest = made.offsets
            made = ArrayView(
                made.buffer,
                ((channel[:, None] + multiplier).reshape(-1), np.zeros(1, int), *rest),
                made.base_offsets,
            )
        return made.flipped(space) if spec.flip else made
    made = to_layout(array, layout, "IO" + spec.axes)
    return _exchanged_in_groups(made if spec.flip else made.flipped(space), spec.groups)


def _exchanged_in_groups(array: ArrayView, groups: int) -> ArrayView:
    """In and out exchanged inside each group: (I, O per group) becomes (O, I per group); axes lie
    at even distances.
    """
    first, second, *rest = array.offsets
    inner = len(first) // groups
    outer = (first[::inner, None] - first[0] + second).reshape(-1)
    return ArrayView(array.buffer, (outer, first[:inner], *rest), array.base_offsets)


KERNEL: tuple[KernelHypothesis, ...] = (
    KernelAxesPermuted(),
    KernelReshaped(),
    KernelFlipped(),
    KernelNotFlipped(),
    KernelChannelsReversed(),
    BothChannelAxesReversed(),
    KernelGroupsInterleaved(),
)
