"""Outputs with fewer axes than asked (flattened for a dense layer, say), or with fewer channels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array


def unflattened(output: Array, spec: ConvSpec) -> tuple[Array, str] | None:
    """`output` with its merged axes separated, and their order, as a layout.

    The order is the asked one if the shape allows that, else another common one.  None if the shape
    does not result from merging axes of the asked output.
    """
    layout, space = spec.output_layout, "".join(a for a in spec.output_layout if a in spec.axes)
    sizes = dict(zip(layout, spec.shape("output"), strict=True))
    if output.size != math.prod(sizes.values()) or (
        _long_axes(output.shape) >= _long_axes(sizes.values())
    ):
        return None
    for common in (layout, f"NC{space}", f"N{space}C", f"CN{space}", f"{space}NC"):
        order = "".join(letter for letter in common if letter in layout)
        ordered = [sizes[letter] for letter in order]
        if _merges(output.shape, ordered):
            return output.reshape(ordered), order
    return None


def _long_axes(sizes: Iterable[int]) -> int:
    """The number of axes longer than 1."""
    return sum(size > 1 for size in sizes)


def _merges(shape: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether merging neighboring axes of an array of these `sizes` can give `shape`."""
    remaining = [size for size in sizes if size > 1]
    for size in shape:
        product = 1
        while product < size and remaining:
            product *= remaining.pop(0)
        if product != size:
            return False
    return not remaining


def first_part(output: Array, spec: ConvSpec) -> tuple[tuple[slice, ...], str] | None:
    """The first batch items or channels of the asked output, if `output` has the shape of those.

    As slices of (N, C, *space), and as a phrase ("3 of 4 output channels").
    """
    asked = dict(zip(spec.output_layout, spec.shape("output"), strict=True))
    obtained = dict(zip(spec.output_layout, output.shape, strict=True))
    fewer = {letter for letter in asked if obtained[letter] < asked[letter]}
    more = {letter for letter in asked if obtained[letter] > asked[letter]}
    if not fewer or not fewer <= {"N", "C"} or more:
        return None
    names = {"N": "batch items", "C": "output channels"}
    phrase = " and ".join(
        f"{obtained[letter]} of {asked[letter]} {names[letter]}"
        for letter in "NC"
        if letter in fewer
    )
    return tuple(slice(obtained.get(letter, 1)) for letter in "NC"), phrase
