"""One spatial axis in numbers, from what three taps read along it.

On the straight part  r p = s q + c  for output q and input p: s is the stride, r the input's
dilation (a transposed convolution's stride), and c moves by the dilation from tap to tap, upwards
unless the kernel is flipped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from typing import Any

import numpy as np

from convdiff.probe.roles import Unclear
from convdiff.spec.conv_spec import PAD_MODES
from convdiff.spec.padding import reach

Table = dict[int, int]


@dataclass(frozen=True)
class Axis:
    """As the normal form has it (`convdiff.spec.conv_spec.Correlation`): `lo` is the padding at the
    start, `modes` those that fit.

    `flip` is None where the kernel has one element along it.  `n`, `k`, `m` are the sizes of input,
    kernel and output.
    """

    n: int
    k: int
    m: int
    stride: int
    input_dilation: int
    dilation: int
    flip: bool | None
    lo: int
    modes: frozenset[str]

    @property
    def hi(self) -> int:
        """The least padding at the end that gives this size; up to stride - 1 more gives it too."""
        return (
            (self.m - 1) * self.stride
            + reach(self.k, self.dilation)
            - self.lo
            - (self.n - 1) * self.input_dilation
            - 1
        )


def axis(n: int, k: int, m: int, first: Table, second: Table | None, last: Table) -> Axis:
    """The axis, from the first tap, the one beside it and the last; `second` is None where there is
    but one.
    """
    if not first or not last or second == {}:
        raise Unclear("some elements of the kernel reach no output")
    stride, dilated = _slope(first)
    c0, c_last = (_constant(table, stride, dilated) for table in (first, last))
    step = 1 if second is None else _constant(second, stride, dilated) - c0
    if step == 0 or c_last - c0 != step * (k - 1):
        raise Unclear("the kernel's elements are not evenly spaced")
    dilation, flip = abs(step), step < 0
    lo = -(c_last if flip else c0)
    modes = frozenset(PAD_MODES)
    for table, c in ((first, c0), (last, c_last)):
        modes &= _modes(table, n, m, stride, dilated, c)
    if not modes:
        raise Unclear("what it reads beyond the border is no pad mode known here")
    return Axis(n, k, m, stride, dilated, dilation, None if k == 1 else flip, lo, modes)


def _slope(table: Table) -> tuple[int, int]:
    """(stride, input dilation), in lowest terms: the commonest step."""
    places = sorted(table)
    steps = Counter(
        (b - a, table[b] - table[a]) for a, b in pairwise(places) if table[b] > table[a]
    )
    if not steps:
        if len(table) > 1:
            raise Unclear("its output runs backwards, or stands still, along an axis of the input")
        raise Unclear("too little of the input is read along an axis to tell its stride")
    (dq, dp), _ = steps.most_common(1)[0]
    return dp // gcd(dq, dp), dq // gcd(dq, dp)


def _constant(table: Table, stride: int, dilated: int) -> int:
    return Counter(dilated * p - stride * q for q, p in table.items()).most_common(1)[0][0]


def _modes(table: Table, n: int, m: int, stride: int, dilated: int, c: int) -> frozenset[str]:
    """The pad modes under which the tap reads just what it read, 0 included."""
    span = (n - 1) * dilated
    wanted = [stride * q + c for q in range(m)]
    below, above = max(0, -min(wanted)), max(0, max(wanted) - span)
    places = np.full(span + 1, -1)
    places[::dilated] = np.arange(n)
    found = set()
    for mode in PAD_MODES:
        how: Any = {"mode": mode} | ({"constant_values": -1} if mode == "constant" else {})
        padded = np.pad(places, (below, above), **how)
        if all(padded[at + below] == table.get(q, -1) for q, at in enumerate(wanted)):
            found.add(mode)
    return frozenset(found)
