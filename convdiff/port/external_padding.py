"""Padding that one side does in a separate layer before the convolution.

The models are the same, but the inputs of the convolution have other sizes.

Ports of PyTorch models to Keras and TensorFlow pad with ZeroPadding2D, since SAME with a stride is
another padding; torch models call F.pad for asymmetric padding; in ONNX every padding but zeros is
a node of its own.  What the two inputs have in common is their core.  What a side has beyond it is
its external padding, which adds to the padding of its convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.spec.pad_mode import PAD_MODES, PadMode
from convdiff.spec.padding import Pair, kernel_span

Pairs = tuple[Pair, ...]
# Says whether two cores are the same input but for rounding.
Agree = Callable[[Array, Array], bool]

# Positions by which an input may be shifted beyond what the sizes explain.
MAX_EXTRA_SHIFT = 2
# The largest difference of two sizes for which every split between the two ends is tried.
MAX_SPLIT_DIFFERENCE = 8
# The part from the middle of the inputs that is compared before all of them: positions along each
# spatial axis, and channels, of one batch item.
SAMPLE_POSITIONS, SAMPLE_CHANNELS = 8, 16


@dataclass(frozen=True)
class ExternalPadding:
    """What an input has beyond the core that both sides share.

    (lo, hi) for each spatial axis, and the mode of numpy.pad that makes the input from the core.
    """

    pairs: Pairs
    mode: str = "constant"

    @property
    def exists(self) -> bool:
        """Whether there is any."""
        return any(lo or hi for lo, hi in self.pairs)


@dataclass(frozen=True)
class ExternalPaddings:
    """The external padding of the source and of the port."""

    source: ExternalPadding
    port: ExternalPadding

    @property
    def exist(self) -> bool:
        """Whether either side has any."""
        return self.source.exists or self.port.exists


def external_paddings(
    x: Array, y: Array, specs: tuple[ConvSpec, ConvSpec], agree: Agree
) -> ExternalPaddings | None:
    """The external padding of the source's input x and the port's input y, both (N, C, *space).

    Empty paddings where neither side has any, None where none is possible.  Where the inputs have
    no core in common, each side is searched by itself for padding that would make the convolutions
    pad alike.
    """
    source, port = specs
    possible = all(map(_may_have_external_padding, specs))
    if not possible or x.shape[:2] != y.shape[:2] or source.rank != port.rank:
        return None
    excess = tuple(
        (lo - port_lo, hi - port_hi)
        for (lo, hi), (port_lo, port_hi) in zip(source.padding, port.padding, strict=True)
    )
    margin = max(
        kernel_span(size, dilation) - 1
        for spec in specs
        for size, dilation in zip(spec.kernel_size, spec.dilation, strict=True)
    )
    paddings = _around_common_core(x, y, [lo for lo, _ in excess], margin, agree)
    if paddings is None:
        return _making_up_for(excess, x, y)
    return _with_common_zeros(x, y, specs, paddings)


def combined_padding(spec: ConvSpec, external: ExternalPadding) -> tuple[Pairs, PadMode] | None:
    """The padding of a convolution and the external padding before it as one, and its pad mode.

    None where the two are no padding of one mode.
    """
    if not any(lo or hi for lo, hi in spec.padding):
        return external.pairs, external.mode
    if not external.exists:
        return spec.padding, spec.pad_mode
    if (
        spec.pad_value != 0
        or spec.pad_mode != external.mode
        or external.mode not in ("constant", "edge")
    ):
        return None
    return _sum(spec.padding, external.pairs), external.mode


def cropped(array: Array, pairs: Sequence[Pair], first_axis: int = 2) -> Array:
    """The array without (lo, hi) positions at the ends of the axes from `first_axis` on."""
    sizes = array.shape[first_axis:]
    cut = [slice(lo, size - hi) for size, (lo, hi) in zip(sizes, pairs, strict=False)]
    return array[(slice(None),) * first_axis + tuple(cut)]


def _may_have_external_padding(spec: ConvSpec) -> bool:
    return (
        not spec.transposed
        and max(spec.input_dilation) == 1
        and spec.axes == "".join(sorted(spec.axes))
        and min(min(spec.padding)) >= 0
    )


def _around_common_core(
    x: Array, y: Array, likely_shifts: Sequence[int], margin: int, agree: Agree
) -> ExternalPaddings | None:
    """What x and y have beyond a core on which they agree.

    None where there is no such core, or where what is beyond it is no padding of it.  The core may
    leave out up to `margin` more positions at every end: both sides' padding, each by its own mode.
    """
    none = ExternalPadding(((0, 0),) * (x.ndim - 2))
    if x.shape == y.shape and agree(x, y):
        return ExternalPaddings(none, none)
    for x_ends, y_ends in _alignments(x, y, likely_shifts):
        a, b = cropped(x, x_ends), cropped(y, y_ends)
        if not agree(_sample(a), _sample(b)):
            continue
        for more in range(margin + 1):
            inner = ((more, more),) * len(x_ends)
            if min(a.shape[2:]) > 2 * more and agree(cropped(a, inner), cropped(b, inner)):
                paddings = _as_paddings(x, y, _sum(x_ends, inner), _sum(y_ends, inner))
                if paddings is not None:
                    return paddings
    return None


def _alignments(x: Array, y: Array, likely_shifts: Sequence[int]) -> Iterator[tuple[Pairs, Pairs]]:
    """The ways in which x and y may overlap, the likely ones first.

    Each says what x and y have beyond the overlap, at the ends of each spatial axis.
    """
    shifts_by_axis = [
        _shifts(n, m, likely)
        for n, m, likely in zip(x.shape[2:], y.shape[2:], likely_shifts, strict=True)
    ]
    for shifts in product(*shifts_by_axis):
        sizes = list(zip(x.shape[2:], y.shape[2:], shifts, strict=True))
        x_ends = tuple((max(0, -shift), max(0, n + shift - m)) for n, m, shift in sizes)
        y_ends = tuple((max(0, shift), max(0, m - shift - n)) for n, m, shift in sizes)
        yield x_ends, y_ends


def _shifts(n: int, m: int, likely: int) -> list[int]:
    """The positions of y at which x may begin: those where more than half of x overlaps.

    x has size n, y size m.
    """
    more = m - n
    shifts = [likely, 0, more, more // 2, more - more // 2]
    if abs(more) <= MAX_SPLIT_DIFFERENCE:
        shifts += range(min(0, more) - MAX_EXTRA_SHIFT, max(0, more) + MAX_EXTRA_SHIFT + 1)
    return [shift for shift in dict.fromkeys(shifts) if n // 2 < min(n, m - shift) - max(0, -shift)]


def _making_up_for(excess: Sequence[Pair], x: Array, y: Array) -> ExternalPaddings:
    """The external padding by which each side makes up for what the other's convolution pads more.

    `excess` is how much more the source's pads.  Where that is no padding of the inputs, as many
    zeros as there are at those ends.
    """
    x_ends = tuple((max(0, -lo), max(0, -hi)) for lo, hi in excess)
    y_ends = tuple((max(0, lo), max(0, hi)) for lo, hi in excess)
    paddings = _as_paddings(x, y, x_ends, y_ends)
    if paddings is not None:
        return paddings
    return ExternalPaddings(
        ExternalPadding(_zeros_at_ends(x, x_ends)), ExternalPadding(_zeros_at_ends(y, y_ends))
    )


def _as_paddings(x: Array, y: Array, x_ends: Pairs, y_ends: Pairs) -> ExternalPaddings | None:
    """These ends as paddings; None where either is no padding of the rest of its array."""
    x_mode, y_mode = _pad_mode(x, x_ends), _pad_mode(y, y_ends)
    if x_mode is None or y_mode is None:
        return None
    return ExternalPaddings(ExternalPadding(x_ends, x_mode), ExternalPadding(y_ends, y_mode))


def _sample(array: Array) -> Array:
    starts = [max(0, (size - SAMPLE_POSITIONS) // 2) for size in array.shape[2:]]
    middle = (slice(start, start + SAMPLE_POSITIONS) for start in starts)
    return array[(slice(0, 1), slice(0, SAMPLE_CHANNELS), *middle)]


def _pad_mode(array: Array, pairs: Pairs) -> str | None:
    """The mode of numpy.pad that gives the array from its core; None where none does."""
    if not ExternalPadding(pairs).exists:
        return "constant"
    core = cropped(array, pairs)
    if not core.size:
        return None
    for mode in PAD_MODES:
        # numpy repeats the core where the padding is longer; no framework does.
        room = min(core.shape[2:]) - (mode == "reflect")
        fits = mode in ("constant", "edge") or max(max(pair) for pair in pairs) <= room
        if fits and np.array_equal(
            np.pad(core, [(0, 0), (0, 0), *pairs], mode=mode),  # type: ignore[call-overload]
            array,
            equal_nan=True,
        ):
            return mode
    return None


def _with_common_zeros(
    x: Array, y: Array, specs: tuple[ConvSpec, ConvSpec], paddings: ExternalPaddings
) -> ExternalPaddings:
    """The paddings together with the zeros that both cores have at an end.

    Where the sides pad differently, those zeros are padding on both, so that each side's padding
    adds up to what its author wrote.  No more of them are taken than a kernel reaches: an image
    with a black border is no padded image.
    """
    sides = [
        combined_padding(spec, external)
        for spec, external in zip(specs, (paddings.source, paddings.port), strict=True)
    ]
    padded = [side[0] for side in sides if side is not None and side[1] == "constant"]
    if not paddings.exist or sides[0] == sides[1] or len(padded) < len(sides):
        return paddings
    cores = cropped(x, paddings.source.pairs), cropped(y, paddings.port.pairs)
    spans = [
        kernel_span(k, d) for k, d in zip(specs[0].kernel_size, specs[0].dilation, strict=True)
    ]

    def common_zeros(axis: int, end: int) -> int:
        room = spans[axis] - 1 - max(pairs[axis][end] for pairs in padded)
        return min(_zeros(core, axis + 2, room, end) for core in cores)

    zeros = [(common_zeros(axis, 0), common_zeros(axis, 1)) for axis in range(len(spans))]
    return ExternalPaddings(
        ExternalPadding(_sum(paddings.source.pairs, zeros)),
        ExternalPadding(_sum(paddings.port.pairs, zeros)),
    )


def _zeros_at_ends(array: Array, most: Pairs) -> Pairs:
    """How many slices of zeros each end of each spatial axis has, at most those of `most`."""
    return tuple(
        (_zeros(array, axis, lo, 0), _zeros(array, axis, hi, 1))
        for axis, (lo, hi) in enumerate(most, 2)
    )


def _zeros(array: Array, axis: int, most: int, end: int) -> int:
    """The number of slices at one end of an axis that hold nothing but zeros.

    `end` is 0 for the first slices and 1 for the last; at most `most`, and half of the axis.
    """
    most = max(0, min(most, array.shape[axis] // 2))
    for count in range(most):
        if array.take(array.shape[axis] - 1 - count if end else count, axis=axis).any():
            return count
    return most


def _sum(pairs: Sequence[Pair], others: Sequence[Pair]) -> Pairs:
    return tuple((lo + a, hi + b) for (lo, hi), (a, b) in zip(pairs, others, strict=True))
