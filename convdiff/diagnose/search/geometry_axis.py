"""The geometries worth trying along one axis: strides, dilations and paddings that fit its sizes.

For a stride, a dilation and a padding at the start (`lo`), the output's size leaves only a few
paddings at the end (`hi`), which differ in positions that no window reaches.  So there are few
choices: every small stride and dilation with every plausible `lo` and the likeliest `hi` for it;
and wide strides and dilations with the paddings of conventions and common slips.  They are worked
out all at once with array operations, and cached for other problems of the same sizes.

For a transposed convolution the numbers are those of its user, where padding crops the output; the
equivalent correlation (see `AxisChoices.correlation`) has stride 1 and a dilated input.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.forms import AxisGeometry
from convdiff.spec.layout import Array
from convdiff.spec.padding import Pair

# Strides and dilations of ordinary layers, which are tried with every padding.
SMALL_STRIDES = (1, 2, 3, 4)
SMALL_DILATIONS = (1, 2, 3, 4)
# Strides of patch embeddings, audio hops and learned upsampling, and dilations of spatial pyramids.
# They are tried with plausible paddings only.
WIDE_STRIDES = (5, 6, 7, 8, 10, 12, 14, 16, 20, 32)
WIDE_DILATIONS = (5, 6, 7, 8, 12, 16, 18, 24, 32, 36)
# The span (size with dilation) of a kernel up to which every start padding is tried, and not only
# the plausible ones: nine taps, or five with dilation 2.
MAX_SPAN_ALL_PADDINGS = 9


class AskedAxis(NamedTuple):
    """One axis of a problem: its sizes, and the geometry that was asked along it."""

    input_size: int
    taps: int
    output_size: int
    stride: int
    dilation: int
    padding: Pair
    output_padding: int
    input_dilation: int
    transposed: bool
    # The numbers of the paddings of all axes, sorted: one axis may have been given another's.
    all_paddings: tuple[int, ...]

    @property
    def dilated_input_size(self) -> int:
        """The input's size with its dilation."""
        return (self.input_size - 1) * self.input_dilation + 1


class AxisColumns(NamedTuple):
    """Choices as columns, (choices,) each, in the numbers that a user would state.

    Bit i of `conventions` says that the padding is the i-th of `_plausible_paddings` for the stride
    and the dilation of the choice.
    """

    stride: Array
    dilation: Array
    lo: Array
    hi: Array
    output_padding: Array
    conventions: Array


class AxisChoices(NamedTuple):
    """All choices for one axis, as columns: entry c of each array describes choice c.

    `stride` to `conventions` are as in `AxisColumns`.  `oddness`, from 0 to 1, says how unusual the
    padding is; `padding_differs` and `output_padding_differs` whether they are other than asked;
    `is_wide` whether the stride or the dilation is one of the wide ones.  `correlation` has the
    numbers of the equivalent correlation, (4, choices, 1): stride, padding at the start, dilation
    and input dilation; `correlation_hi` (choices,) has its padding at the end.
    """

    asked: AskedAxis
    stride: Array
    dilation: Array
    lo: Array
    hi: Array
    output_padding: Array
    conventions: Array
    oddness: Array
    padding_differs: Array
    output_padding_differs: Array
    is_wide: Array
    correlation: Array
    correlation_hi: Array

    def changing(self, changed: frozenset[str]) -> Array:
        """The numbers of the choices that change nothing but the edits named in `changed`.

        The names are "stride", "dilation", "padding" and "output_padding".
        """
        return _choices_changing(self.asked, changed)

    def wide_steps(self, numbers: Array) -> set[tuple[int, int]]:
        """The (stride, dilation) pairs, of the choices with these numbers, that have a wide one."""
        wide = numbers[self.is_wide[numbers]]
        return set(zip(self.stride[wide].tolist(), self.dilation[wide].tolist(), strict=True))

    def axis_geometry(self, number: int) -> AxisGeometry:
        """Choice `number` as one record."""
        stride, lo, dilation, input_dilation = self.correlation[:, number, 0].tolist()
        stated = (
            int(self.stride[number]),
            int(self.lo[number]),
            int(self.hi[number]),
            int(self.output_padding[number]),
        )
        hi = int(self.correlation_hi[number])
        return AxisGeometry(stride, lo, hi, dilation, input_dilation, stated)


@lru_cache(maxsize=4096)
def axis_choices(asked: AskedAxis) -> AxisChoices:
    """Every choice for one axis that gives outputs of the asked axis's output size."""
    small, wide = _small_choices(asked), _wide_choices(asked)
    columns = AxisColumns(*(np.concatenate(column) for column in zip(small, wide, strict=True)))
    stride, dilation, lo, hi, output_padding, conventions = columns
    as_asked = (lo == asked.padding[0]) & (hi == asked.padding[1])
    span = (asked.taps - 1) * dilation + 1
    if asked.transposed:
        cropped = (asked.input_size - 1) * stride + span - lo - asked.output_size
        correlation = np.array([np.ones_like(lo), span - 1 - lo, dilation, stride])
        correlation_hi = span - 1 - cropped
    else:
        correlation = np.array([stride, lo, dilation, np.full_like(lo, asked.input_dilation)])
        correlation_hi = hi
    return AxisChoices(
        asked,
        *columns,
        oddness=_padding_oddness(asked, as_asked, lo == hi, conventions != 0),
        padding_differs=~as_asked,
        output_padding_differs=output_padding != asked.output_padding,
        is_wide=np.arange(len(lo)) >= len(small.lo),
        correlation=correlation[:, :, None],
        correlation_hi=correlation_hi,
    )


def _padding_oddness(
    asked: AskedAxis, as_asked: Array, symmetric: Array, conventional: Array
) -> Array:
    """(choices,): how unusual each padding is, from 0 to 1."""
    if asked.transposed:
        return np.where(as_asked | symmetric, 0.0, np.where(conventional, 0.1, 0.5))
    return np.where(as_asked, 0.0, np.where(symmetric, 0.1, np.where(conventional, 0.15, 0.5)))


def _small_choices(asked: AskedAxis) -> AxisColumns:
    """The choices with a small, or the asked, stride and dilation.

    The arrays in here are (strides, dilations, start paddings), or have size 1 on an axis.  Those
    of plausible paddings have one more axis in front, and those of alternatives for the end padding
    one more at the end.
    """
    strides = np.unique([asked.stride, *SMALL_STRIDES])
    dilations = np.unique([asked.dilation, *SMALL_DILATIONS])
    stride, dilation = strides[:, None, None], dilations[None, :, None]
    span = (asked.taps - 1) * dilation + 1
    plausible = _plausible_paddings(asked, dilation, stride)
    shape = (len(strides), len(dilations), 1)
    plausible_lo = np.array([np.broadcast_to(lo, shape) for lo, _ in plausible])
    plausible_hi = np.array([np.broadcast_to(hi, shape) for _, hi in plausible])
    lo, hi = asked.padding
    near_asked = [lo, hi, lo - 1, lo + 1, *asked.all_paddings]
    starts = np.unique(
        [
            *range(-1, min(int(span.max()), MAX_SPAN_ALL_PADDINGS) + 1),
            *near_asked,
            *set(plausible_lo.reshape(-1).tolist()),
        ]
    )
    starts_match = plausible_lo == starts
    tried = (
        ((starts <= span) & (starts >= -1) & (span <= MAX_SPAN_ALL_PADDINGS))
        | np.isin(starts, near_asked)
        | starts_match.any(axis=0)
    )
    if asked.transposed:
        ends, output_paddings, fits = _transposed_ends(
            asked, stride[..., None], starts[:, None], span[..., None], dilation[..., None]
        )
    else:
        end, fits_once = _likeliest_ends(asked, stride, starts, span, starts_match, plausible_hi)
        ends, fits, output_paddings = end[..., None], fits_once[..., None], np.zeros(1, int)
    kept = np.nonzero(tried[..., None] & fits)
    end = ends[kept]
    is_plausible = starts_match[:, *kept[:3]] & (plausible_hi[:, kept[0], kept[1], 0] == end)
    return AxisColumns(
        strides[kept[0]],
        dilations[kept[1]],
        starts[kept[2]],
        end,
        np.broadcast_to(output_paddings, ends.shape)[kept],
        _as_bits(is_plausible),
    )


def _wide_choices(asked: AskedAxis) -> AxisColumns:
    """The choices with a wide stride, or a wide dilation, and a plausible or the asked padding.

    The arrays in here are (steps, paddings), where a step is a pair of stride and dilation.
    """
    steps = _wide_steps(asked)
    if not steps:
        return AxisColumns(*(np.zeros(0, int),) * 6)
    stride, dilation = (column[:, None] for column in np.array(steps).T)
    # The asked padding comes last, and is no convention.
    paddings = [*_plausible_paddings(asked, dilation, stride), asked.padding]
    lo, hi = (
        np.concatenate(np.broadcast_arrays(stride, *sides)[1:], axis=1)
        for sides in zip(*paddings, strict=True)
    )
    span = (asked.taps - 1) * dilation + 1
    if asked.transposed:
        full_size = (asked.input_size - 1) * stride + span
        fits = full_size - lo - hi + asked.output_padding == asked.output_size
    else:
        least = _least_end_padding(asked, span, stride, lo)
        fits = (least <= hi) & (hi < least + stride)
    row, column = np.nonzero(fits)
    # Several conventions may give one padding; it is one choice.
    distinct = dict.fromkeys(
        zip(row.tolist(), lo[row, column].tolist(), hi[row, column].tolist(), strict=True)
    )
    row, chosen_lo, chosen_hi = np.array([*distinct], int).reshape(-1, 3).T
    is_plausible = (lo[row, :-1] == chosen_lo[:, None]) & (hi[row, :-1] == chosen_hi[:, None])
    return AxisColumns(
        stride[row, 0],
        dilation[row, 0],
        chosen_lo,
        chosen_hi,
        np.full(len(row), asked.output_padding),
        _as_bits(is_plausible.T),
    )


def _wide_steps(asked: AskedAxis) -> list[tuple[int, int]]:
    """The pairs of stride and dilation of which one is wide and the other as asked."""
    longer, shorter = asked.input_size, asked.output_size
    if asked.transposed:
        longer, shorter = shorter, longer
    # Patches as wide as the kernel, or overlapping by a half or three quarters, are usual too.
    taps = asked.taps
    strides = {taps, taps // 2, taps // 4, *WIDE_STRIDES} if shorter > 1 else set()
    steps = [
        (stride, asked.dilation)
        for stride in sorted(strides - {asked.stride})
        if stride > SMALL_STRIDES[-1] and (shorter - 2) * stride < longer
    ]
    # With a dilation below the size, every tap reads the input somewhere.
    return steps + [
        (asked.stride, dilation)
        for dilation in WIDE_DILATIONS
        if dilation < longer and dilation != asked.dilation
    ]


def _as_bits(flags: Array) -> Array:
    """(n,): integers of which bit i is flags[i], (bits, n)."""
    return np.asarray((flags.astype(int) << np.arange(len(flags))[:, None]).sum(axis=0))


@lru_cache(maxsize=16384)
def _choices_changing(asked: AskedAxis, changed: frozenset[str]) -> Array:
    """See `AxisChoices.changing`."""
    axis = axis_choices(asked)
    allowed = np.ones(len(axis.lo), bool)
    if "stride" not in changed:
        allowed &= axis.stride == asked.stride
    if "dilation" not in changed:
        allowed &= axis.dilation == asked.dilation
    if "padding" not in changed:
        allowed &= ~axis.padding_differs
    if "output_padding" not in changed and asked.transposed:
        allowed &= ~axis.output_padding_differs
    return np.flatnonzero(allowed)


def _likeliest_ends(
    asked: AskedAxis,
    stride: Array,
    starts: Array,
    span: Array,
    starts_match: Array,
    plausible_hi: Array,
) -> tuple[Array, Array]:
    """The likeliest end padding for each stride, dilation and start padding.

    Returns it, and whether it is worth trying, both (strides, dilations, start paddings).
    `starts_match` says where a plausible padding has this start, `plausible_hi` how it ends; both
    have one more axis in front.
    """
    least = _least_end_padding(asked, span, stride, starts)
    most = least + stride - 1
    end = np.maximum(least, np.minimum(0, most))
    # From the least likely to the likeliest: none, one more or less than at the start, as much.
    for wanted in (0, starts - 1, starts + 1, starts):
        end = np.where((least <= wanted) & (wanted <= most), wanted, end)
    # Likelier still: the first plausible padding that fits, and above all the asked one.
    fitting = starts_match & (least <= plausible_hi) & (plausible_hi <= most)
    first = fitting.argmax(axis=0)[None]
    first_hi = np.take_along_axis(np.broadcast_to(plausible_hi, fitting.shape), first, axis=0)[0]
    end = np.where(fitting.any(axis=0), first_hi, end)
    hi = asked.padding[1]
    end = np.where((least <= hi) & (hi <= most), hi, end)
    # Few crop by more than 2, unless that was asked, or a border was not computed.
    moderate = ((least <= span + 1) | np.isin(end, asked.all_paddings)) & (most >= min(0, hi) - 2)
    return end, moderate | (starts_match & (plausible_hi == end)).any(axis=0)


def _transposed_ends(
    asked: AskedAxis, stride: Array, starts: Array, span: Array, dilation: Array
) -> tuple[Array, Array, Array]:
    """End paddings of a transposed convolution, each with the output padding that it needs.

    Returns end paddings, output paddings and whether they are worth trying, all (strides,
    dilations, start paddings, 4): the end for the asked output padding; as much as at the start; as
    asked; and none.
    """
    # The end padding less the output padding.
    cropped = (asked.input_size - 1) * stride + span - starts - asked.output_size
    ends = np.concatenate(
        np.broadcast_arrays(cropped + asked.output_padding, starts, asked.padding[1], 0), axis=-1
    )
    output_paddings = ends - cropped
    most = np.maximum(span + stride, asked.padding[1] + 2)
    fits = (output_paddings >= 0) & (ends >= -stride) & (ends <= most)
    fits[..., 1:] &= (output_paddings <= np.maximum(stride, dilation))[..., 1:]
    for number in range(1, 4):
        # Only the first of equal ends.
        fits[..., number] &= (ends[..., :number] != ends[..., number : number + 1]).all(axis=-1)
    return ends, output_paddings, fits


def _least_end_padding(
    asked: AskedAxis, span: Array, stride: int | Array, lo: int | Array
) -> Array:
    """The least padding at the end that gives the output size of a direct convolution.

    Up to stride - 1 more give the same size, since no further window fits.
    """
    return np.asarray((asked.output_size - 1) * stride + span - asked.dilated_input_size - lo)


def _plausible_paddings(
    asked: AskedAxis, dilation: Array, stride: Array
) -> list[tuple[Array, Array]]:
    """The (lo, hi) pairs of conventions and of common slips.

    Each has the shape of dilation + stride, or broadcasts to it.
    """
    paddings = _conventional_paddings(asked, dilation, stride)
    span = (asked.taps - 1) * dilation + 1
    # "same" and "full" computed for the asked dilation, or for none, while another one was run.
    for other_dilation in {asked.dilation, 1}:
        full = np.full_like(span, (asked.taps - 1) * other_dilation)
        paddings += [(full // 2, full // 2), (full, full)]
    if asked.transposed:
        return paddings
    (lo, hi), zero = asked.padding, np.zeros_like(span)
    # The asked padding applied twice; that, cut to the length of the input padded once; and the
    # same amount at both ends that gives the output size.
    even = -(-_least_end_padding(asked, span, asked.stride, 0) // 2)
    steps_as_asked = (stride == asked.stride) & (dilation == asked.dilation)
    even = np.where(steps_as_asked, np.maximum(even, 0), 0)
    return [
        *paddings,
        (zero + 2 * lo, zero + 2 * hi),
        (zero + 2 * lo, zero + hi - lo),
        (even, even),
    ]


def _conventional_paddings(
    asked: AskedAxis, dilation: Array, stride: Array
) -> list[tuple[Array, Array]]:
    """The (lo, hi) pairs that people and frameworks choose, the likeliest first.

    They are valid, SAME at either end, half, full, causal and variants.  Each has the shape of
    dilation + stride.
    """
    input_size, taps = asked.input_size, asked.taps
    span = np.asarray((taps - 1) * dilation + 1) + 0 * np.asarray(stride)
    # SAME: ceil(size / stride) outputs, or size * stride outputs of a transposed convolution.
    total = np.maximum(
        span - stride
        if asked.transposed
        else (-(-input_size // np.asarray(stride)) - 1) * stride + span - input_size,
        0,
    )
    zero, full = np.zeros_like(span), span - 1
    half_of_taps, one = zero + taps // 2, zero + 1
    paddings = [
        (zero, zero),
        (total // 2, total - total // 2),
        (total - total // 2, total // 2),
        (span // 2, span // 2),
        (full // 2, full // 2),
        (half_of_taps, half_of_taps),
        (full, full),
        (full, zero),
        (zero, full),
        (full // 2, full - full // 2),
        (full - full // 2, full // 2),
        (zero + dilation, zero + dilation),
        (one, one),
    ]
    if asked.transposed or taps <= input_size:
        return paddings
    # "same" of np.convolve has the size of the longer argument, which is the kernel here.
    kernel_sized = [
        (zero + taps - 1 - half, zero + taps - input_size + half)
        for half in ((input_size - 1) // 2, input_size // 2)
    ]
    return [*kernel_sized, *paddings]
