"""Hypotheses about the geometry: padding, its sides and mode, stride, dilation, output padding.

The obtained size leaves few choices along each axis: for a stride, a dilation and a start padding
the end padding follows, up to positions that no window reaches.  Each axis' choices are listed on
their own and combined; an edit covers all axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import ClassVar

from convdiff.diagnose.core.padding_names import (
    crop_difference,
    exchanged_axes,
    padding_difference,
)
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import Edits, GeometryHypothesis
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec, pairs_text
from convdiff.spec.padding import Pair, kernel_span

# End paddings listed as equivalents of one edit, at most.
MAX_EQUIVALENT_ENDS = 6


class WrongPadding(GeometryHypothesis):
    """The input was padded by other amounts, or on other sides, than asked.

    How it shows: by the output's size; or, where the total is right and its sides are not, by
    everything shifted. Stride 1 with an odd kernel hides the difference between SAME and a
    symmetric padding; a 1x1 kernel needs no padding.
    Typical causes: SAME in TensorFlow, Keras and JAX depends on the stride and puts the odd one at
    the end: (0, 1) for a 3-wide kernel at stride 2 on even sizes, where torch's padding=1 pads (1,
    1). Even kernels. Padding reckoned from the kernel without its dilation. Causal layers. F.pad
    lists the last axis first, ONNX lists all begins before all ends. In a transposed convolution
    padding crops: the other side cropped, or jax.lax.conv_transpose's pairs taken for it.
    What tells it apart: stride 1 and an odd size, then stride 2 and an even one, and other pads on
    H than on W; values at the border that are not zero, since a padding of zeros and a row of zeros
    look alike.
    Fix: pad by hand as the other side does, then convolve with padding 0; for (0, 1) along H and W:
        numpy: `np.pad(input, ((0, 0), (0, 0), (0, 1), (0, 1)))`
        torch: `F.pad(input, (0, 1, 0, 1))` (W first, then H)
        tensorflow: `padding=[[0, 0], [1, 1], [1, 1], [0, 0]]` in tf.nn.conv2d is torch's padding=1
        jax: `padding=[(1, 1), (1, 1)]` in jax.lax.conv_general_dilated is torch's padding=1
        theano: `border_mode=(1, 1)` in conv2d, or `border_mode=((0, 1), (0, 1))`
        onnx: `pads=[0, 0, 1, 1]` (begins of H and W, then ends)
    """

    code: ClassVar[str] = "wrong-padding"
    shown_by: ClassVar[str] = (
        "an input size that the stride divides evenly, and values that are not zero at the border"
    )

    def sentence(self, edit: Edit) -> str:
        return f"padding {_pairs(edit['obtained'])} where {_pairs(edit['asked'])} was asked"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        asked, obtained = (
            tuple((lo, hi) for lo, hi in edit[side]) for side in ("asked", "obtained")
        )
        if spec.transposed:
            return crop_difference(spec, asked, obtained)
        if _is_product_of_ffts(edits, spec):
            return None
        stride = next((e for e in edits if e["code"] == WrongStride.code), None)
        if stride and _both_ends(asked, stride["obtained"], obtained, stride["asked"]):
            return "stride and padding were exchanged"
        return padding_difference(spec, asked, obtained)

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """End paddings that make as many outputs: no window reaches what they differ by."""
        codes = {other["code"] for other in edits}
        if problem.spec.transposed or codes & {"wrong-transposed", *CHANGES_THE_SIZES}:
            return
        spec = problem.spec
        strides = _obtained(WrongStride.code, edits, spec.stride)
        dilations = _obtained(WrongDilation.code, edits, spec.dilation)
        choices = []
        for i, (lo, hi) in enumerate(edit["obtained"]):
            dilated = (spec.input_size[i] - 1) * spec.input_dilation[i] + 1
            spare = (dilated + lo + hi - kernel_span(spec.kernel_size[i], dilations[i])) % strides[
                i
            ]
            ends = ([lo, end] for end in range(max(hi - spare, 0), hi - spare + strides[i]))
            nearest = sorted(ends, key=lambda pair: abs(pair[1] - hi))
            choices.append(nearest or [[lo, hi]])
        for pads in itertools.islice(itertools.product(*choices), MAX_EQUIVALENT_ENDS):
            if list(pads) not in (edit["obtained"], edit["asked"]):
                yield {**edit, "obtained": [list(pair) for pair in pads]}


# Edits that may exchange axes, whose sizes are then not those that were asked.
CHANGES_THE_SIZES = (
    "input-axes-permuted",
    "kernel-axes-permuted",
    "input-reshaped",
    "kernel-reshaped",
)


def _both_ends(
    asked: Sequence[Pair],
    asked_numbers: Sequence[int],
    obtained: Sequence[Pair],
    obtained_numbers: Sequence[int],
) -> bool:
    """Whether both paddings are these numbers, at both ends of each axis."""
    return all(
        list(pads) == [(number, number) for number in numbers]
        for pads, numbers in ((asked, asked_numbers), (obtained, obtained_numbers))
    )


def _obtained(code: str, edits: Edits, asked: Sequence[int]) -> Sequence[int]:
    """What the edit of this code says was obtained; what was asked where there is none."""
    return next((tuple(edit["obtained"]) for edit in edits if edit["code"] == code), asked)


class WrongPadMode(GeometryHypothesis):
    """The padding was filled by another rule than asked.

    How it shows: at the border only. Padding 0 shows nothing; a padding of one position cannot tell
    edge from symmetric.
    Typical causes: padding_mode left at zeros; OpenCV's default border is BORDER_REFLECT_101,
    numpy's reflect. The words differ: scipy.ndimage's reflect is numpy's symmetric and its mirror
    numpy's reflect, scipy.signal's symm is symmetric, torch's replicate is edge and its circular
    wrap. A product of FFTs without zero padding wraps around.
    What tells it apart: two or more padded positions on every side, over an input whose values all
    differ near the border.
    Fix: name the mode on both sides, or pad by hand and convolve with padding 0; two positions,
    reflected:
        numpy: `np.pad(input, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")`
        scipy: `scipy.ndimage.correlate(image, kernel, mode="mirror")` (numpy's reflect)
        torch: `F.pad(input, (2, 2, 2, 2), mode="reflect")`; also "replicate" and "circular", and padding_mode= in nn.Conv2d
        tensorflow: `tf.pad(input, [[0, 0], [2, 2], [2, 2], [0, 0]], mode="REFLECT")`; also "SYMMETRIC"
        jax: `jnp.pad(input, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")`
    """

    code: ClassVar[str] = "wrong-pad-mode"
    shown_by: ClassVar[str] = "values that differ near the border, and padding of 2 or more"

    def sentence(self, edit: Edit) -> str:
        return f"the padding was filled by {edit['obtained']!r} where {edit['asked']!r} was asked"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        if _is_product_of_ffts(edits, spec):
            conjugate = "with the kernel's conjugate unflipped, wrapped"
            how = "flipped, wrapped" if _came_out_flipped(edits, spec) else conjugate
            return (
                "a product of FFTs without zero padding convolves circularly: "
                f"{how} around and shifted"
            )
        return {
            "wrap": "circular: torch's padding_mode='circular', or what a product of FFTs gives "
            "without zero padding",
            "reflect": "OpenCV's default border, BORDER_REFLECT_101; scipy.ndimage calls it mirror",
            "symmetric": "what scipy.ndimage calls reflect, its default, and scipy.signal symm",
            "edge": "what torch calls replicate and scipy.ndimage nearest",
        }.get(edit["obtained"])


def _is_product_of_ffts(edits: Edits, spec: ConvSpec) -> bool:
    """Whether a product of FFTs explains padding and mode.

    It is circular, and shifted to the start if the kernel came out flipped; to the end if it did
    not, when the conjugate of the FFT was taken.
    """
    by_code = {edit["code"]: edit for edit in edits}
    mode, padding = by_code.get(WrongPadMode.code), by_code.get(WrongPadding.code)
    if mode is None or mode["obtained"] != "wrap" or padding is None:
        return False
    flipped = _came_out_flipped(edits, spec)
    shifts = [kernel_span(k, d) - 1 for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    expected = [[shift, 0] if flipped else [0, shift] for shift in shifts]
    return [list(pair) for pair in padding["obtained"]] == expected


def _came_out_flipped(edits: Edits, spec: ConvSpec) -> bool:
    """Whether the kernel was slid reversed in the end."""
    flips = ("kernel-flipped", "kernel-not-flipped")
    return spec.flip != any(edit["code"] in flips for edit in edits)


class WrongStride(GeometryHypothesis):
    """The kernel moved by another step than asked.

    How it shows: by the output's size. An axis with one output position shows nothing; where both
    strides fit the size, every position but the first differs.
    Typical causes: a stride left at 1; H and W strides exchanged; a stride that belongs to a
    pooling layer; the output sliced afterwards on one side and strided on the other; TensorFlow's
    depthwise layers refuse unequal strides, and one was dropped.
    What tells it apart: an input several strides longer than the kernel, other sizes on H than on
    W, other strides as well; a dilation, its rival on small inputs, moves the taps and not the
    windows.
    Fix: pass the same stride on both sides, for H and for W:
        numpy: `output[:, :, ::2, ::2]` of the output at stride 1 is the output at stride 2
        torch: `stride=(2, 2)`
        tensorflow: `strides=[1, 2, 2, 1]` in tf.nn.conv2d, `strides=(2, 2)` in Keras
        jax: `window_strides=(2, 2)` in jax.lax.conv_general_dilated
        theano: `subsample=(2, 2)`
    """

    code: ClassVar[str] = "wrong-stride"
    shown_by: ClassVar[str] = "more output positions"

    def sentence(self, edit: Edit) -> str:
        return f"stride {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        axes = exchanged_axes(spec, edit["asked"], edit["obtained"])
        return f"the strides of {axes} exchanged" if axes else None


class WrongDilation(GeometryHypothesis):
    """The kernel's taps lay further apart, or closer, than asked.

    How it shows: in the interior, and by the output's size unless the padding changed with it. A
    1x1 kernel shows nothing; equal dilations on H and W hide an exchange.
    Typical causes: oneDNN counts dilation from 0, everyone else from 1; H and W dilations
    exchanged, or one used for both; a converter that drops the attribute; Keras' dilation_rate lost
    when a layer is rebuilt from its weights.
    What tells it apart: a kernel of distinct values with more than one tap along each axis, other
    dilations on H than on W, and an input longer than the dilated kernel.
    Fix: pass the same dilation on both sides (1 is dense), and reckon the padding from d*(k-1)+1:
        numpy: `np.kron(kernel, np.eye(1, 4).reshape(2, 2))[..., :-1, :-1]` writes dilation 2 into the kernel itself
        torch: `dilation=(2, 2)`
        tensorflow: `dilations=[1, 2, 2, 1]` in tf.nn.conv2d, `dilation_rate=(2, 2)` in Keras
        jax: `rhs_dilation=(2, 2)`; lhs_dilation spreads the input
        theano: `filter_dilation=(2, 2)`
    """

    code: ClassVar[str] = "wrong-dilation"
    shown_by: ClassVar[str] = "a kernel of more taps, and more output positions"

    def sentence(self, edit: Edit) -> str:
        return f"dilation {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        asked, obtained = edit["asked"], edit["obtained"]
        axes = exchanged_axes(spec, asked, obtained)
        if axes:
            return f"the dilations of {axes} exchanged"
        if obtained == [d + 1 for d in asked]:
            return "one more on every axis: oneDNN counts dilation from 0"
        if obtained == [d - 1 for d in asked] and max(obtained) > 1:
            return "one less on every axis: oneDNN counts dilation from 0"
        return None


class WrongOutputPadding(GeometryHypothesis):
    """A transposed convolution's output has more or fewer positions at its end than asked.

    How it shows: by the output's size, the positions in common being right. Stride 1 leaves nothing
    to choose.
    Typical causes: several output sizes belong to one input size where the stride is above 1: torch
    takes the least unless output_padding says otherwise, TensorFlow takes the output's shape, Keras
    and JAX with SAME make input times stride. torch has no SAME: padding=1, output_padding=1 gives
    that size and crops the other side. ONNX's output_shape overrides pads.
    What tells it apart: an input without zeros at its end and a kernel at least as long as the
    stride: the added positions then hold numbers, and another crop, its rival, moves the start.
    Fix: state the output's size on both sides, here twice the input's at stride 2:
        numpy: `output[:, :, :H, :W]` of the full output, zeros added where it is shorter
        torch: `output_padding=1`, or `output_size=(H, W)` when calling nn.ConvTranspose2d
        tensorflow: `output_shape=[N, H, W, C]` in tf.nn.conv2d_transpose, `output_padding=1` in keras.layers.Conv2DTranspose
        jax: `padding=[(k - 1 - p, k - 1 - p + 1)] * 2` in jax.lax.conv_transpose: the end has output_padding more
        theano: `input_shape=(N, C, H, W)` in conv2d_grad_wrt_inputs
    """

    code: ClassVar[str] = "wrong-output-padding"
    shown_by: ClassVar[str] = "a stride of 2 or more"

    def sentence(self, edit: Edit) -> str:
        return (
            f"output padding {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"
        )

    def showing_arrays(self, spec: ConvSpec) -> str | None:
        return self.shown_by if max(spec.stride) == 1 else None


def _pairs(pairs: list[list[int]]) -> str:
    return pairs_text(tuple((lo, hi) for lo, hi in pairs))


def _numbers(numbers: list[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else ",".join(map(str, numbers))


GEOMETRY: tuple[GeometryHypothesis, ...] = (
    WrongPadding(),
    WrongPadMode(),
    WrongStride(),
    WrongDilation(),
    WrongOutputPadding(),
)
