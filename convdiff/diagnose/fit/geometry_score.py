"""Which geometries the output speaks for, whatever its kernel was and in whatever order channels
came.

Output positions are as alike as the windows that they look at: two of them have like values in all
channels where their windows are like.  How alike is a sum over channels, on either side, which no
order of the channels changes and a kernel changes little.  So the taps of the right geometry are
where likeness of the input goes with likeness of the output (a kernel alignment).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack
from convdiff.diagnose.search.geometry_table import GeometryTable
from convdiff.diagnose.search.windows import SamplePoint
from convdiff.spec.layout import Array

# Output positions that are compared with each other, two by two.
COMPARED = 40
# Input positions that may be compared with each other; in larger inputs the output's positions are
# taken from one corner.
MOST_MET = 1024
# Taps that are all looked at; of more the outermost ones and those between, in two dimensions.
FEW = 9
# Likenesses this much smaller than others' are none.
FLAT = 1e-3


def comparison_points(shape: tuple[int, ...], met: int) -> list[SamplePoint]:
    """Places of outputs of this shape to compare, of any item; near each other where the input has
    more than a few places, `met`.
    """
    items, _, *space = shape
    rng = np.random.default_rng(15)
    if met > MOST_MET:
        side = math.ceil((2 * COMPARED) ** (1 / len(space)))
        items, space = 1, [min(size, side) for size in space]
    chosen = rng.permutation(items * math.prod(space))[:COMPARED]
    item, *place = np.unravel_index(chosen, (items, *space))
    return [
        SamplePoint(i, 0, p)
        for i, p in zip(
            item.tolist(), zip(*(each.tolist() for each in place), strict=True), strict=True
        )
    ]


class InputSimilarity:
    """How alike the input is, for any two of some output positions, where each geometry looks."""

    def __init__(
        self,
        x: ArrayView,
        points: Sequence[SamplePoint],
        geometry: GeometryTable,
        taps: tuple[int, ...],
    ) -> None:
        self.points = points
        self.pairs = np.triu_indices(len(points), 1)
        values, where = _seen(x, points, geometry, taps)
        like = values @ values.T
        # Columns: taps of geometries that lie at the same places are one.
        names = _named(where)
        # The same for geometries that look at the same places.
        self.window_labels = (
            _named(names.reshape(len(geometry), where.shape[1] // len(geometry)).T)
            if len(geometry)
            else names
        )
        _, chosen, which = np.unique(names, return_index=True, return_inverse=True)
        columns = where[:, chosen]
        alike = like[columns[self.pairs[0]], columns[self.pairs[1]]]
        windows = (
            alike[:, which.reshape(-1)]
            .reshape(len(alike), len(geometry), where.shape[1] // len(geometry))
            .sum(axis=2)
        )
        windows -= windows.sum(axis=0) / max(len(windows), 1)
        sizes = np.sqrt(np.einsum("pg,pg->g", windows, windows))
        self.alike = windows / np.maximum(sizes, FLAT * sizes.max(initial=0) + 1e-30)

    def alignment(self, output: ArrayView) -> Array:
        """(geometries,): how an output's likeness goes with the input's, from -1 to 1."""
        items, places = (
            np.array([point.item for point in self.points]),
            np.array([point.position for point in self.points]).T,
        )
        channels = np.arange(output.shape[1])
        (values,) = ArrayViewStack([output]).gather(
            items[:, None], channels[None], *(each[:, None] for each in places)
        )
        values = values - values.mean(axis=0)
        alike = (values @ values.T)[self.pairs]
        alike = alike - alike.mean() if alike.size else alike
        going = (alike / max(float(np.sqrt(np.square(alike).sum())), 1e-300)).astype(
            np.float32
        ) @ self.alike
        return np.asarray(going, np.float64)


def _seen(
    x: ArrayView, points: Sequence[SamplePoint], geometry: GeometryTable, taps: tuple[int, ...]
) -> tuple[Array, Array]:
    """What of the input is looked at, (places, C), less its mean, and (points, geometries x taps):
    which of it.
    """
    space = x.shape[2:]
    table = geometry.windows_at([point.position for point in points], taps, space)
    looked_at = [_several(size, taps) for size in taps]
    place = np.array([point.item for point in points]).reshape(-1, *(1,) * (1 + len(taps)))
    for axis, index in enumerate(table.indices):
        place = place * space[axis] + index.take(looked_at[axis], axis=2 + axis)
    inside = table.inside
    for axis, those in enumerate(looked_at):
        inside = inside.take(those, axis=2 + axis)
    nowhere = x.shape[0] * math.prod(space)
    place = np.where(inside, place, nowhere).reshape(len(points), -1)
    met, where = np.unique(place, return_inverse=True)
    item, *at = np.unravel_index(np.minimum(met, nowhere - 1), (x.shape[0], *space))
    values = ArrayViewStack([x]).gather(
        item[:, None], np.arange(x.shape[1])[None], *(each[:, None] for each in at)
    )[0]
    values[met == nowhere] = 0.0
    return (values - values.mean(axis=0)).astype(np.float32), where.reshape(place.shape)


def _several(size: int, taps: tuple[int, ...]) -> list[int]:
    """The taps of one axis that are looked at."""
    if math.prod(taps) <= FEW:
        return [*range(size)]
    return [*dict.fromkeys((0, size // 2, size - 1) if len(taps) < 3 else (0, size - 1))]


def _named(where: Array) -> Array:
    """A number for each column, the same for the same ones."""
    return np.asarray(np.random.default_rng(16).integers(1 << 40, size=len(where)) @ where)
