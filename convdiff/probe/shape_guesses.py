"""Shapes to try a function with: what frameworks take, the usual ones first.

No two axes of a guess have the same length where that can be avoided, so that the answers tell
which is which.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from convdiff.spec.layout import AXES_OF_RANK, spatial_axes
from convdiff.spec.settings import Settings

AxisSizes = dict[str, int]
LayoutPair = tuple[str, str]

# Sizes by rank. The input is long enough for a dilated kernel of either parity to slide over, and
# short enough for exact sums and quick calls.
INPUT_SIZE: dict[int, AxisSizes] = {
    1: {"W": 31},
    2: {"H": 13, "W": 15},
    3: {"D": 6, "H": 5, "W": 8},
}
KERNEL_SIZE: dict[int, AxisSizes] = {
    1: {"W": 4},
    2: {"H": 3, "W": 4},
    3: {"D": 3, "H": 2, "W": 4},
}
ODD_KERNEL_SIZE: dict[int, AxisSizes] = {
    1: {"W": 5},
    2: {"H": 3, "W": 5},
    3: {"D": 3, "H": 5, "W": 3},
}
SQUARE_KERNEL_LENGTHS = (3, 5, 2)
CHANNELS: AxisSizes = {"N": 2, "C": 4, "I": 4, "O": 6, "M": 2}
# Numbers of groups that a function may have fixed in its code.
GROUP_COUNTS = (2, 3, 4, 5, 6, 8, 16, 32, 64)


@dataclass(frozen=True)
class ShapeGuess:
    """Two shapes to call the function with, and the layouts they are assumed to have.

    The answers decide which axis is which; the assumed letter is believed only for an axis of size
    1. `bias_size` is the number of output channels, for a function that takes a bias.
    """

    input_layout: str
    kernel_layout: str
    input_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]
    bias_size: int


def shape_guesses(settings: Settings) -> Iterator[ShapeGuess]:
    """Every guess, those that agree with the given settings first; no two of the same shapes."""
    tried = set()
    for guess in itertools.chain(_guesses_of_settings(settings), _all_guesses(_ranks(settings))):
        if (guess.input_shape, guess.kernel_shape) not in tried:
            tried.add((guess.input_shape, guess.kernel_shape))
            yield guess


def guesses_of_shapes(
    input_shape: tuple[int, ...], kernel_shape: tuple[int, ...], settings: Settings
) -> Iterator[ShapeGuess]:
    """A guess for each pair of layouts that arrays of the given shapes may have."""
    pairs: list[LayoutPair] = []
    if settings.input_layout and settings.kernel_layout:
        pairs.append((settings.input_layout, settings.kernel_layout))
    for rank in (len(kernel_shape) - 2, len(kernel_shape)):
        if rank in AXES_OF_RANK:
            pairs += [*_full_layouts(rank), *_sparse_layouts(rank)]
    for x, w in pairs:
        if (len(x), len(w)) == (len(input_shape), len(kernel_shape)):
            sizes = dict(zip(w, kernel_shape, strict=True))
            yield ShapeGuess(x, w, input_shape, kernel_shape, sizes.get("O", 1))


def _guess(
    input_layout: str,
    kernel_layout: str,
    channels: AxisSizes,
    input_size: AxisSizes,
    kernel_size: AxisSizes,
    bias_size: int,
) -> ShapeGuess:
    x, w = {**channels, **input_size}, {**channels, **kernel_size}
    return ShapeGuess(
        input_layout,
        kernel_layout,
        tuple(x[axis] for axis in input_layout),
        tuple(w[axis] for axis in kernel_layout),
        bias_size,
    )


def _usual_sizes(x: str, w: str, rank: int) -> ShapeGuess:
    return _guess(x, w, CHANNELS, INPUT_SIZE[rank], KERNEL_SIZE[rank], CHANNELS["O"])


def _ranks(settings: Settings) -> list[int]:
    """2, 1 and 3, a rank that the given layouts have first."""
    given = [
        len(spatial_axes(layout))
        for layout in (settings.input_layout, settings.kernel_layout)
        if layout
    ]
    return sorted((2, 1, 3), key=lambda rank: (rank not in given, (2, 1, 3).index(rank)))


def _guesses_of_settings(settings: Settings) -> Iterator[ShapeGuess]:
    """Guesses with the layouts and the groups that are given; none if neither is."""
    given_input, given_kernel = settings.input_layout, settings.kernel_layout
    grouped = settings.groups or settings.depthwise or "M" in (given_kernel or "")
    if not (grouped or given_input or given_kernel):
        return
    for rank in _ranks(settings):
        space = sorted(AXES_OF_RANK[rank])
        for usual_input, usual_kernel in _full_layouts(rank) + _sparse_layouts(rank):
            x, w = given_input or usual_input, given_kernel or usual_kernel
            if sorted(spatial_axes(x)) != space or sorted(spatial_axes(w)) != space:
                continue
            if not grouped:
                yield _usual_sizes(x, w, rank)
            elif "C" in x:
                depthwise = settings.depthwise or "M" in w
                yield _grouped(x, w, rank, settings.groups or 3, 1 if depthwise else 2)


def _full_layouts(rank: int) -> list[LayoutPair]:
    """Layouts with all channel axes: those of frameworks, of transposed kernels too, then mixed."""
    s = AXES_OF_RANK[rank]
    first, last = f"NC{s}", f"N{s}C"
    return [
        (first, f"OI{s}"),
        (last, f"{s}IO"),
        (first, f"IO{s}"),
        (last, f"{s}OI"),
        (last, f"OI{s}"),
        (first, f"{s}IO"),
        (last, f"O{s}I"),
        (f"C{s}N", f"I{s}O"),
    ]


def _sparse_layouts(rank: int) -> list[LayoutPair]:
    """Layouts with fewer axes.

    Plain signals, one item without a batch axis, and several kernels over a single channel.
    """
    s = AXES_OF_RANK[rank]
    return [
        (s, s),
        (f"C{s}", f"OI{s}"),
        (f"{s}C", f"{s}IO"),
        (f"C{s}", f"IO{s}"),
        (f"{s}C", f"{s}OI"),
        (s, f"O{s}"),
        (s, f"{s}O"),
        (f"N{s}", s),
        (f"N{s}", f"O{s}"),
        (f"N{s}", f"{s}O"),
    ]


def _grouped(x: str, w: str, rank: int, groups: int, inputs_per_group: int) -> ShapeGuess:
    """A guess for a function with that many groups.

    A kernel layout with I first is a transposed one's, which has all input channels along I.
    """
    transposed = w.startswith("I")
    outputs_per_group = 2 if inputs_per_group == 1 else 3
    in_channels, out_channels = groups * inputs_per_group, groups * outputs_per_group
    channels = {
        "N": 2,
        "C": in_channels,
        "I": in_channels if transposed or "M" in w else inputs_per_group,
        "O": outputs_per_group if transposed else out_channels,
        "M": 2,
    }
    return _guess(x, w, channels, INPUT_SIZE[rank], KERNEL_SIZE[rank], out_channels)


def _all_guesses(ranks: list[int]) -> Iterator[ShapeGuess]:
    for rank in ranks:
        usual, s = _full_layouts(rank), AXES_OF_RANK[rank]
        # A plain signal comes early: functions that take arrays of any rank take the other guesses
        # too, but compute something else of them.
        for x, w in [*usual[:2], (s, s), *usual[2:]]:
            yield _usual_sizes(x, w, rank)
        for x, w in ((f"NC{s}", f"OI{s}"), (f"N{s}C", f"{s}IO"), (f"N{s}C", f"OI{s}")):
            yield _grouped(x, w, rank, 3, 1)
    for rank in ranks[:2]:
        yield from _special_sizes(rank, _full_layouts(rank)[:2], one_channel=False)
    for groups, rank in itertools.product(GROUP_COUNTS, ranks):
        s = AXES_OF_RANK[rank]
        for x, w in ((f"NC{s}", f"OI{s}"), (f"N{s}C", f"{s}IO"), (f"NC{s}", f"IO{s}")):
            yield _grouped(x, w, rank, groups, 2)
    for rank in ranks:
        for x, w in _sparse_layouts(rank):
            yield _usual_sizes(x, w, rank)
    for rank in ranks:
        pairs = _full_layouts(rank)[:4] + _sparse_layouts(rank)[:3]
        yield from _special_sizes(rank, pairs, one_channel=True)
    for rank in ranks[:2]:
        yield from _permuted_layouts(rank)


def _special_sizes(
    rank: int, pairs: list[LayoutPair], *, one_channel: bool
) -> Iterator[ShapeGuess]:
    """Guesses for functions that take special sizes only.

    These are odd kernels, square kernels, one item, three channels, and square or large inputs. If
    `one_channel`, a single channel too: it comes late, since it hides what happens with several.
    """
    space = INPUT_SIZE[rank]
    wide = {axis: 2 * n + 3 for axis, n in space.items()}
    square = dict.fromkeys(space, 16)
    odd = ODD_KERNEL_SIZE[rank]
    rgb = {**CHANNELS, "C": 3, "I": 3}
    variants: list[tuple[AxisSizes, AxisSizes, AxisSizes]] = [(CHANNELS, space, odd)]
    variants += [(CHANNELS, space, dict.fromkeys(space, k)) for k in SQUARE_KERNEL_LENGTHS]
    variants += [({**CHANNELS, "N": 1}, space, odd), (rgb, space, odd)]
    variants += [(CHANNELS, wide, odd), (CHANNELS, square, dict.fromkeys(space, 3))]
    if one_channel:
        single = {**CHANNELS, "N": 1, "C": 1, "I": 1, "O": 1}
        variants += [(single, space, KERNEL_SIZE[rank]), (single, space, odd)]
    for channels, input_size, kernel_size in variants:
        for x, w in pairs:
            yield _guess(x, w, channels, input_size, kernel_size, channels["O"])


def _permuted_layouts(rank: int) -> Iterator[ShapeGuess]:
    """Every order of all axes in which the spatial ones keep theirs, as they are named by it."""
    s = AXES_OF_RANK[rank]

    def orders(letters: str) -> list[str]:
        layouts = ["".join(order) for order in itertools.permutations(letters + s)]
        return [layout for layout in layouts if spatial_axes(layout) == s]

    for x, w in itertools.product(orders("NC"), orders("OI")):
        yield _usual_sizes(x, w, rank)
