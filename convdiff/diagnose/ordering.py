"""In which order a convolution took its input's channels, read off its output.

The output is a sum of one part for each kernel channel, the part that kernel channel c makes of input channel order[c].  Parts of other
channels are as good as noise to each, so that the right one stands out by how well it goes with the output, however few equations there
are; few channels are tried in every order.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from convdiff.layout import Array

# Channels of which every order is tried.
TRIED = 6
# Rounds in which all channels are matched again, each with what the others leave of the output.
ROUNDS = 12
# What no right combination leaves of the output after any round.
HOPELESS = 0.75
# What may be left of the output, as a share of its energy: more than operands in bfloat16 leave.
LEFT = 1e-3


def order_of_channels(windows: Array, weights: Array, values: Array, cut_off: bool) -> tuple[list[int], float] | None:
    """The order in which the kernel's channels meet the input's, and the share of the values' energy that it leaves; None if there is none.

    `windows` is (places, C, taps), `weights` (O, C, taps), `values` (O, places), up to one factor; where not `cut_off`, up to a constant
    for each output channel too.  Where `cut_off`, values that are zero may have been negative.
    """
    if not cut_off:
        windows, values = windows - windows.mean(axis=0), values - values.mean(axis=1, keepdims=True)
    energy = float(np.square(values).sum())
    if not energy:
        return None
    order, left = (_tried if len(weights[0]) <= TRIED else _matched)(windows, weights, values, cut_off)
    return (order.tolist(), left / energy) if left <= LEFT * energy else None


def _tried(windows: Array, weights: Array, values: Array, cut_off: bool) -> tuple[Array, float]:
    """The best of all orders."""
    known = (values > 0).reshape(-1) if cut_off else np.ones(values.size, bool)
    channels = weights.shape[1]
    parts = np.einsum("oct,pdt->cdop", weights, windows, optimize=True).reshape(channels**2, -1)[:, known]
    target = values.reshape(-1)[known]
    going, crossed = parts @ target, parts @ parts.T
    orders = _orders(channels)
    places = orders + np.arange(channels) * channels
    along = going[places].sum(axis=1)
    own = crossed[places[:, :, None], places[:, None, :]].sum(axis=(1, 2))
    gained = np.square(along) / np.maximum(own, 1e-300)
    best = int(gained.argmax())
    return orders[best], float(np.square(target).sum() - gained[best])


@lru_cache(maxsize=4)
def _orders(channels: int) -> Array:
    return np.array(list(itertools.permutations(range(channels))))


def _matched(windows: Array, weights: Array, values: Array, cut_off: bool) -> tuple[Array, float]:
    """Each channel with the one that goes best with what the others leave, again and again."""
    places, channels, taps = windows.shape
    squares = np.einsum("oct,ocu->ctu", weights, weights, optimize=True).reshape(channels, -1)
    # The energy of every kernel channel's part in every input channel.
    sizes = squares @ np.einsum("pct,pcu->ctu", windows, windows, optimize=True).reshape(channels, -1).T
    flat, back = windows.transpose(1, 0, 2).reshape(channels, -1), weights.reshape(len(weights), -1)
    rest, order, factor = values, None, 1.0
    best: tuple[Array, float] = np.arange(channels), np.inf
    for _ in range(ROUNDS):
        going = (back.T @ rest).reshape(channels, taps, places).transpose(0, 2, 1).reshape(channels, -1) @ flat.T
        if order is None:
            fitting = going / np.sqrt(np.maximum(sizes, 1e-300))
        else:
            rows = np.arange(channels)
            going[rows, order] += factor * sizes[rows, order]
            fitting = 2 * going - factor * sizes
        again = _one_each(fitting)
        if order is not None and np.array_equal(again, order):
            break
        order = again
        made = back @ windows[:, order].reshape(places, -1).T
        seen = values > 0 if cut_off else np.ones(values.shape, bool)
        norm = float(np.square(made[seen]).sum())
        factor = float(np.vdot(made[seen], values[seen])) / norm if norm else 1.0
        rest = values - factor * made
        rest = np.where(seen, rest, np.minimum(rest, 0)) if cut_off else rest
        left = float(np.square(rest).sum())
        if left < best[1]:
            best = order, left
        if left > HOPELESS * float(np.square(values).sum()):
            break
    return best


def _one_each(fitting: Array) -> Array:
    """Each row's best column, the surest rows first, no column twice."""
    order = np.full(len(fitting), -1)
    free = fitting.copy()
    best = np.sort(fitting, axis=1)
    for row in np.argsort(best[:, -2] - best[:, -1]).tolist():
        order[row] = int(free[row].argmax())
        free[:, order[row]] = -np.inf
    return order
