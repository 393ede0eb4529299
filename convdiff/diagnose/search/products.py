"""The convolution's values at a pair of output elements for every input, geometry and kernel at
once.

There are two ways to the same numbers.  Where there are few geometries, their windows are gathered
and multiplied with the kernels.  Where there are many, they meet the same places of the input again
and again: the kernels' taps are multiplied with each place once, and a geometry's value is a sum of
as many of those products as there are taps, however many channels there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack, open_mesh
from convdiff.diagnose.search.windows import SamplePoint, WindowTable, gather_windows, row_norms
from convdiff.spec.layout import Array

# What a step costs, in the time of one multiplication inside a matrix product: to gather a number,
# to add a vector's number, to call.
GATHER, ADD, CALL = 40, 8, 100_000
# Geometries that are not worth the question.
FEW = 12


class KernelRows(NamedTuple):
    """Vectors (rows, terms), the length of each, and its largest magnitude."""

    values: Array
    norms: Array
    peaks: Array


class ProductTable(NamedTuple):
    """`values` is (points, inputs, geometries, kernels), or (points, geometries, inputs, kernels).

    `window_norms` are the windows', without the kernels: all axes but the last.
    """

    values: Array
    window_norms: Array
    geometries_first: bool

    @property
    def combinations(self) -> int:
        """How many values there are at one point."""
        return math.prod(self.values.shape[1:])

    def unravel(self, flat: Array) -> tuple[Array, Array, Array]:
        """Inputs, geometries and kernels of flat indices of the values at one point."""
        first, second, kernel = np.unravel_index(flat, self.values.shape[1:])
        return (second, first, kernel) if self.geometries_first else (first, second, kernel)

    def norms_of(self, form: Array, geometry: Array) -> Array:
        """(points, combinations): the window's length for each of these combinations."""
        return (
            self.window_norms[:, geometry, form]
            if self.geometries_first
            else self.window_norms[:, form, geometry]
        )


class ProductRequest(NamedTuple):
    """Some elements of one channel to look at: the input's channels they see, where windows lie
    there, and the kernels at that channel.
    """

    points: Sequence[SamplePoint]
    channels: slice
    windows: WindowTable
    kernels: KernelRows


def multiply(inputs: ArrayViewStack, look: ProductRequest) -> ProductTable:
    """The values at the elements of every kernel on every input under every geometry of the table."""
    _, geometries, *taps = look.windows.inside.shape
    tap_count, (count, terms) = math.prod(taps), look.kernels.values.shape
    if geometries > FEW:
        places, depth = (
            math.prod(int(index.max()) + 1 for index in look.windows.indices),
            terms // tap_count,
        )
        direct = inputs.count * geometries * terms * (GATHER + count)
        by_place = (
            places * (GATHER * depth + count * terms) + geometries * tap_count * (count + 1) * ADD
        )
        if by_place * inputs.count + tap_count * CALL < direct:
            return _by_place(inputs, look)
    return _direct(inputs, look)


def _direct(inputs: ArrayViewStack, look: ProductRequest) -> ProductTable:
    """Windows gathered, and multiplied with the kernels."""
    rows = gather_windows(inputs, look.channels, look.points, look.windows)
    values = rows.reshape(-1, rows.shape[-1]) @ look.kernels.values.T
    return ProductTable(
        values.reshape(*rows.shape[:-1], -1).swapaxes(0, 1), row_norms(rows).swapaxes(0, 1), False
    )


def _by_place(inputs: ArrayViewStack, look: ProductRequest) -> ProductTable:
    """The kernels' taps multiplied with every place that any window meets, and summed for each
    geometry.
    """
    values, lengths = zip(
        *(_summed(inputs, look, number) for number in range(len(look.points))), strict=True
    )
    return ProductTable(np.array(values), np.array(lengths), True)


def _summed(inputs: ArrayViewStack, look: ProductRequest, number: int) -> tuple[Array, Array]:
    """Values and lengths at one of the points."""
    kernels, channels, inside = look.kernels, look.channels, look.windows.inside[number]
    geometries, *taps = inside.shape
    depth, tap_count = channels.stop - channels.start, math.prod(taps)
    count = len(kernels.values)
    used = [np.unique(index[number], return_inverse=True) for index in look.windows.indices]
    places = math.prod(len(values) for values, _ in used)
    flat = np.zeros((1,) * (1 + len(taps)), int)
    for index, (values, inverse) in zip(look.windows.indices, used, strict=True):
        flat = flat * len(values) + inverse.reshape(index[number].shape)
    # One more place, where padding is zero.
    flat = np.where(inside, flat, places).reshape(geometries, tap_count).T
    met = open_mesh(
        [
            np.array([look.points[number].item]),
            np.arange(channels.start, channels.stop),
            *(values for values, _ in used),
        ]
    )
    rows = (
        inputs.gather(*met)
        .reshape(inputs.count, depth, places)
        .transpose(2, 0, 1)
        .reshape(places * inputs.count, depth)
    )
    made = np.zeros((geometries, inputs.count * count))
    squares = np.zeros((geometries, inputs.count))
    once, square = (
        np.zeros((places + 1, inputs.count * count)),
        np.zeros((places + 1, inputs.count)),
    )
    weights = kernels.values.reshape(count, depth, tap_count)
    np.einsum("rc,rc->r", rows, rows, out=square[:places].reshape(-1))
    for tap in range(tap_count):
        np.matmul(
            rows, weights[:, :, tap].T, out=once[:places].reshape(places * inputs.count, count)
        )
        made += once[flat[tap]]
        squares += square[flat[tap]]
    return made.reshape(geometries, inputs.count, count), np.sqrt(squares)
