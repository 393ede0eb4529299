"""What the port made of an input before its layer got it: one thing that was done to the source's,
or left out.

Held against the same limit as the inputs themselves, since rounding lies between them: the
diagnosis of a convolution is stricter.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.port.layer_pair import LayerPair, distance
from convdiff.spec.layout import Array

# Numbers of an input of which this is sought; a larger one's first images are taken, or none.
MOST = 2**22
# Factors that are known by another name.
NAMED = {1 / 255: "1/255", 255.0: "255", 1 / 127.5: "1/127.5", 127.5: "127.5"}


def why(look: LayerPair, limit: float) -> str:
    """A sentence about the port's input, empty where nothing known here makes it of the source's."""
    try:
        x, y = (array.astype(np.float64) for array in _first(*look.cores))
    except ConvdiffError:
        return ""
    if not x.size or not np.isfinite(x).all() or not np.isfinite(y).all():
        return ""
    with np.errstate(all="ignore"):
        for said, made, expected in _stories(x, y):
            apart = distance(expected, made)
            if apart is not None and apart <= limit:
                return said
    return ""


def _first(x: Array, y: Array) -> tuple[Array, Array]:
    count = MOST // max(1, x[:1].size, y[:1].size)
    return x[:count], y[:count]


def _stories(x: Array, y: Array) -> Iterator[tuple[str, Array, Array]]:
    """What is told, and the two arrays that are then the same."""
    yield "a ReLU is missing, or another activation in its place", np.maximum(y, 0), x
    yield "a ReLU6 is missing, or another activation in its place", np.clip(y, 0, 6), x
    yield "they went through a ReLU, which the source's did not", np.maximum(x, 0), y
    yield "they are clipped at 6, which the source's are not", np.minimum(x, 6), y
    yield "the clip at 6 is missing", np.minimum(y, 6), x
    yield (
        f"they are the source's with channels reversed{' (RGB/BGR)' if x.shape[1] == 3 else ''}",
        x[:, ::-1],
        y,
    )
    for axis in range(2, x.ndim):
        yield f"they are the source's reversed along {'DHW'[axis - x.ndim]}", np.flip(x, axis), y
    yield "they are the source's with the last two axes exchanged", x.swapaxes(-1, -2), y
    if x.ndim > 2 and x.size == y.size:
        last = np.moveaxis(y, 1, -1)
        yield (
            "they are the source's reshaped, not transposed, from channels first to last",
            x.reshape(last.shape),
            last,
        )
        first = np.moveaxis(x, 1, -1)
        yield (
            "they are the source's reshaped, not transposed, from channels last to first",
            first.reshape(y.shape),
            y,
        )
    if x.shape == y.shape:
        factor = float((x * y).sum() / np.square(x).sum())
        named = next(
            (f" ({name})" for value, name in NAMED.items() if abs(factor / value - 1) < 1e-4), ""
        )
        yield f"they are the source's × {factor:.6g}{named}", factor * x, y
        alive = np.where((x != 0) & (y != 0), y, 0)
        yield (
            "each channel was scaled and shifted by itself, as by another normalization",
            _by_channel(x, y),
            alive,
        )


def _by_channel(x: Array, y: Array) -> Array:
    """The best a x + b of each channel, where neither is zero: an activation leaves nothing to tell
    there.
    """
    axes = (0, *range(2, x.ndim))
    alive = (x != 0) & (y != 0)
    count = np.maximum(alive.sum(axis=axes, keepdims=True), 1)
    mean_x, mean_y = (
        np.where(alive, array, 0).sum(axis=axes, keepdims=True) / count for array in (x, y)
    )
    u, v = np.where(alive, x - mean_x, 0), np.where(alive, y - mean_y, 0)
    slope = (u * v).sum(axis=axes, keepdims=True) / np.maximum(
        np.square(u).sum(axis=axes, keepdims=True), np.finfo(np.float64).tiny
    )
    made: Array = np.where(alive, mean_y + slope * (x - mean_x), 0)
    return made
