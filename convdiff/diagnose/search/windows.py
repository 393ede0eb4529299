"""Where the windows of hypothesized geometries lie in the input, and the values they contain.

The window of an output element is what the kernel is multiplied with there: (C per group, *taps)
input values.  A `WindowTable` has the input indices of many windows, axis by axis, so that the
windows of all geometries can be gathered from all inputs in one operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack
from convdiff.spec.layout import Array


class SamplePoint(NamedTuple):
    """One output element: batch item, output channel, spatial position."""

    item: int
    channel: int
    position: tuple[int, ...]


# What `tap_indices` has for a tap on the padding, and for one on a dilated zero.
ON_PADDING, ON_DILATED_ZERO = -1, -2


class PaddingTaps(NamedTuple):
    """The taps of some windows that lie on a padding of other numbers than zero.

    `where` has the shape of the windows followed by the taps; `numbers` is (C,).
    """

    where: Array
    numbers: Array


class WindowTable(NamedTuple):
    """Which input element each tap of some windows reads.

    The windows are either those of all geometries at some positions, (positions, geometries), or a
    flat list, (windows,).  `indices` has one array per spatial axis; they broadcast to the shape
    of the windows followed by the taps.  `inside`, of that shape, is False where a tap reads a
    padded or dilated zero; the index is 0 there.  `padding` is None where the padding holds zeros.
    """

    indices: tuple[Array, ...]
    inside: Array
    padding: PaddingTaps | None = None


def tap_indices(
    correlation: Array, position: Array, taps: int, input_size: int, pad_mode: str
) -> Array:
    """The input index that each tap reads along one axis, or below 0 where it reads a zero.

    `correlation` is (4, ..., 1): strides, paddings at the start, dilations and input dilations.
    They broadcast with the output positions, `position` (..., 1); the result is (..., taps).
    """
    stride, lo, dilation, input_dilation = correlation
    dilated = position * stride - lo + np.arange(taps) * dilation
    last = (input_size - 1) * input_dilation
    if pad_mode != "constant":
        dilated = unpadded_index(dilated, last + 1, pad_mode)
    if np.all(np.equal(input_dilation, 1)):
        return np.where((dilated >= 0) & (dilated <= last), dilated, ON_PADDING)
    index, remainder = np.divmod(dilated, input_dilation)
    on_input = np.where(remainder == 0, index, ON_DILATED_ZERO)
    return np.where((dilated >= 0) & (dilated <= last), on_input, ON_PADDING)


def unpadded_index(index: Array, size: Array, pad_mode: str) -> Array:
    """The indices, below `size`, of the elements that numpy.pad in this mode copies to `index`.

    `index` counts from the first element before padding and may be arbitrarily far outside.
    """
    if pad_mode == "edge":
        return np.asarray(np.clip(index, 0, size - 1))
    if pad_mode == "wrap":
        return index % size
    # "symmetric" repeats the border element where it turns back, "reflect" does not.
    repeats = 1 if pad_mode == "symmetric" else 0
    period = np.maximum(2 * size if repeats else 2 * size - 2, 1)
    phase = index % period
    return np.asarray(np.where(phase < size, phase, period - phase - repeats))


def gather_windows(
    inputs: ArrayViewStack, channels: slice, points: Sequence[SamplePoint], table: WindowTable
) -> Array:
    """(inputs, points, geometries, terms): the windows of all geometries at some points, float64.

    `inputs` are views as (N, C, *space); `table` is (points, geometries, *taps).  A window's terms
    are its values in C order, one for each of the `channels` and each tap.
    """
    ones = (1,) * len(table.indices)
    item = np.array([point.item for point in points]).reshape(-1, 1, 1, *ones)
    channel = np.arange(channels.start, channels.stop).reshape(1, 1, -1, *ones)
    values = inputs.gather(item, channel, *(index[:, :, None] for index in table.indices))
    np.copyto(values, 0.0, where=~table.inside[None, :, :, None])
    if table.padding is not None:
        numbers = table.padding.numbers[channel]
        np.copyto(values, numbers, where=table.padding.where[None, :, :, None])
    return values.reshape(inputs.count, *table.inside.shape[:2], -1)


def gather_windows_by_row(
    inputs: ArrayViewStack, which: Array, items: Array, channels: Array, table: WindowTable
) -> Array:
    """(rows, terms): one window per row, each of its own input, item, channels and geometry.

    Row r is taken from input which[r], item items[r] and channels[r], which is (channels,), at the
    places in row r of `table`, (rows, *taps); float64.
    """
    ones = (1,) * len(table.indices)
    index = (
        items.reshape(-1, 1, *ones),
        channels.reshape(*channels.shape, *ones),
        *(index[:, None] for index in table.indices),
    )
    values = inputs.gather_each(which, *index)
    np.copyto(values, 0.0, where=~table.inside[:, None])
    if table.padding is not None:
        numbers = table.padding.numbers[channels].reshape(*channels.shape, *ones)
        np.copyto(values, numbers, where=table.padding.where[:, None])
    return values.reshape(len(which), -1)


def row_norms(rows: Array) -> Array:
    """The Euclidean norm over the last axis: (..., terms) to (...)."""
    return np.asarray(np.sqrt(np.einsum("...n,...n->...", rows, rows)))
