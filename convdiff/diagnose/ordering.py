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
LEAST_LOOKED_AT = 96
# Rounds in which all channels are matched again, each with what the others leave of the output.
ROUNDS = 12
# What no right combination leaves of the output after any round.
HOPELESS = 0.75
# What may be left of the output, as a share of its energy: more than operands in bfloat16 leave.
LEFT = 1e-3


def order_of_channels(
    windows: Array, weights: Array, values: Array, known: Array | None = None, most_tried: int = TRIED
) -> tuple[list[int], float] | None:
    """The order in which the kernel's channels meet the input's, and the share of the values' energy that it leaves; None if there is none.

    `windows` is (places, C, taps), `weights` (O, C, taps), `values` (O, places), up to one factor, and up to a constant for each output
    channel too; but where only some values are `known`, up to the factor alone, and the others may be less than they are here.
    Every order of at most `most_tried` channels is tried.
    """
    centred, rest = windows - windows.mean(axis=0), values - values.mean(axis=1, keepdims=True)
    if known is None:
        windows, values = centred, rest
    energy = float(np.square(values).sum())
    if not energy:
        return None
    known = np.ones(values.shape, bool) if known is None else known
    if len(weights[0]) <= most_tried:
        order, left = _tried(windows, weights, values, known)
    else:
        # Single precision tells channels apart, at half the cost.
        windows, weights, values, centred, rest = (each.astype(np.float32) for each in (windows, weights, values, centred, rest))
        order, left = _matched(windows, weights, values, known, _going(centred, weights, rest))
    return (order.tolist(), left / energy) if left <= LEFT * energy else None


def _tried(windows: Array, weights: Array, values: Array, known: Array) -> tuple[Array, float]:
    """The best of all orders."""
    channels = weights.shape[1]
    places, _, taps = windows.shape
    # Kernel channels and input channels, output channels and places: what each pair of the first makes at each of the second.
    parts = weights.transpose(1, 0, 2).reshape(-1, taps) @ windows.transpose(1, 0, 2).reshape(-1, taps).T
    parts = parts.reshape(channels, -1, channels, places).transpose(0, 2, 1, 3)[:, :, known].reshape(channels**2, -1)
    target = values[known]
    going, crossed = parts @ target, parts @ parts.T
    orders = _orders(channels)
    places = orders + np.arange(channels) * channels
    along = going[places].sum(axis=1)
    # Parts of different channels are nearly at right angles: the best of all is among the best if they were quite.
    rough = np.square(along) / np.maximum(np.diagonal(crossed)[places].sum(axis=1), 1e-300)
    few = max(LEAST_LOOKED_AT, len(orders) // 32)
    best_few = np.argpartition(-rough, few)[:few]
    orders, places, along = orders[best_few], places[best_few], along[best_few]
    own = crossed[places[:, :, None], places[:, None, :]].sum(axis=(1, 2))
    gained = np.square(along) / np.maximum(own, 1e-300)
    best = int(gained.argmax())
    return orders[best], float(np.square(target).sum() - gained[best])


@lru_cache(maxsize=4)
def _orders(channels: int) -> Array:
    return np.array(list(itertools.permutations(range(channels))))


def _going(windows: Array, weights: Array, values: Array) -> Array:
    """(C, C): how well the part that each kernel channel makes of each input channel goes with the values."""
    places, channels, taps = windows.shape
    back = (weights.reshape(len(weights), -1).T @ values).reshape(channels, taps, places).transpose(0, 2, 1)
    return np.asarray(back.reshape(channels, -1) @ windows.transpose(1, 0, 2).reshape(channels, -1).T)


def _matched(windows: Array, weights: Array, values: Array, known: Array, going: Array) -> tuple[Array, float]:
    """Each channel with the one that goes best with the values, then with what the others leave of them, again and again."""
    places, channels, _ = windows.shape
    flat, rows = weights.reshape(len(weights), -1), np.arange(channels)
    length = np.maximum(np.sqrt(np.square(windows).sum(axis=(0, 2))), 1e-30)
    order = _one_each(going / length)
    best: tuple[Array, float] = order, np.inf
    sizes: Array | None = None
    for _ in range(ROUNDS):
        made = flat @ windows[:, order].reshape(places, -1).T
        norm = float(np.square(made[known]).sum())
        factor = float(np.vdot(made[known], values[known])) / norm if norm else 1.0
        rest = values - factor * made
        rest = np.where(known, rest, np.minimum(rest, 0))
        left = float(np.square(rest).sum())
        if left < best[1]:
            best = order, left
        if left > HOPELESS * float(np.square(values).sum()):
            break
        if sizes is None:
            # The energy of every kernel channel's part in every input channel.
            squares, met = (each.transpose(1, 2, 0) @ each.transpose(1, 0, 2) for each in (weights, windows))
            sizes = squares.reshape(channels, -1) @ met.reshape(channels, -1).T
        going = _going(windows, weights, rest)
        going[rows, order] += factor * sizes[rows, order]
        again = _one_each(2 * going - factor * sizes)
        if np.array_equal(again, order):
            break
        order = again
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
