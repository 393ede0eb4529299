"""Where an output differs, in one phrase."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# The share of elements beyond which a few more make no difference.
EVERYWHERE = 0.99


def where(spec: ConvSpec, obtained: Array, reference: Reference, rounding: Rounding) -> str:
    """The narrowest of: one element, some batch items, some channels, the border or some indices of
    an axis; else everywhere.

    Both arrays are (N, C, *space) of one shape.
    """
    bad = rounding.suspect_mask(obtained, reference.output, reference.scale)
    if bad.mean() <= EVERYWHERE:
        bad[bad] = (
            rounding.excess_units(obtained[bad], reference.output[bad], reference.scale[bad])
            > rounding.bound_units
        )
    if np.isnan(obtained).all():
        return "everywhere: all of it is NaN"
    if not np.any(obtained):
        return "everywhere: all of it is zero"
    share = float(bad.mean())
    if not share:
        return "nowhere beyond rounding"
    if int(bad.sum()) == 1 and bad.size > 1:
        return f"in one element, {_place(spec, tuple(int(i) for i in np.argwhere(bad)[0]))}"
    for axis, name in ((0, "batch item"), (1, "output channel")):
        lines = np.asarray(bad.any(axis=tuple(a for a in range(bad.ndim) if a != axis)))
        if bad.shape[axis] > 1 and not lines.all():
            return f"in {_listed(name, np.flatnonzero(lines), bad.shape[axis])} only"
    places = np.asarray(bad.any(axis=(0, 1)))
    areas = [
        *_border(places),
        *(area for axis in range(spec.rank) for area in _lines(places, axis, spec.axes[axis])),
    ]
    if areas:
        return min(areas)[1]
    return (
        "everywhere"
        if share > EVERYWHERE
        else f"in {_percent(share)} of the elements, over the whole output"
    )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"


def _border(places: Array) -> Iterator[tuple[int, str]]:
    """How many positions lie no farther from the edge than those that differ, if there are others."""
    for depth in range(1, min(places.shape) // 2):
        inner = places[tuple(slice(depth, size - depth) for size in places.shape)]
        if inner.size and not inner.any():
            yield (
                places.size - inner.size,
                "at the border only" if depth == 1 else f"within {depth} of the border only",
            )
            return


def _lines(places: Array, axis: int, letter: str) -> Iterator[tuple[int, str]]:
    """How many positions have an index along the axis at which any differs, if there are others."""
    lines = np.asarray(places.any(axis=tuple(a for a in range(places.ndim) if a != axis)))
    if lines.all():
        return
    first = int(lines.argmax())
    words = f"in {_listed(letter + ' index', np.flatnonzero(lines), lines.size)} only"
    words = f"from {letter} index {first} on" if lines[first:].all() else words
    yield int(lines.sum()) * (places.size // lines.size), words


def _listed(name: str, numbers: Array, total: int) -> str:
    several = name.replace("index", "indices") if name.endswith("index") else name + "s"
    if numbers.size == 1:
        return f"{name} {numbers[0]}"
    if numbers.size <= 6:
        return f"{several} {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    return f"{numbers.size} of {total} {several}"


def _place(spec: ConvSpec, index: tuple[int, ...]) -> str:
    return ", ".join(f"{letter} {i}" for letter, i in zip("NC" + spec.axes, index, strict=True))
