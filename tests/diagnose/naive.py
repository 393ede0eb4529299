"""Convolution from its definition, for planting faults; it shares no code with convdiff.

It loops over output positions (direct) or input positions (transposed) in float64.  Inputs are
(N, C, *space); kernels are torch's: (O, C / groups, *space), transposed (C, O / groups, *space).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Geometry:
    """What torch's functions take beside the arrays; pads are (lo, hi) for each axis.

    `pad_values`, one per input channel, are what a constant padding holds instead of zeros.
    """

    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
    pad_mode: str | tuple[str, ...] = "constant"
    transposed: bool = False
    output_padding: tuple[int, ...] = ()
    pad_values: tuple[float, ...] = ()


def convolve(x: Array, w: Array, g: Geometry) -> Array:
    """The cross-correlation, or its adjoint if transposed: (N, O, *space), float64."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    return _transposed(x, w, g) if g.transposed else _direct(x, w, g)


def _direct(x: Array, w: Array, g: Geometry) -> Array:
    # Padded with zeros below the values, and raised again.
    raised = np.reshape(g.pad_values or 0.0, (1, -1, *(1,) * len(g.padding)))
    x = x - raised
    for axis, (lo, hi) in enumerate(g.padding):
        widths = [(0, 0)] * x.ndim
        widths[axis + 2] = (max(lo, 0), max(hi, 0))
        mode: Any = g.pad_mode if isinstance(g.pad_mode, str) else g.pad_mode[axis]
        x = np.pad(x, widths, mode=mode)
        cut = [slice(None)] * x.ndim
        cut[axis + 2] = slice(max(-lo, 0), x.shape[axis + 2] - max(-hi, 0))
        x = x[tuple(cut)]
    x = x + raised
    taps = w.shape[2:]
    size = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[2:], taps, g.stride, g.dilation, strict=True)
    ]
    out = np.zeros((x.shape[0], w.shape[0], *(max(n, 0) for n in size)))
    inner, outer = w.shape[1], w.shape[0] // g.groups
    for place in itertools.product(*map(range, size)):
        where = tuple(
            slice(p * s, p * s + d * (k - 1) + 1, d)
            for p, s, d, k in zip(place, g.stride, g.dilation, taps, strict=True)
        )
        window = x[(slice(None), slice(None), *where)]
        for group in range(g.groups):
            part = window[:, group * inner : (group + 1) * inner].reshape(x.shape[0], -1)
            kernel = w[group * outer : (group + 1) * outer].reshape(outer, -1)
            out[(slice(None), slice(group * outer, (group + 1) * outer), *place)] = part @ kernel.T
    return out


def _transposed(x: Array, w: Array, g: Geometry) -> Array:
    taps = w.shape[2:]
    full = [
        (n - 1) * s + d * (k - 1) + 1
        for n, k, s, d in zip(x.shape[2:], taps, g.stride, g.dilation, strict=True)
    ]
    extra = g.output_padding or (0,) * len(taps)
    outer, inner = w.shape[1], w.shape[0] // g.groups
    out = np.zeros(
        (x.shape[0], outer * g.groups, *(f + e + 64 for f, e in zip(full, extra, strict=True)))
    )
    for place in itertools.product(*map(range, x.shape[2:])):
        where = tuple(
            slice(p * s, p * s + d * (k - 1) + 1, d)
            for p, s, d, k in zip(place, g.stride, g.dilation, taps, strict=True)
        )
        for group in range(g.groups):
            value = x[(slice(None), slice(group * inner, (group + 1) * inner), *place)]
            spread = np.tensordot(value, w[group * inner : (group + 1) * inner], (1, 0))
            out[(slice(None), slice(group * outer, (group + 1) * outer), *where)] += spread
    cut = tuple(
        slice(lo, f - hi + e) for (lo, hi), f, e in zip(g.padding, full, extra, strict=True)
    )
    return out[(slice(None), slice(None), *cut)]
