"""The geometry along one spatial axis, from what three elements of the kernel read along it.

Where an output position q reads an input position p through a given kernel element,

    r p = s q + c

with the stride s and the input dilation r (the stride of a transposed convolution). The offset c
grows by the dilation from one kernel element to the next, or falls by it if the kernel is flipped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import gcd

import numpy as np

from convdiff.numerics.reference import pad
from convdiff.probe.errors import NotUnderstood
from convdiff.spec.pad_mode import PAD_MODES
from convdiff.spec.padding import kernel_span

# Input position by output position, along one axis and through one kernel element.
PositionMap = dict[int, int]


@dataclass(frozen=True)
class MeasuredAxis:
    """The numbers of one axis in the normal form (`convdiff.spec.conv_spec.Correlation`).

    `n`, `k` and `m` are the lengths of input, kernel and output. `flip` is None if the kernel has
    one element along the axis. `lo` is the padding at the start, `pad_modes` are those that fit.
    """

    n: int
    k: int
    m: int
    stride: int
    input_dilation: int
    dilation: int
    flip: bool | None
    lo: int
    pad_modes: frozenset[str]

    @property
    def hi(self) -> int:
        """The least padding at the end that gives the length m.

        Up to stride - 1 more gives it too.
        """
        return (
            (self.m - 1) * self.stride
            + kernel_span(self.k, self.dilation)
            - self.lo
            - (self.n - 1) * self.input_dilation
            - 1
        )


def measured_axis(
    n: int, k: int, m: int, first: PositionMap, second: PositionMap | None, last: PositionMap
) -> MeasuredAxis:
    """The geometry, from the maps of the first, second and last kernel elements along the axis.

    `second` is None if there is only one. Raises NotUnderstood where no geometry fits.
    """
    if not first or not last or second == {}:
        raise NotUnderstood("some elements of the kernel reach no output")
    stride, input_dilation = _slope(first)
    first_offset = _offset(first, stride, input_dilation)
    last_offset = _offset(last, stride, input_dilation)
    step = 1 if second is None else _offset(second, stride, input_dilation) - first_offset
    if step == 0 or last_offset - first_offset != step * (k - 1):
        raise NotUnderstood("the kernel's elements are not evenly spaced")
    flipped = step < 0
    pad_modes = frozenset(
        mode
        for mode in PAD_MODES
        if all(
            _reads_as(mode, positions, n, m, stride, input_dilation, offset)
            for positions, offset in ((first, first_offset), (last, last_offset))
        )
    )
    if not pad_modes:
        raise NotUnderstood("what it reads beyond the border is that of no known pad mode")
    return MeasuredAxis(
        n=n,
        k=k,
        m=m,
        stride=stride,
        input_dilation=input_dilation,
        dilation=abs(step),
        flip=None if k == 1 else flipped,
        lo=-(last_offset if flipped else first_offset),
        pad_modes=pad_modes,
    )


def _slope(positions: PositionMap) -> tuple[int, int]:
    """(stride, input dilation) in lowest terms: the most common step of the map."""
    outputs = sorted(positions)
    steps = Counter(
        (b - a, positions[b] - positions[a])
        for a, b in pairwise(outputs)
        if positions[b] > positions[a]
    )
    if not steps:
        if len(positions) > 1:
            raise NotUnderstood("along an axis of the input its output runs backwards or stays put")
        raise NotUnderstood("too little of the input is read along an axis to show its stride")
    (output_step, input_step), _ = steps.most_common(1)[0]
    divisor = gcd(output_step, input_step)
    return input_step // divisor, output_step // divisor


def _offset(positions: PositionMap, stride: int, input_dilation: int) -> int:
    """The most common c of r p = s q + c: near the border, padding may make it differ."""
    offsets = Counter(input_dilation * p - stride * q for q, p in positions.items())
    return offsets.most_common(1)[0][0]


def _reads_as(
    mode: str,
    positions: PositionMap,
    n: int,
    m: int,
    stride: int,
    input_dilation: int,
    offset: int,
) -> bool:
    """Whether a kernel element with this offset reads exactly `positions` under a pad mode."""
    last = (n - 1) * input_dilation
    # -1 stands for what is zero: gaps of a dilated input, and constant padding.
    inputs = np.full(last + 1, -1)
    inputs[::input_dilation] = np.arange(n)
    read = [stride * q + offset for q in range(m)]
    before, after = max(0, -min(read)), max(0, max(read) - last)
    # Not np.pad: that of NumPy 1 is wrong where the padding is wider than the array.
    padded = pad(inputs[None, None], [(before, after)], mode, pad_value=-1)[0, 0]
    return all(padded[at + before] == positions.get(q, -1) for q, at in enumerate(read))
