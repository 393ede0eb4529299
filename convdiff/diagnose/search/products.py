"""The convolution's values at sample points, for every input, geometry and kernel at once.

At one output element a convolution is the dot product of a window and the kernel of that output
channel.  For all combinations of I inputs, G geometries and K kernels these are I x G x K dot
products of T = channels x taps terms.  There are two ways to compute them:

- window by window: gather the I x G windows and multiply them with the K kernels in one matrix
  product.  It costs I G T gathered numbers and I G K T multiplications.
- position by position: the windows of many geometries overlap, so that the same input positions
  occur again and again.  Multiply each distinct position's channels with each kernel's taps once,
  then sum, for each geometry, one such product per tap.  With P distinct positions it costs I P K T
  multiplications and I G K additions per tap, however many channels there are.

`multiply` estimates both costs and takes the cheaper way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack, open_mesh
from convdiff.diagnose.search.windows import SamplePoint, WindowTable, gather_windows, row_norms
from convdiff.spec.layout import Array

# Measured costs, in units of one multiplication inside a matrix product: to gather a number, to
# add a number of a vector, and to call the NumPy functions that one tap needs.
GATHER_COST, ADD_COST, CALL_COST = 40, 8, 100_000
# Up to so many geometries are multiplied window by window without estimating the costs.
MAX_GEOMETRIES_BY_WINDOW = 12


class KernelRows(NamedTuple):
    """The kernels' weights for one output channel.

    `values` is (kernels, terms), `norms` (kernels,) their Euclidean norms and `peaks` (kernels,)
    their largest magnitudes.
    """

    values: Array
    norms: Array
    peaks: Array


class ProductTable(NamedTuple):
    """The values of all combinations of inputs, geometries and kernels at some points.

    `values` is (points, inputs, geometries, kernels), or (points, geometries, inputs, kernels) if
    `geometries_first`.  `window_norms` has the Euclidean norms of the windows: all axes of `values`
    but the last.
    """

    values: Array
    window_norms: Array
    geometries_first: bool

    @property
    def combinations(self) -> int:
        """The number of values at one point."""
        return math.prod(self.values.shape[1:])

    def unravel(self, flat: Array) -> tuple[Array, Array, Array]:
        """The numbers of the inputs, geometries and kernels at flat indices (n,) of one point."""
        first, second, kernel = np.unravel_index(flat, self.values.shape[1:])
        return (second, first, kernel) if self.geometries_first else (first, second, kernel)

    def norms_of(self, inputs: Array, geometries: Array) -> Array:
        """(points, n): the norms of the windows of inputs[i] under geometries[i]."""
        return (
            self.window_norms[:, geometries, inputs]
            if self.geometries_first
            else self.window_norms[:, inputs, geometries]
        )


class ProductRequest(NamedTuple):
    """Some sample points of one output channel, and what is to be multiplied there.

    `channels` are the input channels that the output channel sees, `windows` the places where the
    windows lie, (points, geometries, *taps), and `kernels` the weights of that channel.
    """

    points: Sequence[SamplePoint]
    channels: slice
    windows: WindowTable
    kernels: KernelRows


def multiply(inputs: ArrayViewStack, request: ProductRequest) -> ProductTable:
    """The values at the points for every input, geometry and kernel.

    `inputs` are views as (N, C, *space).
    """
    if _cheaper_by_position(inputs.count, request):
        return _multiply_by_position(inputs, request)
    return _multiply_by_window(inputs, request)


def _cheaper_by_position(inputs: int, request: ProductRequest) -> bool:
    """Whether multiplying position by position is estimated to cost less."""
    _, geometries, *taps = request.windows.inside.shape
    if geometries <= MAX_GEOMETRIES_BY_WINDOW:
        return False
    tap_count, (kernels, terms) = math.prod(taps), request.kernels.values.shape
    channels = terms // tap_count
    positions = math.prod(int(index.max()) + 1 for index in request.windows.indices)
    by_window = inputs * geometries * terms * (GATHER_COST + kernels)
    by_position = (
        positions * (GATHER_COST * channels + kernels * terms)
        + geometries * tap_count * (kernels + 1) * ADD_COST
    )
    return bool(by_position * inputs + tap_count * CALL_COST < by_window)


def _multiply_by_window(inputs: ArrayViewStack, request: ProductRequest) -> ProductTable:
    """`multiply` by gathering all windows."""
    rows = gather_windows(inputs, request.channels, request.points, request.windows)
    values = rows.reshape(-1, rows.shape[-1]) @ request.kernels.values.T
    return ProductTable(
        values.reshape(*rows.shape[:-1], -1).swapaxes(0, 1), row_norms(rows).swapaxes(0, 1), False
    )


def _multiply_by_position(inputs: ArrayViewStack, request: ProductRequest) -> ProductTable:
    """`multiply` by sharing the products of input positions among geometries."""
    values, window_norms = zip(
        *(_point_products(inputs, request, number) for number in range(len(request.points))),
        strict=True,
    )
    return ProductTable(np.array(values), np.array(window_norms), True)


def _point_products(
    inputs: ArrayViewStack, request: ProductRequest, number: int
) -> tuple[Array, Array]:
    """The values, (geometries, inputs, kernels), and window norms, (geometries, inputs).

    Both are those at point `number` of the request.
    """
    inside, channels = request.windows.inside[number], request.channels
    geometries, *taps = inside.shape
    depth, tap_count = channels.stop - channels.start, math.prod(taps)
    kernel_count = len(request.kernels.values)
    # Along each axis the distinct input indices, and for each geometry and tap which of them.
    axes = [np.unique(index[number], return_inverse=True) for index in request.windows.indices]
    positions = math.prod(len(distinct) for distinct, _ in axes)
    position_of = np.zeros((1,) * (1 + len(taps)), int)
    for index, (distinct, inverse) in zip(request.windows.indices, axes, strict=True):
        position_of = position_of * len(distinct) + inverse.reshape(index[number].shape)
    mesh = open_mesh(
        [
            np.array([request.points[number].item]),
            np.arange(channels.start, channels.stop),
            *(distinct for distinct, _ in axes),
        ]
    )
    rows = (
        inputs.gather(*mesh)
        .reshape(inputs.count, depth, positions)
        .transpose(2, 0, 1)
        .reshape(positions * inputs.count, depth)
    )
    padding, zero = request.windows.padding, positions
    if padding is not None:
        # One more position, whose values are the numbers in the padding.
        numbers = padding.numbers[channels]
        rows = np.concatenate([rows, np.broadcast_to(numbers, (inputs.count, depth))])
        positions, zero = positions + 1, positions + 1
    # (taps, geometries); the last position is where a zero is read.
    position_of = np.where(inside, position_of, zero)
    if padding is not None:
        position_of = np.where(padding.where[number], positions - 1, position_of)
    position_of = position_of.reshape(geometries, tap_count).T
    values = np.zeros((geometries, inputs.count * kernel_count))
    squares = np.zeros((geometries, inputs.count))
    position_values = np.zeros((positions + 1, inputs.count * kernel_count))
    position_squares = np.zeros((positions + 1, inputs.count))
    np.einsum("rc,rc->r", rows, rows, out=position_squares[:positions].reshape(-1))
    weights = request.kernels.values.reshape(kernel_count, depth, tap_count)
    for tap in range(tap_count):
        np.matmul(
            rows,
            weights[:, :, tap].T,
            out=position_values[:positions].reshape(positions * inputs.count, kernel_count),
        )
        values += position_values[position_of[tap]]
        squares += position_squares[position_of[tap]]
    return values.reshape(geometries, inputs.count, kernel_count), np.sqrt(squares)
