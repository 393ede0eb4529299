"""The arrays that a probe calls the function with: place values, one-hot kernels, random integers.

All hold integers small enough that every sum is exact in the type computed in: what rounding there
is then stays far below 1.
"""

from __future__ import annotations

import numpy as np

from convdiff.spec.layout import Array, element_count


def place_values(shape: tuple[int, ...]) -> Array:
    """1, 2, 3, ... in C order: the value of each element encodes its own position."""
    return np.arange(1, element_count(shape) + 1, dtype=np.float64).reshape(shape)


def one_hot(shape: tuple[int, ...], position: tuple[int, ...]) -> Array:
    """Zeros, with a single 1 at `position`."""
    kernel = np.zeros(shape)
    kernel[position] = 1
    return kernel


def random_integers(shape: tuple[int, ...], random: np.random.Generator, largest: int) -> Array:
    """Random integers from -largest to largest, as float64."""
    return random.integers(-largest, largest + 1, shape).astype(np.float64)
