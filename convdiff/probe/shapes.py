"""Shapes to try a function with: what frameworks take, the usual first, no two axes of one length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from convdiff.spec.layout import AXES_OF_RANK, spatial_axes
from convdiff.spec.settings import Settings

Sizes = dict[str, int]

# Long enough for a dilated kernel of either parity to slide over, short enough to be exact and
# quick.
SPACE: dict[int, Sizes] = {1: {"W": 31}, 2: {"H": 13, "W": 15}, 3: {"D": 6, "H": 5, "W": 8}}
KERNEL: dict[int, Sizes] = {1: {"W": 4}, 2: {"H": 3, "W": 4}, 3: {"D": 3, "H": 2, "W": 4}}
ODD: dict[int, Sizes] = {1: {"W": 5}, 2: {"H": 3, "W": 5}, 3: {"D": 3, "H": 5, "W": 3}}
CUBES: tuple[int, ...] = (3, 5, 2)
CHANNELS = {"N": 2, "C": 4, "I": 4, "O": 6, "M": 2}
MANY_GROUPS = (2, 3, 4, 5, 6, 8, 16, 32, 64)


@dataclass(frozen=True)
class ShapeForm:
    """Two shapes to call with, and what their axes are supposed to be.

    The data decide which axis is which; the letters are believed only of axes of size 1.  `out` is
    how many channels a bias would be for.
    """

    input_layout: str
    kernel_layout: str
    input_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]
    out: int


def form(
    input_layout: str, kernel_layout: str, channels: Sizes, space: Sizes, kernel: Sizes, out: int
) -> ShapeForm:
    """The form of these layouts and sizes."""
    x, w = {**channels, **space}, {**channels, **kernel}
    return ShapeForm(
        input_layout,
        kernel_layout,
        tuple(x[a] for a in input_layout),
        tuple(w[a] for a in kernel_layout),
        out,
    )


def forms(settings: Settings) -> Iterator[ShapeForm]:
    """All there are to try, those that fit what was said first; no two of the same shapes."""
    seen = set()
    for one in itertools.chain(_said(settings), _all(_ranks(settings))):
        if (one.input_shape, one.kernel_shape) not in seen:
            seen.add((one.input_shape, one.kernel_shape))
            yield one


def only(
    input_shape: tuple[int, ...], kernel_shape: tuple[int, ...], settings: Settings
) -> Iterator[ShapeForm]:
    """The layouts that arrays of just these shapes may have."""
    ranks = [len(kernel_shape) - 2, len(kernel_shape)]
    pairs = (
        [(settings.input_layout or "", settings.kernel_layout or "")]
        if settings.input_layout and settings.kernel_layout
        else []
    )
    for rank in ranks:
        if rank in AXES_OF_RANK:
            pairs += [*_usual(rank), *_sparse(rank)]
    for x, w in pairs:
        if (len(x), len(w)) == (len(input_shape), len(kernel_shape)):
            sizes = dict(zip(w, kernel_shape, strict=True))
            yield ShapeForm(x, w, input_shape, kernel_shape, sizes.get("O", 1))


def _ranks(settings: Settings) -> list[int]:
    said = [
        len(spatial_axes(layout))
        for layout in (settings.input_layout, settings.kernel_layout)
        if layout
    ]
    return sorted((2, 1, 3), key=lambda rank: (rank not in said, (2, 1, 3).index(rank)))


def _said(settings: Settings) -> Iterator[ShapeForm]:
    x, w = settings.input_layout, settings.kernel_layout
    for rank in _ranks(settings):
        pairs = _usual(rank) + _sparse(rank)
        pairs = [(x or a, w or b) for a, b in pairs]
        pairs = [
            pair
            for pair in pairs
            if all(sorted(spatial_axes(layout)) == sorted(AXES_OF_RANK[rank]) for layout in pair)
        ]
        if settings.groups or settings.depthwise or (w and "M" in w):
            groups = settings.groups or 3
            yield from (
                _grouped(a, b, rank, groups, 1 if settings.depthwise or "M" in b else 2)
                for a, b in pairs
                if "C" in a
            )
        elif x or w:
            yield from (form(a, b, CHANNELS, SPACE[rank], KERNEL[rank], 6) for a, b in pairs)


def _usual(rank: int) -> list[tuple[str, str]]:
    """Layouts with all channel axes: those that frameworks have, transposed kernels' too, then
    mixed ones.
    """
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


def _sparse(rank: int) -> list[tuple[str, str]]:
    """Layouts with fewer axes: plain signals, one item without a batch axis, a bank of kernels over
    one channel.
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


def _grouped(x: str, w: str, rank: int, groups: int, inner: int) -> ShapeForm:
    """For a function with that many groups; a kernel with I first, a transposed one's, has all of
    its input channels.
    """
    transposed, outer = w.startswith("I"), 2 if inner == 1 else 3
    channels = {
        "N": 2,
        "C": groups * inner,
        "I": groups * inner if transposed or "M" in w else inner,
        "O": outer if transposed else outer * groups,
        "M": 2,
    }
    return form(x, w, channels, SPACE[rank], KERNEL[rank], outer * groups)


def _all(ranks: list[int]) -> Iterator[ShapeForm]:
    for rank in ranks:
        # A plain signal comes early: functions that take arrays of any rank take the others too, as
        # something else.
        usual, s = _usual(rank), AXES_OF_RANK[rank]
        yield from (
            form(x, w, CHANNELS, SPACE[rank], KERNEL[rank], 6)
            for x, w in [*usual[:2], (s, s), *usual[2:]]
        )
        yield from (
            _grouped(x, w, rank, 3, 1)
            for x, w in ((f"NC{s}", f"OI{s}"), (f"N{s}C", f"{s}IO"), (f"N{s}C", f"OI{s}"))
        )
    for rank in ranks[:2]:
        yield from _peculiar(rank, _usual(rank)[:2], early=True)
    for groups, rank in itertools.product(MANY_GROUPS, ranks):
        s = AXES_OF_RANK[rank]
        pairs = ((f"NC{s}", f"OI{s}"), (f"N{s}C", f"{s}IO"), (f"NC{s}", f"IO{s}"))
        yield from (_grouped(x, w, rank, groups, 2) for x, w in pairs)
    for rank in ranks:
        yield from (form(x, w, CHANNELS, SPACE[rank], KERNEL[rank], 6) for x, w in _sparse(rank))
    for rank in ranks:
        yield from _peculiar(rank, _usual(rank)[:4] + _sparse(rank)[:3])
    for rank in ranks[:2]:
        yield from _permuted(rank)


def _peculiar(
    rank: int, pairs: list[tuple[str, str]], *, early: bool = False
) -> Iterator[ShapeForm]:
    """For functions that take only odd kernels, squares, one item, one channel or three, or need
    room.
    """
    grey = {**CHANNELS, "N": 1, "C": 1, "I": 1, "O": 1}
    rgb = {**CHANNELS, "C": 3, "I": 3}
    wide = {axis: 2 * n + 3 for axis, n in SPACE[rank].items()}
    square = dict.fromkeys(SPACE[rank], 16)
    variants: list[tuple[Sizes, Sizes, Sizes]] = [(CHANNELS, SPACE[rank], ODD[rank])]
    variants += [(CHANNELS, SPACE[rank], dict.fromkeys(KERNEL[rank], k)) for k in CUBES]
    variants += [({**CHANNELS, "N": 1}, SPACE[rank], ODD[rank]), (rgb, SPACE[rank], ODD[rank])]
    variants += [(CHANNELS, wide, ODD[rank]), (CHANNELS, square, dict.fromkeys(KERNEL[rank], 3))]
    if not early:
        # One channel hides what is done with several, so it comes late.
        variants += [(grey, SPACE[rank], KERNEL[rank]), (grey, SPACE[rank], ODD[rank])]
    for channels, space, kernel in variants:
        for x, w in pairs:
            yield form(x, w, channels, space, kernel, channels["O"])


def _permuted(rank: int) -> Iterator[ShapeForm]:
    """Every order of all axes; space keeps its order, for it is named by its place."""
    s = AXES_OF_RANK[rank]
    orders = {
        role: [
            "".join(p) for p in itertools.permutations(letters + s) if spatial_axes("".join(p)) == s
        ]
        for role, letters in (("input", "NC"), ("kernel", "OI"))
    }
    for x, w in itertools.product(orders["input"], orders["kernel"]):
        yield form(x, w, CHANNELS, SPACE[rank], KERNEL[rank], 6)
