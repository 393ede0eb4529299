"""Outputs that came with fewer axes than asked: flattened for a dense layer, or batch and space
merged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array


def unflattened(output: Array, spec: ConvSpec) -> tuple[Array, str] | None:
    """`output` with the axes that were merged in it apart again, and the order they lie in: the
    asked one, or another usual one.

    None where its shape is no merging of theirs.
    """
    layout, space = spec.output_layout, "".join(a for a in spec.output_layout if a in spec.axes)
    known = dict(zip(layout, spec.shape("output"), strict=True))
    if output.size != math.prod(known.values()) or _long(output.shape) >= _long(known.values()):
        return None
    for usual in (layout, f"NC{space}", f"N{space}C", f"CN{space}", f"{space}NC"):
        order = "".join(letter for letter in usual if letter in layout)
        sizes = [known[letter] for letter in order]
        if _merges(output.shape, sizes):
            return output.reshape(sizes), order
    return None


def _long(sizes: Iterable[int]) -> int:
    return sum(size > 1 for size in sizes)


def _merges(shape: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether each of `shape` is the product of neighbours among `sizes`, in their order."""
    left = [size for size in sizes if size > 1]
    for size in shape:
        product = 1
        while product < size and left:
            product *= left.pop(0)
        if product != size:
            return False
    return not left


def first_part(output: Array, spec: ConvSpec) -> tuple[tuple[slice, ...], str] | None:
    """Which part of the asked output (N, C, *space) an output with fewer batch items or channels
    may be, in words too; None if none.
    """
    asked = dict(zip(spec.output_layout, spec.shape("output"), strict=True))
    got = dict(zip(spec.output_layout, output.shape, strict=True))
    fewer = {letter for letter in asked if got[letter] < asked[letter]}
    if not fewer or not fewer <= {"N", "C"} or any(got[letter] > asked[letter] for letter in asked):
        return None
    names = {"N": "batch items", "C": "output channels"}
    said = " and ".join(
        f"{got[letter]} of {asked[letter]} {names[letter]}" for letter in "NC" if letter in fewer
    )
    return tuple(slice(got.get(letter, 1)) for letter in "NC"), said
