"""Hypotheses of outputs that hold something else than a convolution, in part or as a whole.

They make no forms: `fit` looks for them.
"""

from __future__ import annotations

from typing import ClassVar

from convdiff.diagnose.hypotheses.base import Edits, Hypothesis, enumeration
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec, pairs_text


class NotComputed(Hypothesis):
    """A part of the output, mostly its border, was never computed.

    How it shows: The outermost rows and columns, the last row, a channel or a batch item hold zero,
    NaN, one number or a copy of the input; the rest is right, or has one fault throughout.
    Typical causes: A loop over the inner pixels, from 1 to h-1; Pillow's ImageFilter.Kernel, which
    copies the border from the input; pandas' rolling windows, which start with NaN; an unpadded
    result written into a padded buffer; a loop that ends one too early.
    What tells it apart: An input whose border is not zero, and values that differ. A kernel of
    zeros or a ReLU gives zeros too, but only where the sums are zero or negative.
    Fix: Pad the input, so that every element is computed, or compare without the border:
        numpy: `np.pad(input, 1)` before a loop over the windows; `output[..., 1:-1, 1:-1]`
        scipy: `scipy.ndimage.correlate(input, kernel, mode="constant")`
        torch: `F.conv2d(input, kernel, padding="same")`
        tensorflow: `tf.nn.conv2d(input, kernel, strides=1, padding="SAME")`
        jax: `jax.lax.conv(input, kernel, (1, 1), "SAME")`
    """

    code: ClassVar[str] = "not-computed"
    shown_by: ClassVar[str] = "an input whose border is not zero"

    def sentence(self, edit: Edit) -> str:
        left = edit["left"]
        holds = {"zero": "zeros", "nan": "NaN", "input": "a copy of the input"}.get(
            left, f"{left:.6g}" if isinstance(left, float) else str(left)
        )
        holds += " plus the bias" if "plus" in edit else ""
        where = edit.get("where") or f"the border, {_widths(edit['width'])}"
        are_many = (
            " and " in where or where.endswith("s") or where.startswith(("items", "channels"))
        )
        verbs = ("were", "hold") if are_many else ("was", "holds")
        return f"{where} {verbs[0]} not computed and {verbs[1]} {holds}"


def _widths(width: list[list[int]]) -> str:
    """The width of a border: "1 wide", or each axis' lo and hi."""
    sides = {side for pair in width for side in pair}
    if len(sides) == 1:
        return f"{sides.pop()} wide,"
    return f"{pairs_text(tuple((lo, hi) for lo, hi in width))} wide,"


class UpdatedInPlace(Hypothesis):
    """The result was written into the array that was still being read.

    How it shows: Every element but the first is wrong, more so where neighbors differ: a smoothing
    filter smears along the direction of the loop. The border, if the loop leaves it out, holds the
    input.
    Typical causes: A loop with image[i, j] = (window * kernel).sum(), whose later windows contain
    earlier results; input and output arrays that share memory (out=input, dst is src, a view where
    a copy was meant); Gauss-Seidel sweeps in place of Jacobi's; threads are not needed for it.
    What tells it apart: A kernel with weights on both sides of its middle. Where the loop has not
    been, it changes nothing.
    Fix: Write into another array than the one that is read:
        numpy: `output = np.empty_like(input)` before the loop, which writes into that
        scipy: `scipy.ndimage.correlate(input, kernel, output=np.empty_like(input))`
        torch: `output = F.conv2d(input, kernel)`, or `input.clone()` before the loop
        tensorflow: `output = tf.nn.conv2d(input, kernel, strides=1, padding="SAME")`
        jax: `output = jax.lax.conv(input, kernel, (1, 1), "SAME")`; arrays cannot be overwritten
    """

    code: ClassVar[str] = "updated-in-place"
    shown_by: ClassVar[str] = "a kernel with weights on both sides of its middle"

    def sentence(self, edit: Edit) -> str:
        axes = enumeration([_loop(axis, edit["backward"]) for axis in edit["order"]])
        return f"the output was written into the input while it was read, in a loop along {axes}"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "updated in place"


def _loop(axis: str, backward: list[str]) -> str:
    """An axis as the loop went along it: "H", or "W (backward)"."""
    return f"{axis} (backward)" if axis in backward else axis


class OutputIsInput(Hypothesis):
    """The output is the input itself, for nothing was computed.

    How it shows: Every element is one of the input, where it lies or at the middle of the window. A
    kernel with a single 1 in its middle gives that too, and is no fault.
    Typical causes: The wrong variable or file was saved; a call with the input as the output array
    (out=, dst=) that returned early; a kernel that was still an identity, since its weights were
    not loaded; a filter that was skipped in a branch.
    What tells it apart: A kernel that is no multiple of an identity, and an input whose values
    differ.
    Fix: Save what the call returns, and give it an output array of its own:
        numpy: `output = np.empty_like(input)` for out=, and not the input
        opencv: `output = cv2.filter2D(input, cv2.CV_32F, kernel)`
        torch: `output = F.conv2d(input, kernel)`
        tensorflow: `output = tf.nn.conv2d(input, kernel, strides=1, padding="VALID")`
        jax: `output = jax.lax.conv(input, kernel, (1, 1), "VALID")`
    """

    code: ClassVar[str] = "output-is-input"
    shown_by: ClassVar[str] = "an input whose values differ, and a kernel that is no identity"

    def sentence(self, edit: Edit) -> str:
        return "the output is the input itself"


class InputAdded(Hypothesis):
    """The input was added to the output, or subtracted from it.

    How it shows: The output minus the reference is the input. It is as if the middle weight of each
    channel's own filter were larger by 1.
    Typical causes: A residual block whose output was saved instead of the convolution's; a hook
    whose output was changed in place later (out += identity); an image sharpened by adding its
    Laplacian; an unsharp mask, image - blurred, in place of the blurred image.
    What tells it apart: An output with the input's sizes and an input that is not constant.
    Fix: Save the convolution's output before the input is added, or add it on both sides:
        numpy: `output.copy()` before the input is added to it in place
        torch: `output.clone()` in the hook, before `out += identity` changes it
        tensorflow: save `conv(input)`, not `input + conv(input)`
        jax: save `conv(input)`, not `input + conv(input)`
    """

    code: ClassVar[str] = "input-added"
    shown_by: ClassVar[str] = "an input that is not constant"

    def sentence(self, edit: Edit) -> str:
        if edit["factor"] < 0:
            return "the input was subtracted from the output"
        return "the input was added to the output"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "a residual connection" if edit["factor"] > 0 else None


class OutputRolled(Hypothesis):
    """The output is right, but rolled along its axes.

    How it shows: What leaves at one end comes in at the other: every element of the reference is
    there, a fixed number of positions away.
    Typical causes: An ifftshift or fftshift that is missing or was made twice, so that the kernel
    of a product of Fourier transforms has its origin in a corner instead of the middle, or the
    reverse; a kernel padded to the size of the image without np.roll; np.roll in place of a crop.
    What tells it apart: An output that does not repeat. Under padding that wraps around, another
    padding does the same.
    Fix: Put the kernel's origin where the transform has it, or roll the output back:
        numpy: `np.fft.ifftshift(kernel, axes=(-2, -1))` before np.fft.fft2
        numpy: `np.roll(output, (-1, -1), axis=(-2, -1))` for a shift of [1, 1]
        torch: `torch.fft.ifftshift(kernel, dim=(-2, -1))`
        tensorflow: `tf.signal.ifftshift(kernel, axes=(-2, -1))`
        jax: `jnp.fft.ifftshift(kernel, axes=(-2, -1))`
    """

    code: ClassVar[str] = "output-rolled"
    shown_by: ClassVar[str] = "an input that does not repeat"

    def sentence(self, edit: Edit) -> str:
        shift = edit["shift"]
        by = ", ".join(map(str, shift)) if len(shift) == 1 else f"({', '.join(map(str, shift))})"
        return f"the output is rolled by {by} positions"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        half_kernel, half_size = (
            tuple({n // 2, (n - 1) // 2, (n + 1) // 2} for n in sizes)
            for sizes in (spec.kernel_size, spec.output_size)
        )
        by = [abs(shift) for shift in edit["shift"]]
        for halves in (half_kernel, half_size):
            if all(n in half for n, half in zip(by, halves, strict=True)):
                return "an ifftshift is missing, or one too many"
        return None


class AveragedByCount(Hypothesis):
    """The sums were divided by how much of the window lay inside the input.

    How it shows: The interior is right, or scaled throughout; at the border the values are larger,
    by the number of taps, or the sum of weights, over that inside the input.
    Typical causes: Average pooling with count_include_pad=False, which is what TensorFlow's SAME
    does; pandas' min_periods; a normalized box or Gaussian filter; partial convolution.
    What tells it apart: Padding, and an input whose border is not zero. Without padding, both give
    the same.
    Fix: Count the padding on both sides, or on neither:
        numpy: `np.pad(input, 1)` before the windows are averaged
        torch: `F.avg_pool2d(input, 3, 1, 1, count_include_pad=True)`
        tensorflow: `tf.nn.avg_pool2d(tf.pad(input, pads), 3, 1, "VALID")`
        jax: `nn.avg_pool(input, (3, 3), padding="SAME", count_include_pad=True)` of flax.linen
    """

    code: ClassVar[str] = "averaged-by-count"
    oddness: ClassVar[float] = 0.2
    shown_by: ClassVar[str] = "an input whose border is not zero"

    def sentence(self, edit: Edit) -> str:
        return "the sums were divided by the count, or the weights, inside the input at the border"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "count_include_pad=False"


class DepthToSpace(Hypothesis):
    """Channels of the output became blocks of pixels: a pixel shuffle.

    How it shows: The output has fewer channels and is larger along each axis by the same factor.
    Typical causes: A sub-pixel layer that was saved with its convolution; a hook on the wrong
    layer.
    What tells it apart: More than one channel that is left: else the orders DCR (blocks first, as
    in TensorFlow and ONNX) and CRD (channels first, as torch's PixelShuffle) are the same.
    Fix: Save the output before the shuffle, or shuffle on both sides in the same order:
        numpy: `output[..., ::2, ::2]` has the elements of one channel for each block
        torch: `F.pixel_shuffle(output, 2)` is CRD
        tensorflow: `tf.nn.depth_to_space(output, 2)` is DCR
        jax: `output.reshape(N, 2, 2, O, H, W).transpose(0, 3, 4, 1, 5, 2)` is DCR, before a reshape
            to (N, O, 2 * H, 2 * W)
    """

    code: ClassVar[str] = "depth-to-space"
    shown_by: ClassVar[str] = "an output with more channels than one block has pixels"

    def sentence(self, edit: Edit) -> str:
        return f"channels became blocks of {edit['block']} pixels, in the order {edit['order']}"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "a pixel shuffle (depth to space)"


class SpaceToDepth(Hypothesis):
    """Blocks of pixels of the output became channels.

    How it shows: The output has more channels and is smaller along each axis by the same factor.
    Typical causes: A space-to-depth layer that was saved with its convolution, or a compiler that
    keeps outputs in that form.
    What tells it apart: More than one output channel: else the orders DCR and CRD are the same.
    Fix: Save the output before it, or undo it in the same order:
        numpy: `output[..., ::2, ::2]` makes a channel of the first pixel of each block
        torch: `F.pixel_shuffle(output, 2)` undoes CRD
        tensorflow: `tf.nn.depth_to_space(output, 2)` undoes DCR
        jax: `output.reshape(N, 2, 2, O, H, W).transpose(0, 3, 4, 1, 5, 2)` undoes DCR, before a
            reshape to (N, O, 2 * H, 2 * W)
    """

    code: ClassVar[str] = "space-to-depth"
    shown_by: ClassVar[str] = "an output with more than one channel"

    def sentence(self, edit: Edit) -> str:
        return f"blocks of {edit['block']} pixels became channels, in the order {edit['order']}"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "the inverse of a pixel shuffle (space to depth)"


class MultiplierIgnored(Hypothesis):
    """Only the first filter of each channel of a depthwise convolution was used.

    How it shows: The output has as many channels as the input, although each has several filters.
    Typical causes: A depthwise kernel that takes the multiplier to be 1, as many on mobile chips.
    What tells it apart: A multiplier above 1, and filters that differ.
    Fix: Use all filters, or run it as a convolution with groups:
        numpy: `kernel.reshape(-1, 1, *kernel.shape[2:])` puts all filters along one axis
        torch: `F.conv2d(input, kernel, groups=input.shape[1])` with C * M filters
        tensorflow: `tf.nn.depthwise_conv2d(input, kernel, [1, 1, 1, 1], "SAME")`
        jax: `jax.lax.conv_general_dilated(..., feature_group_count=C)`
    """

    code: ClassVar[str] = "multiplier-ignored"
    shown_by: ClassVar[str] = "a multiplier above 1, and filters that differ"

    def sentence(self, edit: Edit) -> str:
        return "only the first filter of each channel was used: the multiplier was ignored"
