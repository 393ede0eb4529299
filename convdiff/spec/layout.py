"""Axis strings such as NHWC and HWIO, and arrays moved between them.

Letters: N batch, C channels, O output channels, I input channels per group, M channel multiplier,
D H W spatial (1-D uses W, 3-D DHW). In the layout of a transposed kernel, I counts all input
channels and O the output channels per group. N, C, O and I may be left out of a layout: the array
then lacks that axis, which counts as size 1.

Spatial axes are always in the order in which the input layout names them.
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
    """`layout` in capitals, if it is a layout of `role`: "input", "kernel" or "output".

    Raises ConvdiffError otherwise.
    """
    text = layout.strip().upper()
    allowed = _OTHER_LETTERS[role] + SPATIAL
    option = (
        f"--{role}-layout {layout}"
        if layout.isprintable() and text
        else f"--{role}-layout {layout!r}"
    )
    unknown = sorted(set(text) - set(allowed))
    if unknown:
        raise ConvdiffError(
            f"{option}: found the letter {unknown[0]!r}, expected letters of {' '.join(allowed)} "
            f"(as in {_example(role)})"
        )
    repeated = sorted(letter for letter in set(text) if text.count(letter) > 1)
    if repeated:
        raise ConvdiffError(
            f"{option}: found the letter {repeated[0]} more than once, expected each axis once (as "
            f"in {_example(role)})"
        )
    space = spatial_axes(text)
    if not space or sorted(space) != sorted(AXES_OF_RANK.get(len(space), "")):
        raise ConvdiffError(
            f"{option}: found the spatial axes {space or 'none'}, expected W (1-D), HW (2-D) or "
            "DHW (3-D)"
        )
    if "M" in text and "O" in text:
        raise ConvdiffError(
            f"{option}: found both O and M, expected I and M for a depthwise kernel (HWIM), O and "
            "I for any other (HWIO)"
        )
    return text


def _example(role: str) -> str:
    return "HWIO" if role == "kernel" else "NHWC"


def spatial_axes(layout: str) -> str:
    """The spatial letters of `layout`, in its order: HW for NHWC."""
    return "".join(letter for letter in layout if letter in SPATIAL)


def axis_sizes(layout: str, shape: tuple[int, ...]) -> dict[str, int]:
    """The size along each axis letter of `layout`; axes that it leaves out are missing."""
    return dict(zip(layout, shape, strict=True))


def to_order(array: Array, layout: str, order: str) -> Array:
    """A view of `array`, whose axes are in `layout`, with its axes in `order`.

    An axis of `order` that `layout` leaves out gets size 1.
    """
    missing = [letter for letter in order if letter not in layout]
    full = array.reshape(array.shape + (1,) * len(missing)) if missing else array
    source = layout + "".join(missing)
    return full.transpose([source.index(letter) for letter in order])


def from_order(array: Array, order: str, layout: str) -> Array:
    """The inverse of `to_order`: a view in `layout` of an array whose axes are in `order`.

    An axis that `layout` leaves out must have size 1 and is dropped.
    """
    dropped = [letter for letter in order if letter not in layout]
    moved = array.transpose([order.index(letter) for letter in list(layout) + dropped])
    return moved.reshape(moved.shape[: len(layout)]) if dropped else moved


def kernel_to_order(kernel: Array, layout: str, axes: str) -> Array:
    """`kernel`, whose axes are in `layout`, as (O, I, *space) with space in the order of `axes`.

    A depthwise kernel (I and M) gets O = I*M and one input channel per group; its output channels
    are in the order of TensorFlow and Keras, c*M + m. Any other kernel is a view.
    """
    if "M" not in layout:
        return to_order(kernel, layout, "OI" + axes)
    by_channel = to_order(kernel, layout, "IM" + axes)
    channels, multiplier = by_channel.shape[:2]
    return by_channel.reshape(channels * multiplier, 1, *by_channel.shape[2:])


def element_count(shape: tuple[int, ...]) -> int:
    """The number of elements of an array of this shape; a Python int, so it cannot overflow."""
    return math.prod(shape)
