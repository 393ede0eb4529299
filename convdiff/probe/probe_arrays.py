"""The arrays: place values, single taps, random whole numbers.

Whole numbers throughout, small enough that every sum is exact in the type computed in: where the
output is off by rounding alone it is off by far less than 1.
"""

from __future__ import annotations

import itertools

import numpy as np

from convdiff.spec.layout import Array, total


def places(shape: tuple[int, ...]) -> Array:
    """1, 2, 3, ...: each element tells where it stood."""
    return np.arange(1, total(shape) + 1, dtype=np.float64).reshape(shape)


def tap(shape: tuple[int, ...], at: tuple[int, ...]) -> Array:
    """Zero but for a 1 at `at`."""
    kernel = np.zeros(shape)
    kernel[at] = 1
    return kernel


def whole(shape: tuple[int, ...], random: np.random.Generator, most: int) -> Array:
    """Random whole numbers from -most to most."""
    return random.integers(-most, most + 1, shape).astype(np.float64)


def corners(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every corner's index: for taps whose windows begin and end farthest out."""
    return list(itertools.product(*((0, n - 1) if n > 1 else (0,) for n in shape)))
