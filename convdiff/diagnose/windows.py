"""The inputs that meet the kernel at a few output elements, for many inputs and geometries at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from convdiff.diagnose.forms import AxisGeometry, GeometryForm, InputForm
from convdiff.layout import Array


class Point(NamedTuple):
    """One output element: batch item, output channel, position."""

    item: int
    channel: int
    place: tuple[int, ...]


def axis_indices(axis: AxisGeometry, place: int | Array, taps: int, n: int, mode: str) -> Array:
    """The input index that each tap meets at output position `place` (or positions, (n, 1)); -1 where it meets a zero."""
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


class Table(NamedTuple):
    """Where each geometry's windows lie at one position: input indices per axis, broadcast to (geometries, taps...).

    `inside` is false where a tap meets a zero; the index is then 0.
    """

    indices: tuple[Array, ...]
    inside: Array


def table(geometries: Sequence[GeometryForm], place: tuple[int, ...], taps: tuple[int, ...], n: tuple[int, ...]) -> Table:
    """The `Table` of these geometries at output position `place`, for inputs of n positions; distinct axes are worked out once."""
    rank = len(taps)
    count = len(geometries)
    inside = np.ones((count, *taps), bool)
    indices = []
    for axis in range(rank):
        known: dict[tuple[AxisGeometry, str], int] = {}
        numbers = [known.setdefault((geometry.axes[axis], geometry.mode), len(known)) for geometry in geometries]
        rows = np.array([axis_indices(choice, place[axis], taps[axis], n[axis], mode) for choice, mode in known])[numbers]
        rows = rows.reshape(count, *(taps[axis] if a == axis else 1 for a in range(rank)))
        inside &= rows >= 0
        indices.append(np.maximum(rows, 0))
    return Table(tuple(indices), inside)


def windows(inputs: Sequence[Array], channels: slice, point: Point, where: Table) -> Array:
    """(inputs x geometries, terms): the inputs (N, C, *space), all of one size, as each geometry meets them at `point`, float64."""
    lows = [int(index.min()) for index in where.indices]
    box: tuple[Any, ...] = tuple(slice(low, int(index.max()) + 1) for low, index in zip(lows, where.indices, strict=True))
    stack = np.stack([x[(point.item, channels, *box)] for x in inputs])
    picked: tuple[Any, ...] = tuple(index - low for low, index in zip(lows, where.indices, strict=True))
    values = np.moveaxis(stack[(slice(None), slice(None), *picked)], 1, 2)
    inside = where.inside[None, :, None]
    return np.where(inside, values, 0).astype(np.float64).reshape(values.shape[0] * values.shape[1], -1)


def norms(rows: Array) -> Array:
    """The Euclidean length of each row."""
    return np.asarray(np.sqrt(np.einsum("rn,rn->r", rows, rows)))


class WindowStore:
    """Tables and windows already made, windows up to a number of bytes; forms meet many kernels and outputs."""

    MOST_BYTES = 64 << 20

    def __init__(self) -> None:
        self._tables: dict[object, Table] = {}
        self._windows: dict[object, tuple[Array, Array]] = {}
        self._bytes = 0

    def windows(
        self, inputs: list[InputForm], channels: slice, point: Point, geometries: list[GeometryForm], taps: tuple[int, ...]
    ) -> tuple[Array, Array]:
        """`windows` of these, and `norms` of that.  Inputs and lists of geometries are told apart by identity."""
        key = (*(id(form) for form in inputs), channels.start, channels.stop, point, id(geometries), taps)
        if key in self._windows:
            return self._windows[key]
        placed = (id(geometries), point.place, taps, inputs[0].size)
        if placed not in self._tables:
            self._tables[placed] = table(geometries, point.place, taps, inputs[0].size)
        values = windows([form.array for form in inputs], channels, point, self._tables[placed])
        made = values, norms(values)
        if self._bytes + values.nbytes <= self.MOST_BYTES:
            self._windows[key] = made
            self._bytes += values.nbytes
        return made
