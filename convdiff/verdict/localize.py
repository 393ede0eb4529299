"""The region in which an output differs, in one phrase."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convdiff.diagnose.explain.wording import percent
from convdiff.numerics.complex_parts import joined_parts
from convdiff.numerics.error_bound import Rounding, transform_noise
from convdiff.numerics.reference import Reference
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# The share of differing elements beyond which the output differs almost everywhere.
EVERYWHERE = 0.99
# The share of a region's elements that differ, where it is more than half of the output.
MIN_REGION_SHARE = 0.25
# The share of differing elements up to which it is told what they hold, and the steps along an axis
# within which that is looked for.
MAX_LOCAL_SHARE, MAX_DISTANCE = 0.3, 9
# The share of a line that differs where it is a seam, the most lines, and the smallest tiles.
MIN_LINE_SHARE, MAX_SEAM_LINES, MIN_TILE = 0.5, 32, 3
# The smallest share of elements that were set to 0 and that were not, the fewest that were not, how
# near to 1 a factor is none, and how far from dropout's the share may be.
MIN_DROPPED, MIN_KEPT, FACTOR_TOLERANCE, MAX_SHARE_ERROR = 0.02, 16, 1e-4, 0.15
# Numbers of batch items, channels or indices that are listed; more are counted.
MAX_LISTED = 6


def differing_region(
    spec: ConvSpec,
    obtained: Array,
    reference: Reference,
    rounding: Rounding,
    *,
    complex_parts: bool = False,
) -> str:
    """The narrowest phrase for the elements that rounding does not explain.

    One element, some batch items, some output channels, the border, some indices of an axis, a
    share, or everywhere; and how many of them are NaN or infinite.  All arrays are (N, C, *space)
    of one shape; with `complex_parts` every second channel has the imaginary parts of the one
    before, and `spec` is the complex convolution's.
    """
    output, scale = reference
    differs = rounding.suspect_mask(obtained, output, scale)
    # Each batch item by itself needs less memory.
    for item in range(len(differs)):
        suspect = differs[item]
        arrays = (obtained[item], output[item], scale[item])
        units = rounding.excess_units(*(array[suspect] for array in arrays))
        differs[item][suspect] = ~(units <= rounding.bound_units)
    noise = transform_noise(obtained, reference, rounding)
    if noise is not None and (differs & ~noise).any():
        differs &= ~noise
    if np.isnan(obtained).all():
        return "everywhere: all of it is NaN"
    if not np.any(obtained):
        region = _region(spec, differs) if differs.any() and not complex_parts else "everywhere"
        return f"{region}: all of it is zero"
    if not differs.any():
        return "nowhere beyond rounding"
    if not complex_parts:
        return _region(spec, differs) + _not_finite(obtained[differs], output[differs])
    real, imaginary = differs[:, 0::2], differs[:, 1::2]
    part = "" if real.any() and imaginary.any() else "real" if real.any() else "imaginary"
    only = f", the {part} parts only" if part else ""
    either = real | imaginary
    return (
        _region(spec, either)
        + only
        + _not_finite(joined_parts(obtained)[either], joined_parts(output)[either])
    )


def held_instead(spec: ConvSpec, obtained: Array, reference: Reference, rounding: Rounding) -> str:
    """What the elements that differ hold, where these are few: one number, or another element.

    "" where they hold nothing that is easily said.  Arrays as in `differing_region`.
    """
    output, scale = reference
    differs = rounding.suspect_mask(obtained, output, scale)
    if not differs.any() or differs.mean() > MAX_LOCAL_SHARE:
        return ""
    units = rounding.excess_units(obtained[differs], output[differs], scale[differs])
    differs[differs] = ~(units <= rounding.bound_units)
    values = obtained[differs]
    if not values.size or not np.isfinite(values).all():
        return ""
    holds = "it holds" if values.size == 1 else "they hold"
    if values.size > 1 and (values == values[0]).all():
        return f"they all hold {values[0]:.6g}"
    if values.size == 1 and values[0] == 0:
        return f"{holds} 0"
    allowed = rounding.allowed_error(output, scale)
    if (np.abs(values + output[differs]) <= allowed[differs]).all():
        return f"{holds} the right value times -1"
    places = np.nonzero(differs)
    for axis, letter in enumerate("NC" + spec.axes):
        size = output.shape[axis]
        for distance in sorted(
            range(1 - min(size, MAX_DISTANCE), min(size, MAX_DISTANCE)), key=abs
        ):
            moved = places[axis] + distance
            if distance == 0 or moved.min() < 0 or moved.max() >= size:
                continue
            elsewhere = (*places[:axis], moved, *places[axis + 1 :])
            if (np.abs(values - output[elsewhere]) <= allowed[elsewhere]).all():
                what = f"{abs(distance)} {'later' if distance > 0 else 'earlier'} along {letter}"
                return f"{holds} what is right {what}"
    return ""


def dropped(obtained: Array, reference: Reference, rounding: Rounding) -> str:
    """That some elements are 0 and the others right times one factor, as by dropout; or "".

    Arrays as in `differing_region`.
    """
    output, scale = reference
    kept = obtained != 0
    share = 1 - float(kept.mean())
    if not MIN_DROPPED <= share <= 1 - MIN_DROPPED or kept.sum() < MIN_KEPT:
        return ""
    # A ReLU sets the negative ones to 0, and those only.
    gone = output[~kept]
    if not ((gone > 0).any() and (gone < 0).any()):
        return ""
    values, expected = obtained[kept].astype(np.float64), output[kept].astype(np.float64)
    weight = float(np.square(expected).sum())
    if not (np.isfinite(values).all() and np.isfinite(weight) and weight > 0):
        return ""
    factor = float((values * expected).sum()) / weight
    expected = factor * expected
    allowed = (1 + abs(factor)) * rounding.allowed_error(expected, scale[kept])
    if not (np.abs(values - expected) <= allowed).all():
        return ""
    times = "" if abs(factor - 1) < FACTOR_TOLERANCE else f" times {factor:.4g}"
    # Dropout divides by the share that it keeps, which this share is near.
    as_dropout = abs(1 / factor - float(kept.mean())) < MAX_SHARE_ERROR
    cause = ", as by dropout" if as_dropout or times == "" else ""
    return f"{percent(share)} of the elements are 0, and the others are right{times}{cause}"


def _not_finite(obtained: Array, expected: Array) -> str:
    """How many of the differing values are NaN or infinite, after a colon; "" if none is.

    Or how many should be.
    """
    if np.isfinite(obtained).all() and not np.isfinite(expected).any():
        return ": the reference is not finite there"
    counts = {"NaN": int(np.isnan(obtained).sum()), "infinite": int(np.isinf(obtained).sum())}
    present = {name: count for name, count in counts.items() if count}
    if not present:
        return ""
    if list(present.values()) == [obtained.size]:
        return f": {'it is' if obtained.size == 1 else 'all of these are'} {''.join(present)}"
    listed = " and ".join(f"{count:,} {name}" for name, count in present.items())
    return f": of these {obtained.size:,} elements {listed}"


def _region(spec: ConvSpec, differs: Array) -> str:
    """The narrowest phrase for the elements of a mask that are True; at least one is."""
    share = float(differs.mean())
    if int(differs.sum()) == 1 and differs.size > 1:
        return f"in one element, {_index(spec, np.argwhere(differs)[0].tolist())}"
    for axis, name in ((0, "batch item"), (1, "output channel")):
        lines = _any_along(differs, axis)
        if lines.size > 1 and not lines.all():
            return f"in {_listed(name, np.flatnonzero(lines), lines.size)} only"
    positions = np.asarray(differs.any(axis=(0, 1)))
    regions = [*_border(positions)]
    for axis, letter in enumerate(spec.axes):
        regions += _indices(positions, axis, letter)
    regions += _seams(positions, spec.axes)
    # A few scattered elements miss some rows by chance: that is no region.
    dense = [
        (count, phrase)
        for count, phrase in regions
        if share * positions.size >= MIN_REGION_SHARE * count or count <= positions.size / 2
    ]
    if dense:
        return min(dense)[1]
    if share == 1:
        return "everywhere"
    if share > EVERYWHERE:
        return "almost everywhere"
    return f"in {percent(share)} of the elements, over the whole output"


def _any_along(mask: Array, axis: int) -> Array:
    """For each index of `axis`: whether anything is True there."""
    return np.asarray(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))


def _border(positions: Array) -> Iterator[tuple[int, str]]:
    """Yields the number of positions in the thinnest border that holds all True ones, and a phrase.

    Nothing if the border would be the whole output.
    """
    for depth in range(1, min(positions.shape) // 2):
        inner = positions[tuple(slice(depth, size - depth) for size in positions.shape)]
        if inner.size and not inner.any():
            phrase = "at the border only" if depth == 1 else f"within {depth} of the border only"
            yield positions.size - inner.size, phrase
            return


def _indices(positions: Array, axis: int, letter: str) -> Iterator[tuple[int, str]]:
    """Yields the number of positions at the indices of `axis` with any True one, and a phrase.

    Nothing if those are all indices.
    """
    lines = _any_along(positions, axis)
    if lines.all():
        return
    first = int(lines.argmax())
    if lines[first:].all():
        phrase = f"from {letter} index {first} on"
    else:
        phrase = f"in {_listed(letter + ' index', np.flatnonzero(lines), lines.size)} only"
    yield int(lines.sum()) * (positions.size // lines.size), phrase


def _seams(positions: Array, axes: str) -> Iterator[tuple[int, str]]:
    """Yields the number of positions in the few lines that hold all True ones, and a phrase.

    Of at least two axes, as where tiles meet; the tiles are told where their size is.
    """
    lines: dict[str, Array] = {}
    left = positions.copy()
    for axis, letter in enumerate(axes):
        others = tuple(other for other in range(positions.ndim) if other != axis)
        full = np.flatnonzero(positions.mean(axis=others) > MIN_LINE_SHARE)
        left[(slice(None),) * axis + (full,)] = False
        if full.size == positions.shape[axis] or {0, positions.shape[axis] - 1} & {*full.tolist()}:
            # That is the border, or everywhere.
            return
        if full.size:
            lines[letter] = full
    if left.any() or len(lines) < 2 or sum(each.size for each in lines.values()) > MAX_SEAM_LINES:
        return
    sizes = dict(zip(axes, positions.shape, strict=True))
    listed = " and ".join(
        _listed(f"{letter} index", numbers, sizes[letter]) for letter, numbers in lines.items()
    )
    tile = _tile_size(list(lines.values()))
    seams = f", the seams of tiles of {tile}" if tile else ""
    inside = np.prod([sizes[letter] - each.size for letter, each in lines.items()])
    others = np.prod([size for letter, size in sizes.items() if letter not in lines])
    yield positions.size - int(inside * others), f"in {listed} only{seams}"


def _tile_size(lines: list[Array]) -> int | None:
    """The largest size of tiles at whose first or last lines all of these are; None if none is."""
    for tile in range(int(min(numbers.max() for numbers in lines)) + 1, MIN_TILE - 1, -1):
        if all(np.isin(numbers % tile, (0, tile - 1)).all() for numbers in lines):
            return tile if all(numbers.min() >= tile - 1 for numbers in lines) else None
    return None


def _listed(name: str, numbers: Array, total: int) -> str:
    """Numbers with their name in the singular or plural; "9 to 20" or "9 of 20 ..." if many."""
    plural = name.replace("index", "indices") if name.endswith("index") else name + "s"
    if numbers.size == 1:
        return f"{name} {numbers[0]}"
    if numbers.size <= MAX_LISTED:
        return f"{plural} {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    if numbers[-1] - numbers[0] == numbers.size - 1:
        return f"{plural} {numbers[0]} to {numbers[-1]}"
    return f"{numbers.size} of {total} {plural}"


def _index(spec: ConvSpec, index: list[int]) -> str:
    named = zip("NC" + spec.axes, index, strict=True)
    return ", ".join(f"{letter} {i}" for letter, i in named if letter in spec.output_layout)
