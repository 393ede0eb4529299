"""Axis strings such as NHWC and HWIO, and arrays moved between them.

Letters: N batch, C channels; O output channels, I input channels, M channel multiplier; D H W
spatial (1-D uses W, 3-D DHW).  N, C, O and I may be left out of a layout: the axis is then absent
from the array and counts as size 1.

The *canonical* order is N C then space for inputs and outputs, and O I then space for kernels (I
C-total, O per-group, for transposed kernels).  Space is always in the order in which the input's
layout names it.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from convdiff.errors import ConvdiffError

Array = NDArray[Any]

SPATIAL = "DHW"
AXES_OF_RANK = {1: "W", 2: "HW", 3: "DHW"}
_OTHER_LETTERS = {"input": "NC", "output": "NC", "kernel": "OIM"}


def check_layout(layout: str, role: str) -> str:
    """`layout` in capitals, if it is one for `role` ("input", "kernel" or "output"); ConvdiffError
    otherwise.
    """
    text = layout.strip().upper()
    allowed = _OTHER_LETTERS[role] + SPATIAL
    option = (
        f"--{role}-layout {layout}"
        if layout.isprintable() and text
        else f"--{role}-layout {layout!r}"
    )
    strange = sorted(set(text) - set(allowed))
    if strange:
        raise ConvdiffError(
            f"{option}: found the letter {strange[0]!r}, expected letters of {' '.join(allowed)} "
            f"(as in {_example(role)})"
        )
    twice = sorted(letter for letter in set(text) if text.count(letter) > 1)
    if twice:
        raise ConvdiffError(
            f"{option}: the letter {twice[0]} stands twice, expected each axis once (as in "
            f"{_example(role)})"
        )
    space = spatial_axes(text)
    if not space or sorted(space) != sorted(AXES_OF_RANK.get(len(space), "")):
        raise ConvdiffError(
            f"{option}: found the spatial axes {space or 'none'}, expected W (1-D), HW (2-D) or "
            "DHW (3-D)"
        )
    if "M" in text and "O" in text:
        raise ConvdiffError(
            f"{option}: found both O and M; a depthwise kernel has I and M (HWIM), any other O "
            "and I (HWIO)"
        )
    return text


def _example(role: str) -> str:
    return "HWIO" if role == "kernel" else "NHWC"


def spatial_axes(layout: str) -> str:
    """The spatial letters of `layout`, in its order: "HW" for NHWC."""
    return "".join(letter for letter in layout if letter in SPATIAL)


def sizes(layout: str, shape: tuple[int, ...]) -> dict[str, int]:
    """Each axis letter with its size; axes that `layout` leaves out are not in it."""
    return dict(zip(layout, shape, strict=True))


def to_order(array: Array, layout: str, order: str) -> Array:
    """A view of `array`, which lies in `layout`, with its axes in `order`; absent axes get size 1.

    Raises ConvdiffError if `layout` has an axis that `order` has not.
    """
    missing = [letter for letter in order if letter not in layout]
    full = array.reshape(array.shape + (1,) * len(missing)) if missing else array
    source = layout + "".join(missing)
    return full.transpose([source.index(letter) for letter in order])


def from_order(array: Array, order: str, layout: str) -> Array:
    """The inverse of `to_order`: a view in `layout` of an array in `order`, axes of size 1 dropped
    where left out.
    """
    dropped = [letter for letter in order if letter not in layout]
    moved = array.transpose([order.index(letter) for letter in list(layout) + dropped])
    return moved.reshape(moved.shape[: len(layout)]) if dropped else moved


def kernel_to_order(kernel: Array, layout: str, axes: str) -> Array:
    """`kernel` as (O, I, *space) with space in the order of `axes`.

    A depthwise layout (I and M) becomes O = I*M with I = 1 per group: output channel c*M + m,
    TensorFlow's and Keras' order.  Without M this is a view.
    """
    if "M" not in layout:
        return to_order(kernel, layout, "OI" + axes)
    by_channel = to_order(kernel, layout, "IM" + axes)
    channels, multiplier = by_channel.shape[:2]
    return by_channel.reshape(channels * multiplier, 1, *by_channel.shape[2:])


def total(shape: tuple[int, ...]) -> int:
    """The number of elements of an array of this shape, exactly (no overflow)."""
    return math.prod(shape)
