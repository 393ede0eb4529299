"""Hypotheses about the geometry: padding, its sides and mode, stride, dilation, output padding.

The obtained size leaves few choices along each axis: for a stride, a dilation and a start padding
the end padding follows, up to positions that no window reaches.  Each axis' choices are listed on
their own and combined; an edit covers all axes.
"""

from __future__ import annotations

from typing import ClassVar

from convdiff.records import Edit
from convdiff.spec.conv_spec import pairs_text


class WrongPadding:
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

    def sentence(self, edit: Edit) -> str:
        return f"padding {_pairs(edit['obtained'])} where {_pairs(edit['asked'])} was asked"


class WrongPadMode:
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

    def sentence(self, edit: Edit) -> str:
        return f"the padding was filled by {edit['obtained']!r} where {edit['asked']!r} was asked"


class WrongStride:
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

    def sentence(self, edit: Edit) -> str:
        return f"stride {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"


class WrongDilation:
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

    def sentence(self, edit: Edit) -> str:
        return f"dilation {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"


class WrongOutputPadding:
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

    def sentence(self, edit: Edit) -> str:
        return (
            f"output padding {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"
        )


def _pairs(pairs: list[list[int]]) -> str:
    return pairs_text(tuple((lo, hi) for lo, hi in pairs))


def _numbers(numbers: list[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else ",".join(map(str, numbers))


GEOMETRY = (WrongPadding(), WrongPadMode(), WrongStride(), WrongDilation(), WrongOutputPadding())
