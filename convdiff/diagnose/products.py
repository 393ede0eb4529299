"""The convolution's value at one output element for every input, geometry and kernel at once.

There are two ways to the same numbers.  Where there are few geometries, their windows are gathered and multiplied with the
kernels.  Where there are many, they meet the same places of the input again and again: the kernels' taps are multiplied with each
place once, and a geometry's value is a sum of as many of those products as there are taps, however many channels there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.making import Making
from convdiff.diagnose.placed import Bundle, grid
from convdiff.diagnose.windows import Point, Table, norms, windows
from convdiff.layout import Array

# What a step costs, in the time of one multiplication inside a matrix product: to gather a number, to add a vector's number, to call.
GATHER, ADD, CALL = 40, 8, 100_000
# Geometries that are not worth the question.
FEW = 12


class Rows(NamedTuple):
    """Vectors (makings, rows, terms), and the length of each."""

    values: Array
    lengths: Array


class Product(NamedTuple):
    """`values` is (makings, inputs, geometries, kernels), or (makings, geometries, inputs, kernels).

    `lengths` are the windows', without the kernels: all axes but the last.
    """

    values: Array
    lengths: Array
    geometries_first: bool

    def numbers(self, flat: Array) -> tuple[Array, Array, Array, Array]:
        """Makings, inputs, geometries and kernels of flat indices of `values`."""
        making, first, second, kernel = np.unravel_index(flat, self.values.shape)
        return (making, second, first, kernel) if self.geometries_first else (making, first, second, kernel)

    def length(self, making: Array, form: Array, geometry: Array) -> Array:
        """The window's length for each of these combinations."""
        return self.lengths[making, geometry, form] if self.geometries_first else self.lengths[making, form, geometry]


class Look(NamedTuple):
    """One element to look at: the input's channels that it sees, where windows lie there, and the kernels at its channel."""

    point: Point
    channels: slice
    where: Table
    kernels: Rows


def multiply(inputs: Bundle, looks: Sequence[Look], makings: Sequence[Making]) -> tuple[Product, ...]:
    """The values at each of the elements of every kernel on every input under every geometry of the tables; all in one order."""
    first = looks[0]
    geometries, *taps = first.where.inside.shape
    tap_count, (_, count, terms) = math.prod(taps), first.kernels.values.shape
    if geometries > FEW:
        places, depth = math.prod(len(np.unique(index)) for index in first.where.indices), terms // tap_count
        direct = inputs.count * geometries * terms * (GATHER + len(makings) * count)
        by_place = places * (GATHER * depth + len(makings) * count * terms) + geometries * tap_count * (len(makings) * count + 1) * ADD
        if by_place * inputs.count + tap_count * len(makings) * CALL < direct:
            return tuple(_by_place(inputs, look, makings) for look in looks)
    return tuple(_direct(inputs, look, makings) for look in looks)


def _direct(inputs: Bundle, look: Look, makings: Sequence[Making]) -> Product:
    """Windows gathered, and multiplied with the kernels."""
    rows = windows(inputs, look.channels, look.point, look.where)
    made = np.stack([making.rounds(rows) for making in makings])
    shape = len(makings), inputs.count, len(look.where.inside)
    return Product((made @ look.kernels.values.swapaxes(1, 2)).reshape(*shape, -1), norms(made).reshape(shape), False)


def _by_place(inputs: Bundle, look: Look, makings: Sequence[Making]) -> Product:
    """The kernels' taps multiplied with every place that any window meets, and summed for each geometry."""
    where, kernels, (channels, point) = look.where, look.kernels, (look.channels, look.point)
    geometries, *taps = where.inside.shape
    depth, tap_count = channels.stop - channels.start, math.prod(taps)
    many, count, _ = kernels.values.shape
    used = [np.unique(index, return_inverse=True) for index in where.indices]
    places = math.prod(len(values) for values, _ in used)
    flat = np.zeros((1,) * (1 + len(taps)), int)
    for index, (values, inverse) in zip(where.indices, used, strict=True):
        flat = flat * len(values) + inverse.reshape(index.shape)
    # One more place, where padding is zero.
    flat = np.where(where.inside, flat, places).reshape(geometries, tap_count).T
    met = grid([np.array([point.item]), np.arange(channels.start, channels.stop), *(values for values, _ in used)])
    rows = inputs.look_up(*met).reshape(inputs.count, depth, places).transpose(2, 0, 1).reshape(places * inputs.count, depth)
    made = np.zeros((many, geometries, inputs.count * count))
    squares = np.zeros((many, geometries, inputs.count))
    once, square = np.zeros((places + 1, inputs.count * count)), np.zeros((places + 1, inputs.count))
    for number, making in enumerate(makings):
        found = np.ascontiguousarray(making.rounds(rows))
        weights = kernels.values[number].reshape(count, depth, tap_count)
        np.einsum("rc,rc->r", found, found, out=square[:places].reshape(-1))
        for tap in range(tap_count):
            np.matmul(found, weights[:, :, tap].T, out=once[:places].reshape(places * inputs.count, count))
            made[number] += once[flat[tap]]
            squares[number] += square[flat[tap]]
    return Product(made.reshape(many, geometries, inputs.count, count), np.sqrt(squares), True)
