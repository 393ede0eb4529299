"""Axes read in another order, and buffers reshaped where they should have been transposed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView, FlatView


def to_layout(array: ArrayView, layout: str, order: str) -> ArrayView:
    """`array`, which lies in `layout`, with its axes in `order`; axes that `layout` leaves out get
    size 1.
    """
    if len(order) > len(layout):
        missing = [letter for letter in order if letter not in layout]
        layout += "".join(missing)
        array = ArrayView(
            array.buffer, array.offsets + (np.zeros(1, int),) * len(missing), array.base_offsets
        )
    return array.transposed([layout.index(letter) for letter in order])


@lru_cache(maxsize=256)
def other_axis_orders(layout: str, order: str) -> list[tuple[str, tuple[int, ...], float]]:
    """Every other order of the letters of a complete `layout`; an array so read, in `order`, as
    axes to transpose; and how odd it is.
    """
    found = []
    space = "".join(a for a in layout if a in "DHW")
    for letters in itertools.permutations(layout):
        read = "".join(letters)
        if read != layout:
            common = (
                sum(a != b for a, b in zip(layout, read, strict=True)) == 2
                or "".join(a for a in read if a in "DHW") == space
            )
            found.append(
                (read, tuple(read.index(a) for a in order if a in read), 0.1 if common else 0.5)
            )
    return found


def axis_misreadings(
    array: ArrayView, layout: str, order: str
) -> Iterator[tuple[str, float, ArrayView]]:
    """(layout it is read in, oddness, array in `order`) for every reading of `array`, which lies in
    `layout`, that makes another array.
    """
    own = to_layout(array, layout, order)
    missing = [at for at, letter in enumerate(order) if letter not in layout]
    for read, axes, oddness in other_axis_orders(layout, order):
        made = array.transposed(axes)
        for at in missing:
            made = ArrayView(
                made.buffer,
                (*made.offsets[:at], np.zeros(1, int), *made.offsets[at:]),
                made.base_offsets,
            )
        # Axes of size 1 may change their places and nothing else.
        if made.shape != own.shape or any(
            a is not b and len(a) > 1 for a, b in zip(made.offsets, own.offsets, strict=True)
        ):
            yield read, oddness, made


@lru_cache(maxsize=256)
def _mistakes(layout: str) -> list[tuple[str, str, tuple[int, ...], tuple[int, ...]]]:
    """(source, target, source's axes in `layout`, target's axes in `layout`) of every common
    mistaken reshape.
    """
    space = "".join(a for a in layout if a in "DHW")
    orders = [
        f"NC{space}",
        f"N{space}C",
        f"C{space}",
        f"{space}C",
        f"C{space}N",
        f"CN{space}",
        f"{space}NC",
        f"{space}CN",
    ]
    orders = [
        layout,
        *(order for order in orders if sorted(order) == sorted(layout) and order != layout),
    ]
    pairs = [pair for pair in itertools.permutations(orders, 2) if layout in pair]
    return [
        (source, target, tuple(map(layout.index, source)), tuple(map(layout.index, target)))
        for source, target in pairs
    ]


def mistaken_reshapes(
    array: ArrayView, layout: str, order: str
) -> Iterator[tuple[str, str, ArrayView]]:
    """(source, target, result in `order`) for every common mistaken reshape of `array`, which lies
    in `layout`.

    The buffer in the source order is reshaped to the target's shape, keeping each axis' size with
    its letter.
    """
    known = array.shape
    if sum(size > 1 for size in known) < 2:
        return
    flat: dict[str, FlatView] = {}
    long = {letter for letter, size in zip(layout, known, strict=True) if size > 1}
    for source, target, source_axes, target_axes in _mistakes(layout):
        if [a for a in source if a in long] == [a for a in target if a in long]:
            continue
        if source not in flat:
            flat[source] = array.transposed(source_axes).flattened()
        yield (
            source,
            target,
            to_layout(flat[source].reshaped([known[axis] for axis in target_axes]), target, order),
        )
