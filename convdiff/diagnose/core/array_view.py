"""Views of arrays by tables of offsets: permutations, reversals and reshapes without a copy.

A NumPy view has one stride per axis, which covers transposes, reversals and regular steps.  The
search also needs channels in an arbitrary order, two axes folded into one and buffers reshaped to
another layout's shape.  An `ArrayView` therefore has a whole table of offsets per axis in place of
a stride: element (i, j, ...) is

    buffer[offsets[0][i] + offsets[1][j] + ...]

Deriving one view from another only edits tables, which takes microseconds however large the array
is.  Elements are read later, at a few sample points of many views at once
(`ArrayViewStack.gather`), or all of them for a proof (`ArrayView.to_array`).

A reshape across axes cannot be written as one table per axis of the new shape, so a reshaped view
takes two steps: its `offsets` add up to an index into the C-order sequence of the array that was
reshaped, and the tables of that array, `base_offsets`, lead from there into the buffer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from convdiff.spec.layout import Array

# Arrays up to this size are copied where a copy saves index arithmetic in every later lookup: at
# most 512 KiB in float64.
MAX_COPIED_ELEMENTS = 1 << 16
# Up to this size `to_array` gathers the elements without looking for even strides first, since for
# so few the gather is faster than the check.
MAX_GATHERED_ELEMENTS = 1 << 12


class ArrayView:
    """An array as a 1-D `buffer` and one table of offsets per axis; immutable.

    Element (i, j, ...) is buffer[offsets[0][i] + offsets[1][j] + ...].  If `base_offsets` is not
    empty, that sum is instead the element's C-order index in a base array, the one that was
    reshaped, whose tables of offsets into `buffer` are `base_offsets`.
    """

    __slots__ = ("base_offsets", "buffer", "offsets", "shape")

    def __init__(
        self, buffer: Array, offsets: tuple[Array, ...], base_offsets: tuple[Array, ...] = ()
    ) -> None:
        self.buffer = buffer
        self.offsets = offsets
        self.base_offsets = base_offsets
        self.shape = tuple(map(len, offsets))

    @classmethod
    def of(cls, array: Array) -> ArrayView:
        """A view of all of `array`.

        The array is copied only if it is empty or its strides are no multiples of its item size.
        """
        if array.size == 0 or any(stride % array.itemsize for stride in array.strides):
            array = np.ascontiguousarray(array)
        steps = [stride // array.itemsize for stride in array.strides]
        # With negative strides reversed, the first element is the one at the lowest address.
        ascending = array[
            tuple(slice(None, None, -1) if step < 0 else slice(None) for step in steps)
        ]
        length = 1 + sum(abs(step) * (n - 1) for step, n in zip(steps, array.shape, strict=True))
        buffer = np.lib.stride_tricks.as_strided(
            ascending, (length,), (array.itemsize,), writeable=False
        )
        offsets = [
            np.arange(n) * step - min(0, step * (n - 1))
            for step, n in zip(steps, array.shape, strict=True)
        ]
        return cls(buffer, tuple(offsets))

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def select(self, axis: int, index: Any) -> ArrayView:
        """The view indexed along one axis, by a slice or a sequence of indices."""
        return ArrayView(
            self.buffer,
            (*self.offsets[:axis], self.offsets[axis][index], *self.offsets[axis + 1 :]),
            self.base_offsets,
        )

    def flipped(self, axes: Collection[int]) -> ArrayView:
        """The view reversed along each of `axes`."""
        return ArrayView(
            self.buffer,
            tuple(
                table[::-1] if axis in axes else table for axis, table in enumerate(self.offsets)
            ),
            self.base_offsets,
        )

    def transposed(self, order: Sequence[int]) -> ArrayView:
        """The view with its axes in `order`, as numpy.transpose."""
        return ArrayView(
            self.buffer, tuple(map(self.offsets.__getitem__, order)), self.base_offsets
        )

    def flattened(self) -> FlatView:
        """The elements in C order.

        A small array is copied: that costs less than the divisions which every later lookup in a
        reshaped view needs.
        """
        if self.base_offsets or self.size <= MAX_COPIED_ELEMENTS:
            return FlatView(np.ascontiguousarray(self.to_array()).reshape(-1))
        return FlatView(self.buffer, self.offsets)

    def to_array(self) -> Array:
        """The elements as a NumPy array of this shape.

        It is a read-only NumPy view of the buffer where the array is large and its tables are
        evenly spaced, and a copy otherwise.
        """
        buffer = self.buffer
        if self.base_offsets:
            base = ArrayView(buffer, self.base_offsets).to_array()
            buffer = np.ascontiguousarray(base).reshape(-1)
        steps = (
            None if self.size <= MAX_GATHERED_ELEMENTS else [_step(table) for table in self.offsets]
        )
        if steps is None or None in steps:
            return np.asarray(buffer.take(_broadcast_sum(open_mesh(self.offsets))))
        start = sum(int(table[0]) for table in self.offsets)
        strides = [step * buffer.itemsize for step in steps if step is not None]
        return np.lib.stride_tricks.as_strided(buffer[start:], self.shape, strides, writeable=False)


@dataclass(frozen=True, eq=False)
class FlatView:
    """The elements of an array in C order, ready to be reshaped.

    They are `buffer` itself, or, if `base_offsets` is not empty, the array that has these tables of
    offsets into `buffer`.
    """

    buffer: Array
    base_offsets: tuple[Array, ...] = ()

    def reshaped(self, shape: Sequence[int]) -> ArrayView:
        """A view of these elements in another shape of the same size, as numpy.reshape."""
        steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        return ArrayView(
            self.buffer,
            tuple(np.arange(n) * step for n, step in zip(shape, steps, strict=True)),
            self.base_offsets,
        )


def open_mesh(index: Sequence[Array]) -> list[Array]:
    """The 1-D index arrays reshaped to broadcast to all combinations: numpy.ix_ without checks."""
    rank = len(index)
    return [
        along_axis.reshape((1,) * axis + (-1,) + (1,) * (rank - 1 - axis))
        for axis, along_axis in enumerate(index)
    ]


class _SharedBuffer(NamedTuple):
    """Views that read the same buffer, and can be gathered with one indexing operation."""

    # The numbers of the views in the stack.
    numbers: list[int]
    # One of them: the buffer and the base offsets of all.
    example: ArrayView
    # One array per axis: (views, length of the axis), the tables of all views.
    offsets: tuple[Array, ...]


class ArrayViewStack:
    """Several views of one shape, read together.

    Views of one buffer, such as the permutations and reversals of one array, are gathered with a
    single indexing operation; so are views of small buffers, which are concatenated first.
    """

    def __init__(self, views: Sequence[ArrayView]) -> None:
        self.count = len(views)
        self.shape = views[0].shape
        views = _with_one_buffer(views)
        by_buffer: dict[object, list[int]] = {}
        for number, view in enumerate(views):
            by_buffer.setdefault((id(view.buffer), *map(id, view.base_offsets)), []).append(number)
        self._parts: list[_SharedBuffer] = []
        # For each view of the stack, its part and its row among the tables of that part.
        self._part_of, self._row_of = np.empty(self.count, int), np.empty(self.count, int)
        for part, numbers in enumerate(by_buffer.values()):
            offsets = tuple(
                np.array([views[number].offsets[axis] for number in numbers])
                for axis in range(len(self.shape))
            )
            self._parts.append(_SharedBuffer(numbers, views[numbers[0]], offsets))
            self._part_of[numbers] = part
            self._row_of[numbers] = np.arange(len(numbers))

    def gather(self, *index: Any) -> Array:
        """The elements of every view at the same indices, float64.

        There is one index array per axis; they broadcast together to some shape, and the result is
        (views, *shape).
        """
        gathered = [
            _elements_at(
                part.example,
                _broadcast_sum(
                    [table[:, at] for table, at in zip(part.offsets, index, strict=True)]
                ),
            )
            for part in self._parts
        ]
        if len(gathered) == 1:
            return gathered[0]
        stacked = np.empty((self.count, *gathered[0].shape[1:]))
        for part, values in zip(self._parts, gathered, strict=True):
            stacked[part.numbers] = values
        return stacked

    def gather_each(self, which: Array, *index: Array) -> Array:
        """For each row r the elements of view which[r] at the indices in row r, float64.

        `which` is (rows,).  There is one index array per axis; they broadcast together to
        (rows, *shape), and their first axis is `rows` or 1.  The result is (rows, *shape).
        """
        stacked = None
        part_of_row = self._part_of[which]
        for number, part in enumerate(self._parts):
            rows = slice(None) if len(self._parts) == 1 else np.flatnonzero(part_of_row == number)
            table_rows = self._row_of[which[rows]]
            indices = [np.broadcast_to(at, (len(which), *at.shape[1:]))[rows] for at in index]
            table_rows = table_rows.reshape(-1, *(1,) * (indices[0].ndim - 1))
            values = _elements_at(
                part.example,
                _broadcast_sum(
                    [table[table_rows, at] for table, at in zip(part.offsets, indices, strict=True)]
                ),
            )
            if len(self._parts) == 1:
                return values
            stacked = np.empty((len(which), *values.shape[1:])) if stacked is None else stacked
            stacked[rows] = values
        assert stacked is not None
        return stacked


def _step(table: Array) -> int | None:
    """The difference between neighboring offsets, or None if it is not constant."""
    if len(table) < 2:
        return 0
    step = int(table[1]) - int(table[0])
    # The ends are compared first, since that settles most uneven tables.
    even = int(table[-1]) - int(table[0]) == step * (len(table) - 1) and bool(
        (np.diff(table) == step).all()
    )
    return step if even else None


def _with_one_buffer(views: Sequence[ArrayView]) -> Sequence[ArrayView]:
    """The views with their buffers concatenated to one, in float64, if these are small."""
    buffers = {id(view.buffer): view.buffer for view in views}
    if sum(map(len, buffers.values())) > MAX_COPIED_ELEMENTS:
        return views
    if len(buffers) == 1 or any(view.base_offsets for view in views):
        return views
    joined = np.concatenate([*buffers.values()]).astype(np.float64)
    starts = dict(zip(buffers, np.cumsum([0, *map(len, buffers.values())]).tolist(), strict=False))
    return [
        ArrayView(joined, (view.offsets[0] + starts[id(view.buffer)], *view.offsets[1:]))
        for view in views
    ]


def _broadcast_sum(terms: Sequence[Array]) -> Array:
    """The sum of arrays that broadcast together, added from the first on.

    The leading axes come first, so that small arrays are added before the result grows.
    """
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _elements_at(view: ArrayView, offsets: Array) -> Array:
    """The elements at these sums of `view`'s offsets, in an array of the same shape, float64."""
    if view.base_offsets:
        # The sums are C-order indices of the base array: split them into one index per axis.
        quotient, offsets = offsets, np.zeros((), int)
        for table in reversed(view.base_offsets):
            quotient, index = np.divmod(quotient, len(table))
            offsets = offsets + table[index]
    return np.asarray(view.buffer.take(offsets), np.float64)
