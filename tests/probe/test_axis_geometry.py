"""The geometry of one axis, recovered from what the elements of a kernel read along it."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.probe.axis_geometry import PositionMap, measured_axis
from convdiff.probe.errors import NotUnderstood
from convdiff.spec.padding import kernel_span

N = 31


def positions_read(
    k: int, *, stride: int, input_dilation: int, dilation: int, flip: bool, lo: int, mode: str
) -> tuple[int, list[PositionMap]]:
    """The output length with 2 as padding at the end, and the position map of every element."""
    inputs = np.full((N - 1) * input_dilation + 1, -1)
    inputs[::input_dilation] = np.arange(N)
    options = {"constant_values": -1} if mode == "constant" else {}
    padded = np.pad(inputs, (lo, 2), mode, **options)
    m = (len(padded) - kernel_span(k, dilation)) // stride + 1
    maps = []
    for element in range(k):
        at = dilation * (k - 1 - element if flip else element)
        read = [int(padded[stride * q + at]) for q in range(m)]
        maps.append({q: p for q, p in enumerate(read) if p >= 0})
    return m, maps


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap", "symmetric"])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("stride", "input_dilation", "dilation"), [(1, 1, 1), (2, 1, 1), (3, 1, 2), (1, 2, 1)]
)
def test_the_geometry_is_recovered(
    stride: int, input_dilation: int, dilation: int, flip: bool, mode: str
) -> None:
    k, lo = 4, 3
    m, maps = positions_read(
        k,
        stride=stride,
        input_dilation=input_dilation,
        dilation=dilation,
        flip=flip,
        lo=lo,
        mode=mode,
    )
    axis = measured_axis(N, k, m, maps[0], maps[1], maps[-1])
    assert (axis.stride, axis.input_dilation, axis.dilation) == (stride, input_dilation, dilation)
    assert (axis.flip, axis.lo) == (flip, lo)
    assert mode in axis.pad_modes
    assert axis.hi <= 2 < axis.hi + stride


def test_a_kernel_of_one_element_shows_no_flip() -> None:
    identity = {q: q for q in range(N)}
    axis = measured_axis(N, 1, N, identity, None, identity)
    assert axis.flip is None
    assert (axis.lo, axis.hi) == (0, 0)


@pytest.mark.parametrize(
    ("first", "second", "last", "reason"),
    [
        ({}, {0: 0}, {0: 0}, "reach no output"),
        ({0: 2, 1: 1}, {0: 3, 1: 2}, {0: 4, 1: 3}, "runs backwards"),
        ({0: 2}, {0: 3}, {0: 4}, "too little of the input"),
        ({0: 0, 1: 1}, {0: 1, 1: 2}, {0: 3, 1: 4}, "not evenly spaced"),
    ],
)
def test_other_readings_are_not_understood(
    first: PositionMap, second: PositionMap, last: PositionMap, reason: str
) -> None:
    with pytest.raises(NotUnderstood, match=reason):
        measured_axis(8, 3, 2, first, second, last)
