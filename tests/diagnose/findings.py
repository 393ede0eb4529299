"""Random arrays, the naive convolution in float32, and what convdiff finds for an output."""

from __future__ import annotations

from typing import Any

import numpy as np

import convdiff
from convdiff.records import Edit, Finding
from tests.diagnose.naive import Array, Geometry, convolve

Pads = tuple[tuple[int, int], ...]


def normal(*shape: int, seed: int = 0) -> Array:
    """Normally distributed float32 numbers, the same for every call with this shape and seed."""
    rng = np.random.default_rng([*shape, seed])
    return rng.standard_normal(shape).astype(np.float32)


def conv(
    x: Array,
    w: Array,
    padding: int | Pads = 0,
    stride: int | tuple[int, ...] = 1,
    dilation: int | tuple[int, ...] = 1,
    **more: Any,
) -> Array:
    """The naive convolution in float32; `more` are further fields of `Geometry`."""
    rank = w.ndim - 2
    pads = ((padding, padding),) * rank if isinstance(padding, int) else padding
    stride, dilation = (n if isinstance(n, tuple) else (n,) * rank for n in (stride, dilation))
    return convolve(x, w, Geometry(stride, pads, dilation, **more)).astype(np.float32)


def finding(x: Array, w: Array, obtained: Array, **options: Any) -> Finding:
    """The first finding for `obtained`."""
    result = convdiff.diff(x, w, obtained, **options)
    assert result.findings, result.row.message
    return result.findings[0]


def summary(x: Array, w: Array, obtained: Array, **options: Any) -> str:
    """The first finding in words."""
    return finding(x, w, obtained, **options).summary


def explanations(x: Array, w: Array, obtained: Array, **options: Any) -> list[list[Edit]]:
    """The edits of the first finding, then those of its rivals."""
    first = finding(x, w, obtained, **options)
    return [list(edits) for edits in (first.edits, *first.rivals)]


def first_edits(x: Array, w: Array, obtained: Array, **options: Any) -> list[Edit]:
    """The edits of the first finding."""
    return explanations(x, w, obtained, **options)[0]
