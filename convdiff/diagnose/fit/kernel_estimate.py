"""What the output says of the kernel it was made by, whatever the order of the channels: an
estimate, or the kernel itself.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from convdiff.diagnose.fit.channel_order import LEAST_SHARE, LEFT
from convdiff.spec.layout import Array

# Kernels of the same numbers in any order, that one which goes with the output is held against.
SHAMS = 4


def estimated(windows: Array, values: Array, noise: float = 0.0) -> Array:
    """(O, C, taps): the least kernel that makes nearly these values (O, places) of these windows
    (places, C, taps).

    Of few places it is a shadow of the right one, which no other casts; neighbours that are much
    alike are told apart.
    """
    places = len(windows)
    flat = (windows - windows.mean(axis=0)).reshape(places, -1)
    met = flat @ flat.T
    met[np.diag_indices(places)] += max(LEAST_SHARE, noise) * max(
        float(np.trace(met)) / places, 1e-300
    )
    made = (values - values.mean(axis=1, keepdims=True)) @ np.linalg.solve(met, flat)
    return np.asarray(made.reshape(len(values), *windows.shape[1:]))


def solved(windows: Array, values: Array, held_back: int, noise: float) -> Array | None:
    """(O, C, taps): the kernel that makes these values (O, places) of these windows, up to a
    constant; None if it is no kernel's doing.

    Some places are held back, and tell.
    """
    places = len(windows)
    flat = windows.reshape(places, -1)
    used = places - held_back
    if used <= flat.shape[1]:
        return None
    flat, values = (
        flat - flat[:used].mean(axis=0),
        values - values[:, :used].mean(axis=1, keepdims=True),
    )
    squares = flat[:used].T @ flat[:used]
    squares[np.diag_indices(len(squares))] += 1e-12 * max(float(np.trace(squares)), 1e-300)
    made = np.linalg.solve(squares, flat[:used].T @ values[:, :used].T).T
    left = np.square(made @ flat[used:].T - values[:, used:]).sum()
    return (
        made.reshape(len(values), *windows.shape[1:])
        if left <= noise * np.square(values[:, used:]).sum()
        else None
    )


def both_orders(weights: Array, solved: Array) -> list[int] | None:
    """The order of the input's channels in which some output channel of a kernel (O, C, taps) is
    the first of the solved one.
    """
    first = solved[0]
    apart = (
        np.square(weights).sum(axis=2)[:, :, None]
        - 2 * np.einsum("oct,dt->ocd", weights, first)
        + np.square(first).sum(axis=1)
    )
    least = apart.min(axis=2).sum(axis=1)
    outer = int(least.argmin())
    if least[outer] > LEFT * max(float(np.square(first).sum()), 1e-300):
        return None
    order: list[int] = apart[outer].argmin(axis=1).tolist()
    return order if len(set(order)) == len(order) else None


def goes_with(rows: Array, estimate: Array) -> Array:
    """How well what each of some kernels has for one channel, (kernels, O, taps), goes with any
    channel of an estimate, (O, C, taps).

    In units of what the same numbers in any order do.
    """
    flat = rows.reshape(len(rows), -1)
    several = np.concatenate([flat, flat[0][_shuffled(flat.shape[1])]])
    going = (several @ estimate.transpose(0, 2, 1).reshape(flat.shape[1], -1)).max(axis=1)
    going = going / np.maximum(np.sqrt(np.square(several).sum(axis=1)), 1e-300)
    return np.asarray(going[:-SHAMS] / max(float(going[-SHAMS:].mean()), 1e-300))


@lru_cache(maxsize=64)
def _shuffled(size: int) -> Array:
    """(SHAMS, size): indices in any order."""
    rng = np.random.default_rng(17)
    return np.array([rng.permutation(size) for _ in range(SHAMS)])
