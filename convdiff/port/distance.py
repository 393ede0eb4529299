"""How far two arrays (N, C, *space) are apart, as a share of their size."""

from __future__ import annotations

import numpy as np

from convdiff.numerics.complex_parts import is_complex
from convdiff.spec.layout import Array

# A channel that varies by less than this share of what the channels vary by on average counts as
# varying by that much.  A normalization's epsilon keeps such channels small in the same way.
MIN_CHANNEL_SPREAD = 1e-3


def relative_distance(x: Array, y: Array) -> float | None:
    """The root mean square of y - x over that of x; None where the shapes differ.

    Infinite where either holds NaN or infinity; the plain root mean square where x is all zeros.
    """
    if x.shape != y.shape:
        return None
    if is_complex(x, y):
        x, y = (np.stack((array.real, array.imag)) for array in (x, y))
    with np.errstate(all="ignore"):
        size = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
        difference = float(np.sqrt(np.mean(np.square(x.astype(np.float64) - y))))
    if not np.isfinite(difference):
        return float("inf")
    return difference / size if size else difference


def distance_by_channel(x: Array, y: Array) -> float | None:
    """The larger of the plain distance and the one relative to each channel's spread.

    None where the shapes differ.

    A normalization that follows divides each channel by its spread, and leaves no larger distance.
    """
    plain = relative_distance(x, y)
    if plain is None or not np.isfinite(plain) or x.size == x.shape[1]:
        return plain
    axes = (0, *range(2, x.ndim))
    spread = x.astype(np.float64).std(axis=axes)
    difference = np.sqrt(np.mean(np.square(x.astype(np.float64) - y), axis=axes))
    least = MIN_CHANNEL_SPREAD * float(np.sqrt(np.mean(np.square(spread))))
    if not least:
        return plain
    by_channel = difference / np.maximum(spread, least)
    return max(plain, float(np.sqrt(np.mean(np.square(by_channel)))))
