"""Where the windows of hypothesised geometries lie in the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack
from convdiff.spec.layout import Array


class SamplePoint(NamedTuple):
    """One output element: batch item, output channel, position."""

    item: int
    channel: int
    position: tuple[int, ...]


class WindowTable(NamedTuple):
    """Where each geometry's window lies at some positions: input indices per axis, broadcast to
    (positions, geometries, taps...).

    Or one window a row, (rows, taps...).  `inside` is false where a tap meets a zero; the index is
    then 0.
    """

    indices: tuple[Array, ...]
    inside: Array


def tap_indices(
    stride: int | Array,
    lo: int | Array,
    dilation: int | Array,
    input_dilation: int | Array,
    place: int | Array,
    taps: int,
    n: int,
    mode: str,
) -> Array:
    """The input index that each tap meets at output position `place`; -1 where it meets a zero.

    Numbers, or arrays that broadcast against the taps, (..., 1).
    """
    dilated = place * stride - lo + np.arange(taps) * dilation
    last = (n - 1) * input_dilation
    if mode != "constant":
        dilated = mirrored(dilated, last + 1, mode)
    if np.all(np.equal(input_dilation, 1)):
        return np.where((dilated >= 0) & (dilated <= last), dilated, -1)
    index, rest = np.divmod(dilated, input_dilation)
    return np.where((dilated >= 0) & (dilated <= last) & (rest == 0), index, -1)


def mirrored(index: Array, n: int | Array, mode: str) -> Array:
    """numpy.pad's rule for the input index that stands at `index`, anywhere; all within n."""
    if mode == "edge":
        return np.clip(index, 0, n - 1)
    if mode == "wrap":
        return index % n
    period = np.maximum(2 * n if mode == "symmetric" else 2 * n - 2, 1)
    folded = index % period
    return np.where(folded < n, folded, period - folded - (1 if mode == "symmetric" else 0))


def gather_windows(
    inputs: ArrayViewStack, channels: slice, points: Sequence[SamplePoint], where: WindowTable
) -> Array:
    """(inputs, points, geometries, terms): the inputs (N, C, *space) as each geometry meets them at
    the points, float64.
    """
    ones = (1,) * len(where.indices)
    item = np.array([point.item for point in points]).reshape(-1, 1, 1, *ones)
    channel = np.arange(channels.start, channels.stop).reshape(1, 1, -1, *ones)
    values = inputs.gather(item, channel, *(index[:, :, None] for index in where.indices))
    np.copyto(values, 0.0, where=~where.inside[None, :, :, None])
    return values.reshape(inputs.count, *where.inside.shape[:2], -1)


def gather_windows_by_row(
    inputs: ArrayViewStack, which: Array, items: Array, channels: Array, where: WindowTable
) -> Array:
    """(rows, terms): input which[r], item items[r], channels[r] (rows, channels), in the window in
    row r of the table; float64.
    """
    ones = (1,) * len(where.indices)
    index = (
        items.reshape(-1, 1, *ones),
        channels.reshape(*channels.shape, *ones),
        *(index[:, None] for index in where.indices),
    )
    values = inputs.gather_each(which, *index)
    np.copyto(values, 0.0, where=~where.inside[:, None])
    return values.reshape(len(which), -1)


def row_norms(rows: Array) -> Array:
    """The Euclidean length of each row."""
    return np.asarray(np.sqrt(np.einsum("...n,...n->...", rows, rows)))
