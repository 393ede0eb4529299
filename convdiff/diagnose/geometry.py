"""Hypotheses about the geometry: padding, its sides and mode, stride, dilation, output padding.

The obtained size leaves few choices along each axis: for a stride, a dilation and a start padding the end padding follows,
up to positions that no window reaches.  Each axis' choices are listed on their own and combined; an edit covers all axes.
"""

from __future__ import annotations

from typing import ClassVar

from convdiff.case import Edit
from convdiff.spec import pairs_text

STRIDES = (1, 2, 3, 4)
DILATIONS = (1, 2, 3, 4)
MODES = ("constant", "reflect", "edge", "wrap", "symmetric")


class WrongPadding:
    """The input was padded by other amounts, or on other sides, than asked.

    How it shows: the output's size; or, where the total is right and its sides are not, everything shifted by one.
    Typical causes: TensorFlow's SAME puts the odd one at the end and pads (0, 1) for a 3-wide kernel at stride 2 on even sizes, where
    torch's padding=1 pads (1, 1); causal layers pad the start only; padding computed from the undilated kernel; F.pad lists the
    last axis first; ONNX lists all begins before all ends.
    Fix: pad by hand as the other side does (F.pad(input, (0, 1, 0, 1)) in torch), then convolve with padding 0.
    """

    code: ClassVar[str] = "wrong-padding"

    def sentence(self, edit: Edit) -> str:
        return f"padding {_pairs(edit['obtained'])} where {_pairs(edit['asked'])} was asked"


class WrongPadMode:
    """The padding was filled by another rule than asked.

    How it shows: the border only.
    Typical causes: padding_mode left at zeros; OpenCV's default border is reflect; scipy's boundary words differ from numpy's
    (ndimage's "reflect" is numpy's "symmetric", its "mirror" is numpy's "reflect"); an FFT without zero padding wraps around.
    Fix: pad by hand with np.pad's mode, or name the mode on both sides.
    """

    code: ClassVar[str] = "wrong-pad-mode"

    def sentence(self, edit: Edit) -> str:
        return f"the padding was filled by {edit['obtained']!r} where {edit['asked']!r} was asked"


class WrongStride:
    """The kernel moved by another step than asked.

    How it shows: the output's size.
    Typical causes: a stride left at 1, H and W strides exchanged, a pooling layer's stride folded in.
    Fix: pass the same stride on both sides.
    """

    code: ClassVar[str] = "wrong-stride"

    def sentence(self, edit: Edit) -> str:
        return f"stride {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"


class WrongDilation:
    """The kernel's taps lay further apart, or closer, than asked.

    How it shows: the interior; the output's size unless the padding changed with it.
    Typical causes: oneDNN counts dilation from 0, everyone else from 1; a dilation of one axis used for both; dilation ignored.
    Fix: pass the same dilation; 1 is dense.
    """

    code: ClassVar[str] = "wrong-dilation"

    def sentence(self, edit: Edit) -> str:
        return f"dilation {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"


class WrongOutputPadding:
    """A transposed convolution's output has more or fewer positions at its end than asked.

    How it shows: the output's size.
    Typical causes: output_padding left at 0; TensorFlow takes the output's shape instead.
    Fix: set output_padding (torch) or output_shape (TensorFlow) so that the sizes agree.
    """

    code: ClassVar[str] = "wrong-output-padding"

    def sentence(self, edit: Edit) -> str:
        return f"output padding {_numbers(edit['obtained'])} where {_numbers(edit['asked'])} was asked"


def _pairs(pairs: list[list[int]]) -> str:
    return pairs_text(tuple((lo, hi) for lo, hi in pairs))


def _numbers(numbers: list[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else ",".join(map(str, numbers))


GEOMETRY = (WrongPadding(), WrongPadMode(), WrongStride(), WrongDilation(), WrongOutputPadding())
