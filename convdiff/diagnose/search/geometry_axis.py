"""The ways one axis may have gone: strides, dilations and start paddings worth trying, and the end
paddings that fit the output's size.

All of them are worked out at once, as arrays.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.forms import AxisGeometry
from convdiff.spec.layout import Array
from convdiff.spec.padding import Pair

STRIDES = (1, 2, 3, 4)
DILATIONS = (1, 2, 3, 4)
# And beyond: of patches, hops and learned upsampling; of spatial pyramids.  Each is tried with
# paddings that people choose, nothing else.
WIDE_STRIDES = (5, 6, 7, 8, 10, 12, 14, 16, 20, 32)
WIDE_DILATIONS = (5, 6, 7, 8, 12, 16, 18, 24, 32, 36)
# The span of a kernel up to which every start padding is tried, not only the natural ones.
SMALL = 9


class AskedAxis(NamedTuple):
    """One axis of a problem: n inputs, k taps, m outputs, and what was asked of it."""

    n: int
    k: int
    m: int
    stride: int
    dilation: int
    padding: Pair
    output_padding: int
    input_dilation: int
    transposed: bool
    # The numbers of all axes' paddings: one axis may have been given another's.
    paddings: tuple[int, ...]


class AxisChoices(NamedTuple):
    """One number of each for every choice: as the user would say it, how odd its padding is, and
    which of it was not asked.
    """

    asked: AskedAxis
    stride: Array
    dilation: Array
    lo: Array
    hi: Array
    output_padding: Array
    oddness: Array
    # The words for its padding, as bits: same, half, full, ... (see `natural_pairs`).
    words: Array
    padded_otherwise: Array
    extended_otherwise: Array
    # Whether its stride or its dilation is one of the wide.
    wide: Array
    # Of the correlation that is run: stride, start padding, dilation and input dilation, (4,
    # choices, 1); and its end padding.
    run: Array
    run_hi: Array

    def changing(self, changed: frozenset[str]) -> Array:
        """The numbers of the choices that change nothing but what is named."""
        return _changing(self.asked, changed)

    def wide_pairs(self, numbers: Array) -> set[tuple[int, int]]:
        """The strides with their dilations among these choices of which either is wide."""
        wide = numbers[self.wide[numbers]]
        return set(zip(self.stride[wide].tolist(), self.dilation[wide].tolist(), strict=True))

    def geometry(self, number: int) -> AxisGeometry:
        """One choice as numbers."""
        stride, lo, dilation, input_dilation = self.run[:, number, 0].tolist()
        said = tuple(
            int(each[number]) for each in (self.stride, self.lo, self.hi, self.output_padding)
        )
        return AxisGeometry(stride, lo, int(self.run_hi[number]), dilation, input_dilation, said)  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def axis_choices(asked: AskedAxis) -> AxisChoices:
    """Every choice for one axis that makes m outputs: each stride and dilation with the paddings
    worth trying.
    """
    strides, dilations = (
        np.unique([own, *usual])
        for own, usual in ((asked.stride, STRIDES), (asked.dilation, DILATIONS))
    )
    stride, dilation = strides[:, None, None], dilations[None, :, None]
    span = (asked.k - 1) * dilation + 1
    natural = _worth_trying(asked, dilation, stride)
    lo, hi = asked.padding
    # (natural paddings, stride, dilation, 1)
    size = (len(strides), len(dilations), 1)
    firsts, lasts = (
        np.array([np.broadcast_to(each, size) for each in sides])
        for sides in zip(*natural, strict=True)
    )
    near = [lo, hi, lo - 1, lo + 1, *asked.paddings]
    starts = np.unique(
        [*range(-1, min(int(span.max()), SMALL) + 1), *near, *set(firsts.reshape(-1).tolist())]
    )
    # (natural paddings, stride, dilation, start padding)
    begun = firsts == starts
    worth = (
        ((starts <= span) & (starts >= -1) & (span <= SMALL))
        | np.isin(starts, near)
        | begun.any(axis=0)
    )
    if asked.transposed:
        # Also the alternatives for one of those.
        his, extras, fits = _transposed_ends(
            asked, stride[..., None], starts[:, None], span[..., None], dilation[..., None]
        )
    else:
        his, extras, fits = (
            each[..., None] for each in _ends(asked, stride, starts, span, begun, lasts)
        )
    keep = np.nonzero(worth[..., None] & fits)
    stride, dilation, start = strides[keep[0]], dilations[keep[1]], starts[keep[2]]
    end, extra = his[keep], np.broadcast_to(extras, his.shape)[keep]
    named = begun[:, *keep[:3]] & (lasts[:, keep[0], keep[1], 0] == end)
    words = (named.astype(int) << np.arange(len(natural))[:, None]).sum(axis=0)
    small = len(words)
    stride, dilation, start, end, extra, words = (
        np.concatenate(each)
        for each in zip((stride, dilation, start, end, extra, words), _wide(asked), strict=True)
    )
    span = (asked.k - 1) * dilation + 1
    known = words != 0
    same = (start == lo) & (end == hi)
    if asked.transposed:
        oddness = np.where(same | (start == end), 0.0, np.where(known, 0.1, 0.5))
        ones = np.ones_like(start)
        cut = (asked.n - 1) * stride + span - start - asked.m
        run, run_hi = np.array([ones, span - 1 - start, dilation, stride]), span - 1 - cut
    else:
        oddness = np.where(same, 0.0, np.where(start == end, 0.1, np.where(known, 0.15, 0.5)))
        run, run_hi = (
            np.array([stride, start, dilation, np.full_like(start, asked.input_dilation)]),
            end,
        )
    return AxisChoices(
        asked,
        stride,
        dilation,
        start,
        end,
        extra,
        oddness,
        words,
        ~same,
        extra != asked.output_padding,
        np.arange(len(words)) >= small,
        run[:, :, None],
        run_hi,
    )


def _worth_trying(asked: AskedAxis, dilation: Array, stride: Array) -> list[tuple[Array, Array]]:
    """The natural paddings, and those that came of a slip."""
    natural = natural_pairs(asked.n, asked.k, dilation, stride, asked.transposed)
    span = (asked.k - 1) * dilation + 1
    # What keeps the size, or is full, for the kernel as it was asked or without a dilation:
    # reckoned for another than was run.
    for other in {asked.dilation, 1}:
        less = np.full_like(span, (asked.k - 1) * other)
        natural += [(less // 2, less // 2), (less, less)]
    if not asked.transposed:
        # What was asked, twice; and that cut to the asked length.  At both ends as much as makes m
        # outputs.
        (lo, hi), zero = asked.padding, np.zeros_like(span)
        both = -(
            -end_paddings((asked.n - 1) * asked.input_dilation + 1, span, asked.m, asked.stride, 0)
            // 2
        )
        alike = np.where(
            (stride == asked.stride) & (dilation == asked.dilation), np.maximum(both, 0), 0
        )
        natural += [(zero + 2 * lo, zero + 2 * hi), (zero + 2 * lo, zero + hi - lo), (alike, alike)]
    return natural


def _wide(asked: AskedAxis) -> tuple[Array, ...]:
    """(stride, dilation, start, end, output padding, words) of the choices with a wide stride, or
    dilation, that make m outputs.
    """
    inputs, outputs = (asked.m, asked.n) if asked.transposed else (asked.n, asked.m)
    strides = {asked.k, asked.k // 2, asked.k // 4, *WIDE_STRIDES} if outputs > 1 else set()
    pairs = [
        (s, asked.dilation)
        for s in sorted(strides - {asked.stride})
        if s > STRIDES[-1] and (outputs - 2) * s < inputs
    ]
    # Every tap meets the input somewhere.
    pairs += [(asked.stride, d) for d in WIDE_DILATIONS if d < inputs and d != asked.dilation]
    if not pairs:
        return (np.zeros(0, int),) * 6
    stride, dilation = (each[:, None] for each in np.array(pairs).T)
    natural = [*_worth_trying(asked, dilation, stride), asked.padding]
    start, end = (
        np.concatenate(np.broadcast_arrays(stride, *sides)[1:], axis=1)
        for sides in zip(*natural, strict=True)
    )
    span = (asked.k - 1) * dilation + 1
    if asked.transposed:
        fits = (asked.n - 1) * stride + span - start - end + asked.output_padding == asked.m
    else:
        least = np.asarray(
            end_paddings((asked.n - 1) * asked.input_dilation + 1, span, asked.m, stride, start)
        )
        fits = (least <= end) & (end < least + stride)
    row, at = np.nonzero(fits)
    # Each padding once; all its names as bits.  (choices, paddings): the last is the asked one,
    # which is no name.
    once = dict.fromkeys(
        zip(row.tolist(), start[row, at].tolist(), end[row, at].tolist(), strict=True)
    )
    row, lo, hi = np.array([*once], int).reshape(-1, 3).T
    named = (start[row, :-1] == lo[:, None]) & (end[row, :-1] == hi[:, None])
    words = (named << np.arange(named.shape[1])).sum(axis=1)
    return stride[row, 0], dilation[row, 0], lo, hi, np.full(len(row), asked.output_padding), words


@lru_cache(maxsize=16384)
def _changing(asked: AskedAxis, changed: frozenset[str]) -> Array:
    axis = axis_choices(asked)
    fits = np.ones(len(axis.lo), bool)
    if "stride" not in changed:
        fits &= axis.stride == asked.stride
    if "dilation" not in changed:
        fits &= axis.dilation == asked.dilation
    if "padding" not in changed:
        fits &= ~axis.padded_otherwise
    if "output_padding" not in changed and asked.transposed:
        fits &= ~axis.extended_otherwise
    return np.flatnonzero(fits)


def _ends(
    asked: AskedAxis, stride: Array, starts: Array, span: Array, begun: Array, lasts: Array
) -> tuple[Array, Array, Array]:
    """The likeliest end padding of those that make m outputs, no output padding, and whether there
    is one worth trying.
    """
    least = end_paddings((asked.n - 1) * asked.input_dilation + 1, span, asked.m, stride, starts)
    last = least + stride - 1
    his = np.maximum(least, np.minimum(0, last))
    # The later of these are the likelier.
    for wanted in (0, starts - 1, starts + 1, starts):
        his = np.where((least <= wanted) & (wanted <= last), wanted, his)
    fitting = begun & (least <= lasts) & (lasts <= last)
    at = fitting.argmax(axis=0)[None]
    his = np.where(
        fitting.any(axis=0),
        np.take_along_axis(np.broadcast_to(lasts, fitting.shape), at, axis=0)[0],
        his,
    )
    hi = asked.padding[1]
    his = np.where((least <= hi) & (hi <= last), hi, his)
    usual = ((least <= span + 1) | np.isin(his, asked.paddings)) & (last >= -2)
    return his, np.zeros_like(his), usual | (begun & (lasts == his)).any(axis=0)


def _transposed_ends(
    asked: AskedAxis, stride: Array, starts: Array, span: Array, dilation: Array
) -> tuple[Array, Array, Array]:
    """End paddings with the output paddings that make m outputs of them: for the asked output
    padding, and for natural ends.
    """
    cut = (asked.n - 1) * stride + span - starts - asked.m  # hi - output_padding
    ends = np.concatenate(
        np.broadcast_arrays(cut + asked.output_padding, starts, asked.padding[1], 0), axis=-1
    )
    extras = ends - cut
    fits = (extras >= 0) & (ends >= -stride) & (ends <= span + stride)
    fits[..., 1:] &= (extras <= np.maximum(stride, dilation))[..., 1:]
    for number in range(1, 4):
        fits[..., number] &= (ends[..., :number] != ends[..., number : number + 1]).all(axis=-1)
    return ends, extras, fits


def end_paddings(
    n: int, span: int | Array, m: int, stride: int | Array, lo: int | Array
) -> int | Array:
    """The least end padding that makes m outputs of n inputs; up to stride - 1 more make as many,
    met partly by no window.
    """
    return (m - 1) * stride + span - n - lo


def natural_pairs(
    n: int, k: int, dilation: int | Array, stride: int | Array, transposed: bool
) -> list[tuple[Array, Array]]:
    """The paddings that people and frameworks choose for such an axis: none, SAME at both ends,
    half, full, causal; likeliest first.
    """
    span = np.asarray((k - 1) * dilation + 1) + 0 * np.asarray(stride)
    # SAME: ceil(n / stride) outputs; as many inputs of a transposed convolution.
    total = np.maximum(
        span - stride if transposed else (-(-n // np.asarray(stride)) - 1) * stride + span - n, 0
    )
    zero, less = np.zeros_like(span), span - 1
    raw, one = zero + k // 2, zero + 1
    # np.convolve's "same" gives as many values as the longer one has, here the kernel.
    longer = (
        []
        if transposed or k <= n
        else [(zero + k - 1 - half, zero + k - n + half) for half in ((n - 1) // 2, n // 2)]
    )
    return [
        *longer,
        (zero, zero),
        (total // 2, total - total // 2),
        (total - total // 2, total // 2),
        (span // 2, span // 2),
        (less // 2, less // 2),
        (raw, raw),
        (less, less),
        (less, zero),
        (zero, less),
        (less // 2, less - less // 2),
        (less - less // 2, less // 2),
        (zero + dilation, zero + dilation),
        (one, one),
    ]
