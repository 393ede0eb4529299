"""Hypotheses about the geometry: padding, pad mode, stride, dilation and output padding.

For a given size of the output, a stride, a dilation and a start padding of an axis leave only those
end paddings that add no window.  `search.geometry_table` lists the choices of each axis and
combines them.  An edit covers all axes.
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
from convdiff.diagnose.hypotheses.base import Edits, GeometryHypothesis, enumeration, first_values
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec, numbers_text, pairs_text
from convdiff.spec.pad_mode import pad_mode_text
from convdiff.spec.padding import Pair, kernel_span

# The most equivalent paddings of one edit.
MAX_EQUIVALENT_PADDINGS = 6


ONEDNN = "one {} on every axis: oneDNN counts dilation from 0"


class WrongPadding(GeometryHypothesis):
    """The input was padded by other amounts or on other sides than asked for.

    How it shows: The output has another size; or, where the total is right but not its two sides,
    every element is shifted. At stride 1 with an odd kernel, SAME and a symmetric padding are the
    same; a 1x1 kernel needs no padding.
    Typical causes: SAME in TensorFlow, Keras and JAX depends on the stride and puts the odd element
    at the end: a 3-wide kernel at stride 2 gets (0, 1) on even sizes, where torch's padding=1 pads
    (1, 1). Even kernels. Padding computed from the kernel without its dilation. Causal layers.
    F.pad lists the last axis first, and ONNX lists all begins before all ends. In a transposed
    convolution padding crops the output: the other side was cropped, or the pairs of
    jax.lax.conv_transpose, which pad the dilated input, were taken for crops.
    What tells it apart: An odd size at stride 1, then an even size at stride 2, with different pads
    for H and W; and values at the border that are not zero, since a row of zeros looks like
    padding.
    Fix: Pad by hand as the other side does, then convolve with padding 0; for (0, 1) along H and W:
        numpy: `np.pad(input, ((0, 0), (0, 0), (0, 1), (0, 1)))`
        torch: `F.pad(input, (0, 1, 0, 1))` (W first, then H)
        tensorflow: `padding=[[0, 0], [1, 1], [1, 1], [0, 0]]` in tf.nn.conv2d is torch's padding=1
        jax: `padding=[(1, 1), (1, 1)]` in jax.lax.conv_general_dilated is torch's padding=1
        theano: `border_mode=(1, 1)` in conv2d, or `border_mode=((0, 1), (0, 1))`
        onnx: `pads=[0, 0, 1, 1]` (begins of H and W, then ends)
    """

    code: ClassVar[str] = "wrong-padding"
    shown_by: ClassVar[str] = (
        "an input size that the stride divides evenly, and values at the border that are not zero"
    )

    def sentence(self, edit: Edit) -> str:
        return f"the padding was {_pairs(edit['obtained'])} instead of {_pairs(edit['asked'])}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        return {"padding": _pairs(edit["obtained"])}

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        asked, obtained = (
            tuple((lo, hi) for lo, hi in edit[side]) for side in ("asked", "obtained")
        )
        if spec.transposed:
            return crop_difference(spec, asked, obtained)
        if _is_product_of_ffts(edits, spec):
            return None
        if any(each["code"] == "kernel-axes-permuted" for each in edits) and (
            exchanged_axes(spec, [sum(pair) for pair in asked], [sum(pair) for pair in obtained])
        ):
            return "the same padding, of the kernel as it was read"
        stride = next((e for e in edits if e["code"] == WrongStride.code), None)
        if (
            stride is not None
            and _are_symmetric(asked, stride["obtained"])
            and _are_symmetric(obtained, stride["asked"])
        ):
            return "stride and padding were exchanged"
        return padding_difference(spec, asked, obtained)

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """Other end paddings with as many windows, none of which reaches the difference."""
        codes = {other["code"] for other in edits}
        if problem.spec.transposed or codes & {"wrong-transposed", *CODES_THAT_MOVE_SIZES}:
            return
        spec = problem.spec
        strides = _obtained(WrongStride.code, edits, spec.stride)
        dilations = _obtained(WrongDilation.code, edits, spec.dilation)
        choices = []
        for i, (lo, hi) in enumerate(edit["obtained"]):
            dilated_size = (spec.input_size[i] - 1) * spec.input_dilation[i] + 1
            span = kernel_span(spec.kernel_size[i], dilations[i])
            unread = (dilated_size + lo + hi - span) % strides[i]
            ends = range(max(hi - unread, 0), hi - unread + strides[i])
            pairs = sorted(([lo, end] for end in ends), key=lambda pair: abs(pair[1] - hi))
            choices.append(pairs or [[lo, hi]])
        for pads in itertools.islice(itertools.product(*choices), MAX_EQUIVALENT_PADDINGS):
            if list(pads) not in (edit["obtained"], edit["asked"]):
                yield {**edit, "obtained": [list(pair) for pair in pads]}


# Codes of edits that may exchange axes, whose sizes are then other ones than asked for.
CODES_THAT_MOVE_SIZES = (
    "input-axes-permuted",
    "kernel-axes-permuted",
    "input-reshaped",
    "kernel-reshaped",
)


def _are_symmetric(pads: Sequence[Pair], numbers: Sequence[int]) -> bool:
    """Whether the pads of each axis are its number at both ends."""
    return list(pads) == [(number, number) for number in numbers]


def _obtained(code: str, edits: Edits, asked: Sequence[int]) -> Sequence[int]:
    """The numbers that the edit with this code says were obtained; without one, `asked`."""
    return next((tuple(edit["obtained"]) for edit in edits if edit["code"] == code), asked)


class WrongPadMode(GeometryHypothesis):
    """The padding was filled in another way than asked for.

    How it shows: Only the border differs. Padding 0 shows nothing, and a padding of one position
    does not tell edge from symmetric.
    Typical causes: padding_mode left at "zeros"; OpenCV, whose default border BORDER_REFLECT_101 is
    numpy's reflect. The names differ: scipy.ndimage's reflect is numpy's symmetric, and its mirror
    is numpy's reflect; scipy.signal's symm is symmetric; torch's replicate is edge, and its
    circular is wrap. A product of FFTs without zero padding wraps around. Panoramas and grids of a
    sphere, where it wraps around along the longitude only: the edit then has one mode per axis, in
    the order of the spatial axes, while F.pad takes the last axis first.
    What tells it apart: Two or more padded positions on every side, and an input whose values near
    the border all differ.
    Fix: Name the mode on both sides, or pad by hand and convolve with padding 0; for two positions,
    reflected:
        numpy: `np.pad(input, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")`
        scipy: `scipy.ndimage.correlate(image, kernel, mode="mirror")` (numpy's reflect)
        torch: `F.pad(input, (2, 2, 2, 2), mode="reflect")`; also "replicate" and "circular", and
            padding_mode= in nn.Conv2d
        tensorflow: `tf.pad(input, [[0, 0], [2, 2], [2, 2], [0, 0]], mode="REFLECT")`; also
            "SYMMETRIC"
        jax: `jnp.pad(input, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")`
    """

    code: ClassVar[str] = "wrong-pad-mode"
    may_look_restored: ClassVar[bool] = True
    shown_by: ClassVar[str] = "values that differ near the border, and padding of 2 or more"

    def sentence(self, edit: Edit) -> str:
        obtained, asked = edit["obtained"], edit["asked"]
        if isinstance(obtained, str) and isinstance(asked, str):
            return f"the padding was filled by {obtained!r} instead of {asked!r}"
        return f"the padding was filled {_fillings(obtained)} instead of {_fillings(asked)}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        options: dict[str, object] = {"pad_mode": pad_mode_text(edit["obtained"])}
        if spec.pad_value != 0 and "constant" not in edit["obtained"]:
            # Other modes take no numbers.
            options["pad_value"] = 0
        return options

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        asked, obtained = edit["asked"], edit["obtained"]
        if not isinstance(obtained, str):
            if not isinstance(asked, str):
                exchanged = sorted(asked) == sorted(obtained)
                return "the modes of the axes were exchanged" if exchanged else None
            wraps_one_way = set(obtained) > {"wrap"} and len(obtained) == 2
            return "circular along one axis only, as for panoramas" if wraps_one_way else None
        if _is_product_of_ffts(edits, spec):
            if _was_flipped(edits, spec):
                return (
                    "a product of FFTs without zero padding is a circular convolution: flipped, "
                    "wrapped around and shifted"
                )
            return (
                "a product of FFTs with the kernel's conjugated, without zero padding, is a "
                "circular cross-correlation: wrapped around and shifted"
            )
        return {
            "wrap": "circular: torch's padding_mode='circular', or what a product of FFTs gives "
            "without zero padding",
            "reflect": "OpenCV's default border, BORDER_REFLECT_101; scipy.ndimage calls it mirror",
            "symmetric": "what scipy.ndimage calls reflect, its default, and scipy.signal symm",
            "edge": "what torch calls replicate and scipy.ndimage nearest",
        }.get(obtained)


def _fillings(modes: str | Sequence[str]) -> str:
    """What filled the padding: "by 'wrap'", or "by 'constant' along H and by 'wrap' along W"."""
    if isinstance(modes, str):
        return f"by {modes!r}"
    # One letter for each axis where there are as many as usual.
    axes = "DHW"[-len(modes) :]
    return enumeration(
        [f"by {mode!r} along {axis}" for mode, axis in zip(modes, axes, strict=True)]
    )


def _is_product_of_ffts(edits: Edits, spec: ConvSpec) -> bool:
    """Whether the padding and the pad mode are those of a product of FFTs without zero padding.

    Such a product wraps around.  A plain one flips the kernel, and each window ends at the position
    of its output element; one with the conjugate of the kernel's FFT does not flip the kernel, and
    each window starts there.
    """
    by_code = {edit["code"]: edit for edit in edits}
    mode, padding = by_code.get(WrongPadMode.code), by_code.get(WrongPadding.code)
    if mode is None or mode["obtained"] != "wrap" or padding is None:
        return False
    shifts = [kernel_span(k, d) - 1 for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    expected = [[shift, 0] if _was_flipped(edits, spec) else [0, shift] for shift in shifts]
    return [list(pair) for pair in padding["obtained"]] == expected


def _was_flipped(edits: Edits, spec: ConvSpec) -> bool:
    """Whether the kernel was flipped in the end, be it asked for or not."""
    flips = ("kernel-flipped", "kernel-not-flipped")
    return spec.flip != any(edit["code"] in flips for edit in edits)


class WrongPadValue(GeometryHypothesis):
    """The padding held other numbers than asked for.

    How it shows: The border differs, by as much whatever the input is: by the number times the sum
    of the weights that fall on the padding. A kernel whose weights sum to zero there hides it.
    What is asked for is zero, unless --pad-value says otherwise.
    Typical causes: A quantized input padded with the integer 0 where its zero point stands for
    zero, or with the zero point where 0 is meant; padding before the mean is subtracted, or a mean
    or BatchNorm folded into the first layer, whose padding then is minus the mean, one number for
    each channel; cval= of scipy.ndimage and cv2's borderValue; padding of images with 255.
    What tells it apart: An input that is not constant, for which reflect, replicate and wrap differ
    from a constant; several kernels, so that the border has more values than there are numbers.
    Fix: Pad with the same number on both sides, by hand, and convolve with padding 0 (convdiff
    code --pad-value writes that, also for a number per channel); for one position of -128:
        numpy: `np.pad(input, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-128)`
        scipy: `scipy.ndimage.correlate(image, kernel, mode="constant", cval=-128)`
        torch: `F.pad(input, (1, 1, 1, 1), value=-128)`; one per channel: pad the channels one by
            one and stack them
        tensorflow: `tf.pad(input, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-128)`
        jax: `jnp.pad(input, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-128)`
    """

    code: ClassVar[str] = "wrong-pad-value"
    may_look_restored: ClassVar[bool] = True
    shown_by: ClassVar[str] = "a larger border, and a kernel of distinct weights"
    oddness: ClassVar[float] = 0.2

    def is_fitted(self, edit: Edit) -> bool:
        return True

    def sentence(self, edit: Edit) -> str:
        obtained, asked = edit["obtained"], edit["asked"]
        return f"the padding held {_numbers(obtained)} instead of {_numbers(asked)}"


class WrongStride(GeometryHypothesis):
    """The kernel moved by another step than asked for.

    How it shows: The output has another size. If both strides give the same size, every position
    but the first differs. An axis with one output position shows nothing.
    Typical causes: A stride left at 1; the strides of H and W exchanged; the stride of a pooling
    layer; the output sliced afterwards on one side and strided on the other; TensorFlow's depthwise
    layers, which refuse unequal strides, so that one of them was dropped.
    What tells it apart: An input several strides longer than the kernel, with other sizes and other
    strides for H than for W. A dilation, its rival on small inputs, moves the taps instead of the
    windows.
    Fix: Pass the same stride on both sides, for H and for W:
        numpy: `output[:, :, ::2, ::2]` of the output at stride 1 is the output at stride 2
        torch: `stride=(2, 2)`
        tensorflow: `strides=[1, 2, 2, 1]` in tf.nn.conv2d, `strides=(2, 2)` in Keras
        jax: `window_strides=(2, 2)` in jax.lax.conv_general_dilated
        theano: `subsample=(2, 2)`
    """

    code: ClassVar[str] = "wrong-stride"
    shown_by: ClassVar[str] = "more output positions"

    def sentence(self, edit: Edit) -> str:
        obtained, asked = numbers_text(edit["obtained"]), numbers_text(edit["asked"])
        return f"the stride was {obtained} instead of {asked}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        return {"stride": numbers_text(edit["obtained"])}

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        axes = exchanged_axes(spec, edit["asked"], edit["obtained"])
        return f"the strides of {axes} exchanged" if axes else None


class WrongDilation(GeometryHypothesis):
    """The kernel's taps were farther apart, or closer together, than asked for.

    How it shows: The interior differs, and so does the output's size, unless the padding changed
    with the dilation. A 1x1 kernel shows nothing; equal dilations hide an exchange of H and W.
    Typical causes: oneDNN, which counts dilation from 0 where all others count from 1; the
    dilations of H and W exchanged, or one used for both; a converter that drops the attribute;
    Keras' dilation_rate lost when a layer is rebuilt from its weights.
    What tells it apart: A kernel of distinct values with more than one tap along each axis, other
    dilations for H than for W, and an input longer than the dilated kernel.
    Fix: Pass the same dilation on both sides, where 1 is dense, and compute the padding from
    d*(k-1)+1:
        numpy: `np.kron(kernel, np.eye(1, 4).reshape(2, 2))[..., :-1, :-1]` is the kernel dilated
            by 2
        torch: `dilation=(2, 2)`
        tensorflow: `dilations=[1, 2, 2, 1]` in tf.nn.conv2d, `dilation_rate=(2, 2)` in Keras
        jax: `rhs_dilation=(2, 2)`; lhs_dilation dilates the input
        theano: `filter_dilation=(2, 2)`
    """

    code: ClassVar[str] = "wrong-dilation"
    shown_by: ClassVar[str] = "a kernel with more taps, and more output positions"

    def sentence(self, edit: Edit) -> str:
        obtained, asked = numbers_text(edit["obtained"]), numbers_text(edit["asked"])
        return f"the dilation was {obtained} instead of {asked}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        return {"dilation": numbers_text(edit["obtained"])} if min(edit["obtained"]) else None

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        asked, obtained = edit["asked"], edit["obtained"]
        axes = exchanged_axes(spec, asked, obtained)
        if axes:
            return f"the dilations of {axes} exchanged"
        if any(other["code"] == WrongStride.code for other in edits):
            # The two were exchanged; no library counts both from 0.
            return None
        if obtained == [d + 1 for d in asked]:
            return ONEDNN.format("more")
        if obtained == [d - 1 for d in asked] and max(obtained) > 1:
            return ONEDNN.format("less")
        return None


class WrongOutputPadding(GeometryHypothesis):
    """A transposed convolution's output ends earlier or later than asked for.

    How it shows: The output has another size, but the positions in common are right. Stride 1
    leaves only one size.
    Typical causes: At a stride above 1, several output sizes belong to one input size. torch takes
    the smallest unless output_padding is given; TensorFlow takes the shape of the output; Keras and
    JAX with SAME make it the size of the input times the stride. torch has no SAME for transposed
    convolutions: padding=1, output_padding=1 gives that size but crops the other side. In ONNX,
    output_shape overrides pads.
    What tells it apart: An input that is not zero at its end, and a kernel at least as long as the
    stride, so that the added positions are not zero. Another crop, its rival, also moves the start.
    Fix: State the output's size on both sides, here twice the input's at stride 2:
        numpy: `output[:, :, :H, :W]` of the full output, with zeros added if it is shorter
        torch: `output_padding=1`, or `output_size=(H, W)` when calling nn.ConvTranspose2d
        tensorflow: `output_shape=[N, H, W, C]` in tf.nn.conv2d_transpose, `output_padding=1` in
            keras.layers.Conv2DTranspose
        jax: `padding=[(k - 1 - p, k - 1 - p + 1)] * 2` in jax.lax.conv_transpose, where the end has
            output_padding more
        theano: `input_shape=(N, C, H, W)` in conv2d_grad_wrt_inputs
    """

    code: ClassVar[str] = "wrong-output-padding"
    shown_by: ClassVar[str] = "a stride of 2 or more"

    def sentence(self, edit: Edit) -> str:
        obtained, asked = numbers_text(edit["obtained"]), numbers_text(edit["asked"])
        return f"the output padding was {obtained} instead of {asked}"

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        return {"output_padding": numbers_text(edit["obtained"])}

    def showing_arrays(self, spec: ConvSpec) -> str | None:
        return self.shown_by if max(spec.stride) == 1 else None


def _numbers(value: float | list[float]) -> str:
    """What a padding holds, in words."""
    if isinstance(value, list):
        return f"a number for each input channel ({first_values(value)})"
    return f"{value:.9g}"


def _pairs(pairs: list[list[int]]) -> str:
    """Pads as the option --padding takes them: "1" or "0:1,1:1"."""
    return pairs_text(tuple((lo, hi) for lo, hi in pairs))


GEOMETRY: tuple[GeometryHypothesis, ...] = (
    WrongPadding(),
    WrongPadMode(),
    WrongPadValue(),
    WrongStride(),
    WrongDilation(),
    WrongOutputPadding(),
)
