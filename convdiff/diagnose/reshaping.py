"""Buffers reshaped where they should have been transposed: every common mistake of that kind for one array."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from convdiff.layout import Array, sizes, to_order

# Bytes above which only the commonest orders are tried: each but the array's own costs a copy.
LARGE = 4 << 20


def data_orders(layout: str, large: bool) -> list[str]:
    """The orders that inputs and outputs come in, for the letters of `layout`, that one first."""
    space = "".join(a for a in layout if a in "DHW")
    orders = [f"NC{space}", f"N{space}C", f"C{space}", f"{space}C"]
    orders += [] if large else [f"C{space}N", f"CN{space}", f"{space}NC", f"{space}CN"]
    return [layout, *(order for order in orders if sorted(order) == sorted(layout) and order != layout)]


def reshapes(array: Array, layout: str, order: str) -> Iterator[tuple[str, str, Array]]:
    """(source, target, result in `order`) for every common mistaken reshape of `array`, which lies in `layout`.

    The buffer in the source order is reshaped to the target's shape, keeping each axis' size with its letter.  Views
    where the buffer is `array` itself.
    """
    known = sizes(layout, array.shape)
    if sum(size > 1 for size in known.values()) < 2:
        return
    for source, target in itertools.permutations(data_orders(layout, array.nbytes > LARGE), 2):
        if layout in (source, target):
            buffer = np.ascontiguousarray(array.transpose([layout.index(a) for a in source]))
            yield source, target, to_order(buffer.reshape([known[a] for a in target]), target, order)
