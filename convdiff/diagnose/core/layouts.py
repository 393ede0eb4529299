"""Arrays whose axes were taken in another order, and buffers that were reshaped by mistake.

A layout is a string with one letter per axis, such as "NCHW" or "HWIO".  All results are
`ArrayView`s, so that no element is copied until it is looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView, FlatView

# How odd a wrong order of the axes is, from 0 to 1: where two axes were exchanged or the spatial
# axes kept their order, and otherwise.
COMMON_ORDER_ODDNESS, RARE_ORDER_ODDNESS = 0.1, 0.5


class AxisOrder(NamedTuple):
    """A wrong layout in which an array may have been read."""

    layout: str
    # The axes of the array in the order of the target layout, under this reading.
    axes: tuple[int, ...]
    oddness: float


class MistakenReshape(NamedTuple):
    """A buffer in the layout `source` that is given the shape of the layout `target`.

    The axes of both are numbers of axes in the array's own layout.
    """

    source: str
    target: str
    source_axes: tuple[int, ...]
    target_axes: tuple[int, ...]


def to_layout(array: ArrayView, layout: str, target: str) -> ArrayView:
    """`array`, which is in `layout`, with its axes in the order of `target`.

    Letters of `target` that `layout` lacks become axes of size 1.
    """
    if len(target) > len(layout):
        missing = [letter for letter in target if letter not in layout]
        layout += "".join(missing)
        array = ArrayView(
            array.buffer, array.offsets + (np.zeros(1, int),) * len(missing), array.base_offsets
        )
    return array.transposed([layout.index(letter) for letter in target])


@lru_cache(maxsize=256)
def other_axis_orders(layout: str, target: str) -> list[AxisOrder]:
    """Every other order of the letters of `layout`, each with the transpose to `target`.

    Letters of `target` that `layout` lacks are left out of the transpose.
    """
    orders = []
    spatial = [letter for letter in layout if letter in "DHW"]
    for letters in itertools.permutations(layout):
        read = "".join(letters)
        if read == layout:
            continue
        exchange = sum(a != b for a, b in zip(layout, read, strict=True)) == 2
        keeps_space = [letter for letter in read if letter in "DHW"] == spatial
        oddness = COMMON_ORDER_ODDNESS if exchange or keeps_space else RARE_ORDER_ODDNESS
        axes = tuple(read.index(letter) for letter in target if letter in read)
        orders.append(AxisOrder(read, axes, oddness))
    return orders


def axis_misreadings(
    array: ArrayView, layout: str, target: str
) -> Iterator[tuple[str, float, ArrayView]]:
    """Yields (layout it was read in, oddness, view in `target`) for every wrong order of the axes.

    `array` is in `layout`.  Orders that give the same array, because they move axes of size 1
    only, are left out.
    """
    right = to_layout(array, layout, target)
    missing = [axis for axis, letter in enumerate(target) if letter not in layout]
    for read, axes, oddness in other_axis_orders(layout, target):
        view = array.transposed(axes)
        for axis in missing:
            offsets = (*view.offsets[:axis], np.zeros(1, int), *view.offsets[axis:])
            view = ArrayView(view.buffer, offsets, view.base_offsets)
        if view.shape != right.shape or any(
            table is not right_table and len(table) > 1
            for table, right_table in zip(view.offsets, right.offsets, strict=True)
        ):
            yield read, oddness, view


def mistaken_reshapes(
    array: ArrayView, layout: str, target: str
) -> Iterator[tuple[str, str, ArrayView]]:
    """Yields (source layout, layout reshaped to, view in `target`) for every common wrong reshape.

    `array` is in `layout`.  The mistake: a buffer in the source layout got the shape of another
    layout by a reshape where a transpose was needed.  Each letter keeps its size.  Reshapes that
    change nothing, because the long axes keep their order, are left out.
    """
    if sum(size > 1 for size in array.shape) < 2:
        return
    size_of = dict(zip(layout, array.shape, strict=True))
    flattened: dict[str, FlatView] = {}
    for reshape in _common_reshapes(layout):
        source, reshaped_to = reshape.source, reshape.target
        if [a for a in source if size_of[a] > 1] == [a for a in reshaped_to if size_of[a] > 1]:
            continue
        if source not in flattened:
            flattened[source] = array.transposed(reshape.source_axes).flattened()
        view = flattened[source].reshaped([array.shape[axis] for axis in reshape.target_axes])
        yield source, reshaped_to, to_layout(view, reshaped_to, target)


@lru_cache(maxsize=256)
def _common_reshapes(layout: str) -> list[MistakenReshape]:
    """The wrong reshapes between `layout` and the common layouts, and orders, of its letters."""
    space = "".join(a for a in layout if a in "DHW")
    common = [
        f"NC{space}",
        f"N{space}C",
        f"C{space}",
        f"{space}C",
        f"C{space}N",
        f"CN{space}",
        f"{space}NC",
        f"{space}CN",
        # Column-major, as Fortran, MATLAB and Julia store arrays.
        layout[::-1],
    ]
    others = [
        order
        for order in dict.fromkeys(common)
        if sorted(order) == sorted(layout) and order != layout
    ]
    pairs = [pair for pair in itertools.permutations([layout, *others], 2) if layout in pair]
    return [
        MistakenReshape(
            source, target, tuple(map(layout.index, source)), tuple(map(layout.index, target))
        )
        for source, target in pairs
    ]
