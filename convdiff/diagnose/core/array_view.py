"""Arrays read in other ways than they lie, without a copy: where in memory each element is.

A reading is one table per axis: the element at (i, j, ...) lies at tables[0][i] + tables[1][j] +
....  Axes in another order, reversals, channels dealt out or permuted, a buffer reshaped to another
layout: all are tables, made in microseconds however large the array is, and looked up only where
someone looks.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convdiff.spec.layout import Array

# Elements of an array that may well be copied, and of several that are brought together to be
# looked up at once.
MAX_COPIED_ELEMENTS = 1 << 16
# Elements that are copied sooner than looked at twice.
MAX_GATHERED_ELEMENTS = 1 << 12


class ArrayView:
    """An array as the places of its elements in `buffer` (one axis); never changed once made.

    `base_offsets`, if not empty, says that the tables count elements of another array in C order, one
    that was reshaped to this: it holds that one's tables, axis by axis.  `shape` is its shape as
    read.
    """

    __slots__ = ("base_offsets", "buffer", "offsets", "shape")

    def __init__(
        self, buffer: Array, tables: tuple[Array, ...], base_offsets: tuple[Array, ...] = ()
    ) -> None:
        self.buffer = buffer
        self.offsets = tables
        self.base_offsets = base_offsets
        self.shape = tuple(map(len, tables))

    @classmethod
    def of(cls, array: Array) -> ArrayView:
        """`array` as it is; copied only if its elements lie at no whole distances."""
        if array.size == 0 or any(step % array.itemsize for step in array.strides):
            array = np.ascontiguousarray(array)
        steps = [step // array.itemsize for step in array.strides]
        lowest = array[tuple(slice(None, None, -1) if step < 0 else slice(None) for step in steps)]
        length = 1 + sum(abs(step) * (n - 1) for step, n in zip(steps, array.shape, strict=True))
        buffer = np.lib.stride_tricks.as_strided(
            lowest, (length,), (array.itemsize,), writeable=False
        )
        tables = [
            np.arange(n) * step - min(0, step * (n - 1))
            for step, n in zip(steps, array.shape, strict=True)
        ]
        return cls(buffer, tuple(tables))

    @property
    def size(self) -> int:
        """The number of its elements as read."""
        return math.prod(self.shape)

    def select(self, axis: int, index: Any) -> ArrayView:
        """Indexed along one axis, by a slice or a list of indices."""
        return ArrayView(
            self.buffer,
            (*self.offsets[:axis], self.offsets[axis][index], *self.offsets[axis + 1 :]),
            self.base_offsets,
        )

    def flipped(self, axes: Collection[int]) -> ArrayView:
        """Reversed along `axes`."""
        return ArrayView(
            self.buffer,
            tuple(t[::-1] if axis in axes else t for axis, t in enumerate(self.offsets)),
            self.base_offsets,
        )

    def transposed(self, order: Sequence[int]) -> ArrayView:
        """Its axes in another order."""
        return ArrayView(
            self.buffer, tuple(map(self.offsets.__getitem__, order)), self.base_offsets
        )

    def flattened(self) -> FlatView:
        """Its elements in C order; a small array is copied, which costs less than the divisions
        later.
        """
        if self.base_offsets or self.size <= MAX_COPIED_ELEMENTS:
            return FlatView(np.ascontiguousarray(self.to_array()).reshape(-1))
        return FlatView(self.buffer, self.offsets)

    def to_array(self) -> Array:
        """The array itself: a view where the tables are evenly spaced and there is much of it."""
        buffer = self.buffer
        if self.base_offsets:
            buffer = np.ascontiguousarray(ArrayView(buffer, self.base_offsets).to_array()).reshape(
                -1
            )
        steps = (
            None if self.size <= MAX_GATHERED_ELEMENTS else [_step(table) for table in self.offsets]
        )
        if steps is None or None in steps:
            return np.asarray(buffer.take(_sum(open_mesh(self.offsets))))
        start = sum(int(table[0]) for table in self.offsets)
        strides = [step * buffer.itemsize for step in steps if step is not None]
        return np.lib.stride_tricks.as_strided(buffer[start:], self.shape, strides, writeable=False)


@dataclass(frozen=True, eq=False)
class FlatView:
    """The elements of an array in C order: `buffer` itself, or the array that has `base_offsets` for
    its tables.
    """

    buffer: Array
    base_offsets: tuple[Array, ...] = ()

    def reshaped(self, shape: Sequence[int]) -> ArrayView:
        """In another shape."""
        steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        return ArrayView(
            self.buffer,
            tuple(np.arange(n) * step for n, step in zip(shape, steps, strict=True)),
            self.base_offsets,
        )


def open_mesh(index: Sequence[Array]) -> list[Array]:
    """One array of indices for each axis as arrays that broadcast to all combinations (numpy.ix_
    without its checks).
    """
    rank = len(index)
    return [
        each.reshape((1,) * axis + (-1,) + (1,) * (rank - 1 - axis))
        for axis, each in enumerate(index)
    ]


def _step(table: Array) -> int | None:
    """The distance of neighbours in a table, if it is one distance throughout."""
    if len(table) < 2:
        return 0
    step = int(table[1]) - int(table[0])
    return (
        step
        if int(table[-1]) - int(table[0]) == step * (len(table) - 1)
        and bool((np.diff(table) == step).all())
        else None
    )


class ArrayViewStack:
    """Several `ArrayView` arrays of one shape, looked up together; those in the same memory in one
    go.
    """

    def __init__(self, arrays: Sequence[ArrayView]) -> None:
        self.count = len(arrays)
        self.shape = arrays[0].shape
        arrays = _brought_together(arrays)
        alike: dict[object, list[int]] = {}
        for number, array in enumerate(arrays):
            alike.setdefault((id(array.buffer), *map(id, array.base_offsets)), []).append(number)
        self._parts = []
        self._part_of, self._within = np.empty(self.count, int), np.empty(self.count, int)
        for number, members in enumerate(alike.values()):
            stacked = tuple(
                np.array([arrays[i].offsets[axis] for i in members])
                for axis in range(len(self.shape))
            )
            self._parts.append((members, arrays[members[0]], stacked))
            self._part_of[members] = number
            self._within[members] = np.arange(len(members))

    def gather(self, *index: Any) -> Array:
        """(arrays, *shape): every array at these indices, one for each axis, which broadcast
        together to `shape`; float64.
        """
        made = [
            _taken(first, _sum([table[:, at] for table, at in zip(tables, index, strict=True)]))
            for _, first, tables in self._parts
        ]
        if len(made) == 1:
            return made[0]
        out = np.empty((self.count, *made[0].shape[1:]))
        for (members, _, _), values in zip(self._parts, made, strict=True):
            out[members] = values
        return out

    def gather_each(self, which: Array, *index: Array) -> Array:
        """(len(which), *shape): array which[r] at row r of the indices, whose first axis is
        len(which) or 1; float64.
        """
        out = None
        parts = self._part_of[which]
        for number, (_, first, tables) in enumerate(self._parts):
            rows = slice(None) if len(self._parts) == 1 else np.flatnonzero(parts == number)
            within = self._within[which[rows]]
            here = [np.broadcast_to(at, (len(which), *at.shape[1:]))[rows] for at in index]
            lined = within.reshape(-1, *(1,) * (here[0].ndim - 1))
            values = _taken(
                first, _sum([table[lined, at] for table, at in zip(tables, here, strict=True)])
            )
            if len(self._parts) == 1:
                return values
            out = np.empty((len(which), *values.shape[1:])) if out is None else out
            out[rows] = values
        assert out is not None
        return out


def _brought_together(arrays: Sequence[ArrayView]) -> Sequence[ArrayView]:
    """The arrays in one buffer, if they are small."""
    buffers = {id(array.buffer): array.buffer for array in arrays}
    if sum(map(len, buffers.values())) > MAX_COPIED_ELEMENTS or any(
        array.base_offsets for array in arrays
    ):
        return arrays
    if len(buffers) == 1:
        return arrays
    together = np.concatenate([*buffers.values()]).astype(np.float64)
    starts = dict(zip(buffers, np.cumsum([0, *map(len, buffers.values())]).tolist(), strict=False))
    return [
        ArrayView(together, (array.offsets[0] + starts[id(array.buffer)], *array.offsets[1:]))
        for array in arrays
    ]


def _sum(terms: Sequence[Array]) -> Array:
    """The sum of broadcast terms, the smaller ones (they come first) before they meet the larger."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _taken(array: ArrayView, places: Array) -> Array:
    """The elements at `places` of the array's memory, or of the base array in it; float64."""
    if array.base_offsets:
        count, places = places, np.zeros((), int)
        for table in reversed(array.base_offsets):
            count, digit = np.divmod(count, len(table))
            places = places + table[digit]
    return np.asarray(array.buffer.take(places), np.float64)
