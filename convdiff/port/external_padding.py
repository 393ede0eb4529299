"""Padding that a side does in a layer of its own, before the convolution: the same model, with
inputs of other sizes.

Keras and TensorFlow ports of PyTorch models pad with ZeroPadding2D, since SAME with a stride is
another padding; torch models call F.pad where it is asymmetric, and every padding but zeros is a
layer of its own in ONNX.  What both inputs have in common is their core; what a side has beyond it
is its frame, and pads as its convolution does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from convdiff.spec.conv_spec import PAD_MODES, ConvSpec, pairs_text
from convdiff.spec.layout import Array
from convdiff.spec.padding import Pair, kernel_span

Pairs = tuple[Pair, ...]
Distance = Callable[[Array, Array], float | None]
# Positions beyond what the sizes explain that an input may be shifted by, and the largest
# difference in size of which every split is tried.
SHIFTED, SPLIT = 2, 8
# Of the middle of the inputs, this much is compared before the whole: positions along an axis, and
# channels.
SAMPLED, CHANNELS = 8, 16


class ExternalPadding(NamedTuple):
    """What an input has beyond the core at each end of each axis of space, and the mode of
    numpy.pad that makes it of the core.
    """

    pairs: Pairs
    mode: str = "constant"

    def __bool__(self) -> bool:
        return any(lo or hi for lo, hi in self.pairs)

    def __str__(self) -> str:
        return pairs_text(self.pairs) + (f", {self.mode}" if self.mode != "constant" else "")


class ExternalPaddings(NamedTuple):
    """The source's and the port's."""

    source: ExternalPadding
    port: ExternalPadding

    def __bool__(self) -> bool:
        return bool(self.source) or bool(self.port)


def frames(
    x: Array, y: Array, specs: tuple[ConvSpec, ConvSpec], near: Callable[[Array, Array], bool]
) -> ExternalPaddings | None:
    """The frames of two inputs (N, C, *space), `near` telling which cores are one; empty ones where
    neither has any.

    None where none can be.  Of inputs that have no core in common each is looked at by itself, for
    what would make the convolutions alike.
    """
    source, port = specs
    if (
        any(not _framable(spec) for spec in specs)
        or x.shape[:2] != y.shape[:2]
        or source.rank != port.rank
    ):
        return None
    wanted = [(a - b, c - d) for (a, c), (b, d) in zip(source.padding, port.padding, strict=True)]
    most = (
        max(
            kernel_span(k, d)
            for spec in specs
            for k, d in zip(spec.kernel_size, spec.dilation, strict=True)
        )
        - 1
    )
    found = _coinciding(x, y, [lo for lo, _ in wanted], most, near)
    return _own(x, y, wanted) if found is None else _peeled(x, y, specs, found)


def whole(spec: ConvSpec, frame: ExternalPadding) -> tuple[Pairs, str] | None:
    """The padding of a convolution and of the frame before it, and its mode; None where that is no
    padding.
    """
    own = any(lo or hi for lo, hi in spec.padding)
    if not own or not frame:
        return (
            (spec.padding, spec.pad_mode)
            if own
            else (frame.pairs, frame.mode if frame else "constant")
        )
    if spec.pad_mode != frame.mode or frame.mode not in ("constant", "edge"):
        return None
    return _sum(spec.padding, frame.pairs), frame.mode


def cropped(array: Array, pairs: Sequence[Pair], first: int = 2) -> Array:
    """Without so much at the ends of the axes from `first` on."""
    cut = [slice(lo, size - hi) for size, (lo, hi) in zip(array.shape[first:], pairs, strict=False)]
    return array[(slice(None),) * first + tuple(cut)]


def _framable(spec: ConvSpec) -> bool:
    return (
        not spec.transposed
        and max(spec.input_dilation) == 1
        and spec.axes == "".join(sorted(spec.axes))
        and min(min(spec.padding)) >= 0
    )


def _coinciding(
    x: Array, y: Array, wanted: Sequence[int], most: int, near: Callable[[Array, Array], bool]
) -> ExternalPaddings | None:
    """What x and y have beyond a part that is alike in both, None where there is none, or what they
    have is no padding of it.

    `wanted` are the likely shifts of y.  Up to `most` slices at each end may be in both, and
    others: each side's padding.
    """
    nothing = ((0, 0),) * (x.ndim - 2)
    if x.shape == y.shape and near(x, y):
        return ExternalPaddings(ExternalPadding(nothing), ExternalPadding(nothing))
    tried: list[list[int]] = []
    for n, m, want in zip(x.shape[2:], y.shape[2:], wanted, strict=True):
        more = m - n
        others = [0, more, more // 2, more - more // 2]
        if abs(more) <= SPLIT:
            others += range(min(0, more) - SHIFTED, max(0, more) + SHIFTED + 1)
        tried.append(
            [
                shift
                for shift in dict.fromkeys([want, *others])
                if n // 2 < min(n, m - shift) - max(0, -shift)
            ]
        )
    for shifts in product(*tried):
        sizes = list(zip(x.shape[2:], y.shape[2:], shifts, strict=True))
        less = tuple((max(0, -at), max(0, n + at - m)) for n, m, at in sizes)
        more = tuple((max(0, at), max(0, m - at - n)) for n, m, at in sizes)
        a, b = cropped(x, less), cropped(y, more)
        if not near(_sample(a), _sample(b)):
            continue
        for both in range(most + 1):
            inner = ((both, both),) * len(shifts)
            if min(a.shape[2:]) > 2 * both and near(cropped(a, inner), cropped(b, inner)):
                found = _framed(x, y, _sum(less, inner), _sum(more, inner))
                if found is not None:
                    return found
    return None


def _own(x: Array, y: Array, wanted: Sequence[Pair]) -> ExternalPaddings:
    """The frames that make up for what one side's convolution pads more than the other's; of zeros,
    there may be fewer.
    """
    less = tuple((max(0, -lo), max(0, -hi)) for lo, hi in wanted)
    more = tuple((max(0, lo), max(0, hi)) for lo, hi in wanted)
    found = _framed(x, y, less, more)
    if found is not None:
        return found
    zeros = [
        tuple(
            (_zeros(array, axis, lo, 0), _zeros(array, axis, hi, 1))
            for axis, (lo, hi) in enumerate(pairs, 2)
        )
        for array, pairs in ((x, less), (y, more))
    ]
    return ExternalPaddings(ExternalPadding(zeros[0]), ExternalPadding(zeros[1]))


def _framed(x: Array, y: Array, less: Pairs, more: Pairs) -> ExternalPaddings | None:
    """These as frames; None where one is no padding of what it leaves."""
    modes = [_mode(array, pairs) for array, pairs in ((x, less), (y, more))]
    return (
        ExternalPaddings(ExternalPadding(less, modes[0]), ExternalPadding(more, modes[1]))
        if modes[0] is not None and modes[1] is not None
        else None
    )


def _sample(array: Array) -> Array:
    starts = [max(0, (size - SAMPLED) // 2) for size in array.shape[2:]]
    return array[(slice(0, 1), slice(0, CHANNELS), *(slice(at, at + SAMPLED) for at in starts))]


def _mode(array: Array, pairs: Pairs) -> str | None:
    """How the core was padded, None where no mode of numpy.pad does that."""
    if not ExternalPadding(pairs):
        return "constant"
    core = cropped(array, pairs)
    if not core.size:
        return None
    for mode in PAD_MODES:
        # numpy reflects several times where the padding is longer than the core, which no framework
        # does.
        room = min(core.shape[2:]) - (mode == "reflect")
        fits = mode in ("constant", "edge") or max(max(pair) for pair in pairs) <= room
        if fits and np.array_equal(
            np.pad(core, [(0, 0), (0, 0), *pairs], mode=mode), array, equal_nan=True
        ):  # type: ignore[call-overload]
            return mode
    return None


def _peeled(
    x: Array, y: Array, specs: tuple[ConvSpec, ConvSpec], found: ExternalPaddings
) -> ExternalPaddings:
    """With the zeros that both have at an end in their frames, where the sides pad differently: so
    padding adds up to what was written.

    No more of them than a kernel reaches: black borders of images are no padding.
    """
    sides = [whole(spec, frame) for spec, frame in zip(specs, found, strict=True)]
    if (
        not found
        or sides[0] == sides[1]
        or any(side is None or side[1] != "constant" for side in sides)
    ):
        return found
    both = [side[0] for side in sides if side]
    a, b = cropped(x, found.source.pairs), cropped(y, found.port.pairs)
    more = []
    for axis, (k, d) in enumerate(zip(specs[0].kernel_size, specs[0].dilation, strict=True)):
        most = [kernel_span(k, d) - 1 - max(side[axis][end] for side in both) for end in (0, 1)]
        more.append(
            (
                min(_zeros(a, axis + 2, most[0], 0), _zeros(b, axis + 2, most[0], 0)),
                min(_zeros(a, axis + 2, most[1], 1), _zeros(b, axis + 2, most[1], 1)),
            )
        )
    return ExternalPaddings(
        ExternalPadding(_sum(found.source.pairs, more)),
        ExternalPadding(_sum(found.port.pairs, more)),
    )


def _zeros(array: Array, axis: int, most: int, end: int) -> int:
    """How many slices at this end (0 or 1) hold nothing but zeros, of `most` that are looked at."""
    most = max(0, min(most, array.shape[axis] // 2))
    for count in range(most):
        if array.take(array.shape[axis] - 1 - count if end else count, axis=axis).any():
            return count
    return most


def _sum(one: Sequence[Pair], other: Sequence[Pair]) -> Pairs:
    return tuple((lo + a, hi + b) for (lo, hi), (a, b) in zip(one, other, strict=True))
