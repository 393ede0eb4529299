"""The inputs that meet the kernel at a few output elements, for many inputs and geometries at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from convdiff.diagnose.forms import AxisGeometry, GeometryForm
from convdiff.layout import Array


class Point(NamedTuple):
    """One output element: batch item, output channel, position."""

    item: int
    channel: int
    place: tuple[int, ...]


def axis_indices(axis: AxisGeometry, place: int, taps: int, n: int, mode: str) -> Array:
    """The input index that each tap meets at output position `place`; -1 where it meets a zero."""
    dilated = place * axis.stride - axis.lo + np.arange(taps) * axis.dilation
    inside = (dilated >= 0) & (dilated <= (n - 1) * axis.input_dilation)
    if mode == "constant":
        index, rest = np.divmod(dilated, axis.input_dilation)
        return np.where(inside & (rest == 0), index, -1)
    if axis.input_dilation > 1:
        return _dilated_mode(dilated, n, axis.input_dilation, mode)
    return mirrored(dilated, n, mode)


def mirrored(index: Array, n: int, mode: str) -> Array:
    """numpy.pad's rule for the input index that stands at `index`, anywhere; all within n."""
    if mode == "edge" or n == 1:
        return np.clip(index, 0, n - 1)
    if mode == "wrap":
        return index % n
    period = 2 * n if mode == "symmetric" else 2 * n - 2
    folded = index % period
    return np.where(folded < n, folded, period - folded - (1 if mode == "symmetric" else 0))


def _dilated_mode(dilated: Array, n: int, dilation: int, mode: str) -> Array:
    """As `mirrored`, for an input with zeros between its elements."""
    folded = mirrored(dilated, (n - 1) * dilation + 1, mode)
    index, rest = np.divmod(folded, dilation)
    return np.where(rest == 0, index, -1)


def windows(x: Array, channels: slice, point: Point, geometries: list[GeometryForm], taps: tuple[int, ...]) -> Array:
    """(geometries, I, taps...) flattened to (geometries, terms): the inputs each geometry has at `point`, float64.

    Distinct per-axis choices are gathered once, in one indexing, and the geometries pick from that.
    """
    item = x[point.item, channels]
    rank = len(taps)
    numbers = np.empty((len(geometries), rank), np.intp)
    indices = []
    for axis in range(rank):
        known: dict[tuple[AxisGeometry, str], int] = {}
        rows: list[Array] = []
        for number, geometry in enumerate(geometries):
            key = (geometry.axes[axis], geometry.mode)
            if key not in known:
                known[key] = len(rows)
                rows.append(axis_indices(key[0], point.place[axis], taps[axis], x.shape[2 + axis], key[1]))
            numbers[number, axis] = known[key]
        indices.append(np.array(rows))
    picked = [table[numbers[:, axis]] for axis, table in enumerate(indices)]
    grid = []
    valid = np.ones((len(geometries), *taps), bool)
    for axis, index in enumerate(picked):
        shape = (len(geometries), *(taps[axis] if a == axis else 1 for a in range(rank)))
        valid = valid & (index >= 0).reshape(shape)
        grid.append(np.maximum(index, 0).reshape(shape))
    values = item[(slice(None), *grid)]
    values = np.where(valid, values, 0).astype(np.float64)
    return np.ascontiguousarray(np.moveaxis(values, 0, 1)).reshape(len(geometries), -1)


def norms(rows: Array) -> Array:
    """The Euclidean length of each row."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(np.einsum("rn,rn->r", rows, rows)))


class WindowStore:
    """Windows already gathered, with their lengths, up to a number of bytes; forms meet many kernels and outputs."""

    MOST_BYTES = 64 << 20

    def __init__(self) -> None:
        self._known: dict[object, tuple[Array, Array]] = {}
        self._bytes = 0

    def windows(
        self, x: Array, channels: slice, point: Point, geometries: list[GeometryForm], taps: tuple[int, ...]
    ) -> tuple[Array, Array]:
        """`windows` of these, and `norms` of that.  Inputs and lists of geometries are told apart by identity."""
        key = (id(x), channels.start, channels.stop, point, id(geometries), taps)
        if key in self._known:
            return self._known[key]
        values = windows(x, channels, point, geometries, taps)
        made = values, norms(values)
        if self._bytes + values.nbytes <= self.MOST_BYTES:
            self._known[key] = made
            self._bytes += values.nbytes
        return made
