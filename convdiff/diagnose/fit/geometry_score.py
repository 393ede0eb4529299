"""Scores of geometries by the output alone, whatever the kernel and the order of the channels.

The score is the centered kernel alignment (Cristianini et al., "On kernel-target alignment", 2001;
Cortes et al., 2012) of two similarities between output positions p and q:

- of the output: the inner product of its channel vectors at p and at q;
- of the input, under a geometry: the inner product of the windows at p and at q, summed over
  channels and taps.

For weights that are independent and have mean zero, the expected similarity of the output is
proportional to that of the windows.  So the two vary together under the right geometry, and no
other one does as well.  Both are sums over channels, which no order of the channels changes.

For n output positions, P input positions of C channels, and G geometries of T taps it costs P^2 C
multiplications, which all geometries share, and n^2 G T / 2 additions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack
from convdiff.diagnose.search.geometry_table import GeometryTable
from convdiff.diagnose.search.windows import SamplePoint
from convdiff.spec.layout import Array

# Output positions that are compared with each other, two by two: 780 pairs.
COMPARED_POSITIONS = 40
# Input positions that may all be compared with each other.  Of larger inputs the compared output
# positions lie in one corner, so that their windows share positions.
MAX_INPUT_POSITIONS = 1024
# Kernels with up to so many taps are compared at all of them; others at the outermost taps, and in
# up to two dimensions at the middle ones too.
MAX_COMPARED_TAPS = 9
# Similarities whose norm is below this share of the largest one are rounding: the windows are
# constant.
MIN_RELATIVE_NORM = 1e-3


def comparison_points(shape: tuple[int, ...], input_positions: int) -> list[SamplePoint]:
    """The output positions to compare, of any item, in outputs of `shape` (N, O, *space).

    `input_positions` is the number of positions of the input, over all items.  The points' channel
    is 0 and means nothing.
    """
    items, _, *space = shape
    rng = np.random.default_rng(15)
    if input_positions > MAX_INPUT_POSITIONS:
        side = math.ceil((2 * COMPARED_POSITIONS) ** (1 / len(space)))
        items, space = 1, [min(size, side) for size in space]
    chosen = rng.permutation(items * math.prod(space))[:COMPARED_POSITIONS]
    item, *position = np.unravel_index(chosen, (items, *space))
    return [
        SamplePoint(i, 0, place)
        for i, place in zip(
            item.tolist(), zip(*(axis.tolist() for axis in position), strict=True), strict=True
        )
    ]


class InputSimilarity:
    """The similarities of the input's windows at some output positions, under each geometry.

    `similarity` is (pairs of positions, geometries), centered and normalized over the pairs.
    `window_labels` (geometries,) is equal for geometries whose windows are the same.
    """

    def __init__(
        self,
        x: ArrayView,
        points: Sequence[SamplePoint],
        geometry: GeometryTable,
        taps: tuple[int, ...],
    ) -> None:
        """`x` is the input as (N, C, *space), `taps` the kernel's size; `geometry` is not empty."""
        self.points = points
        self.pairs = np.triu_indices(len(points), 1)
        vectors, read = _input_vectors(x, points, geometry, taps)
        products = vectors @ vectors.T
        # Geometries share many columns: taps that read the same positions.
        labels = _column_labels(read)
        taps_per_geometry = read.shape[1] // len(geometry)
        self.window_labels = _column_labels(labels.reshape(len(geometry), taps_per_geometry).T)
        _, distinct, column = np.unique(labels, return_index=True, return_inverse=True)
        columns = read[:, distinct]
        by_column = products[columns[self.pairs[0]], columns[self.pairs[1]]]
        similarity = (
            by_column[:, column.reshape(-1)]
            .reshape(len(by_column), len(geometry), taps_per_geometry)
            .sum(axis=2)
        )
        similarity -= similarity.sum(axis=0) / max(len(similarity), 1)
        norms = np.sqrt(np.einsum("pg,pg->g", similarity, similarity))
        least = MIN_RELATIVE_NORM * norms.max(initial=0) + 1e-30
        self.similarity = similarity / np.maximum(norms, least)

    def alignment(self, output: ArrayView) -> Array:
        """(geometries,): the alignment with the similarities of an output, from -1 to 1.

        `output` is (N, O, *space).
        """
        item = np.array([point.item for point in self.points])
        position = np.array([point.position for point in self.points]).T
        channel = np.arange(output.shape[1])
        (vectors,) = ArrayViewStack([output]).gather(
            item[:, None], channel[None], *(axis[:, None] for axis in position)
        )
        vectors = vectors - vectors.mean(axis=0)
        similarity = (vectors @ vectors.T)[self.pairs]
        similarity = similarity - similarity.mean() if similarity.size else similarity
        norm = max(float(np.sqrt(np.square(similarity).sum())), 1e-300)
        return np.asarray((similarity / norm).astype(np.float32) @ self.similarity, np.float64)


def _input_vectors(
    x: ArrayView, points: Sequence[SamplePoint], geometry: GeometryTable, taps: tuple[int, ...]
) -> tuple[Array, Array]:
    """The channel vectors that the windows at the points consist of, and which tap reads which.

    The vectors are (distinct input positions, C), less their mean, in float32.  The second is
    (points, geometries x taps), numbers of vectors.  One vector is zero, for padding.
    """
    space = x.shape[2:]
    table = geometry.windows_at([point.position for point in points], taps, space)
    compared = [_compared_taps(size, taps) for size in taps]
    # Each tap's input position, over all items, as one number.
    place = np.array([point.item for point in points]).reshape(-1, *(1,) * (1 + len(taps)))
    for axis, index in enumerate(table.indices):
        place = place * space[axis] + index.take(compared[axis], axis=2 + axis)
    inside = table.inside
    for axis, chosen in enumerate(compared):
        inside = inside.take(chosen, axis=2 + axis)
    nowhere = x.shape[0] * math.prod(space)
    place = np.where(inside, place, nowhere).reshape(len(points), -1)
    distinct, read = np.unique(place, return_inverse=True)
    item, *position = np.unravel_index(np.minimum(distinct, nowhere - 1), (x.shape[0], *space))
    vectors = ArrayViewStack([x]).gather(
        item[:, None], np.arange(x.shape[1])[None], *(axis[:, None] for axis in position)
    )[0]
    vectors[distinct == nowhere] = 0.0
    return (vectors - vectors.mean(axis=0)).astype(np.float32), read.reshape(place.shape)


def _compared_taps(size: int, taps: tuple[int, ...]) -> list[int]:
    """The taps that are compared along one axis of `size`."""
    if math.prod(taps) <= MAX_COMPARED_TAPS:
        return [*range(size)]
    return [*dict.fromkeys((0, size // 2, size - 1) if len(taps) < 3 else (0, size - 1))]


def _column_labels(numbers: Array) -> Array:
    """(columns,): a number for each column, the same for equal columns and for no others.

    It is a random linear hash: different columns are taken for equal with negligible probability.
    """
    coefficients = np.random.default_rng(16).integers(1 << 40, size=len(numbers))
    return np.asarray(coefficients @ numbers)
