"""In which order a convolution took its input's channels, read off its output.

The output is a sum of one part for each kernel channel, the part that kernel channel c makes of
input channel order[c].  Parts of other channels are as good as noise to each, so that the right one
stands out by how well it goes with the output, however few equations there are; few channels are
tried in every order.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from convdiff.spec.layout import Array

# Channels of which every order is tried.
TRIED = 6
LEAST_LOOKED_AT = 96
# Rounds in which all channels are matched again, each with what the others leave of the output.
ROUNDS = 12
# What no right combination leaves of the output after any round.
HOPELESS = 0.75
# What may be left of the output, as a share of its energy: more than operands in bfloat16 leave.
LEFT = 1e-3
# What of the windows' usual energy counts as nothing where a kernel is estimated.
LEAST_SHARE = 1e-6
# Places that are mixed at most: it costs their third power.
MOST_MIXED = 256
# What is left of the output where the order is right, and how often channels are gone through one
# by one where more is.
NOTHING = 1e-5
SWEEPS = 6


class Mixed(NamedTuple):
    """Sums of places, (sums, places), and what windows (places, C, taps) are in them: as many,
    (sums, C, taps).
    """

    mixing: Array
    windows: Array


def order_of_channels(
    windows: Array,
    weights: Array,
    values: Array,
    cut: Array | None = None,
    most_tried: int = TRIED,
    counted: bool = False,
    mixed: Mixed | None = None,
) -> tuple[list[int], float] | None:
    """The order in which the kernel's channels meet the input's, and the share of the values'
    energy that it leaves; None if there is none.

    `windows` is (places, C, taps), `weights` (O, C, taps), `values` (O, places), up to one factor,
    and up to a constant for each output channel too; but where some are `cut` off, up to the factor
    alone: there it is 1 where the convolution's may be more, -1 where it may be less, 0 elsewhere.
    Where `counted`, each place may have been added several times.  Every order of at most
    `most_tried` channels is tried.  `mixed` is what `mixed_places` makes of the windows, their mean
    taken off unless they are cut off or counted.
    """
    rest = values - values.mean(axis=1, keepdims=True)
    if cut is None and not counted:
        windows, values = windows - windows.mean(axis=0), rest
    if counted:
        rest = values / np.maximum(np.sqrt(np.square(values).mean(axis=0)), 1e-300)
    if not values.any():
        return None
    cut = np.zeros(values.shape, int) if cut is None else cut
    mixed = mixed_places(windows, 0.0) if mixed is None else mixed
    if len(weights[0]) <= most_tried and not counted:
        known = cut == 0
        # Places can be mixed only where all are known.
        apart, made = (mixed.windows, values @ mixed.mixing.T) if known.all() else (windows, values)
        order = _tried(apart, weights, made, known)
    else:
        # Single precision tells channels apart, at half the cost.
        narrow = [each.astype(np.float32) for each in (windows, weights, values)]
        alone = Mixed(*(each.astype(np.float32) for each in mixed))
        order = _matched(
            narrow[0], narrow[1], narrow[2], alone, cut, rest @ mixed.mixing.T, counted
        )
    left = _left(windows[:, order], weights, values, cut, counted)[1]
    return (order.tolist(), left) if left <= LEFT else None


def mixed_places(windows: Array, noise: float) -> Mixed:
    """Places mixed so that what the windows have in common counts no more than what they differ in.

    `noise` is the share of the energy that may be any rounding's.
    """
    places = len(windows)
    if places > MOST_MIXED:
        return Mixed(np.eye(places), windows)
    flat = windows.reshape(places, -1)
    met = flat @ flat.T
    least = max(LEAST_SHARE, noise) * max(float(np.trace(met)) / places, 1e-300)
    met[np.diag_indices(places)] += least
    # Any root of the inverse does, for only lengths and angles matter; by eigenvectors it takes ten
    # times as long.
    mixing = np.sqrt(least) * np.linalg.inv(np.linalg.cholesky(met))
    return Mixed(mixing, (mixing @ flat).reshape(windows.shape))


def _tried(windows: Array, weights: Array, values: Array, known: Array) -> Array:
    """The best of all orders."""
    channels = weights.shape[1]
    places, _, taps = windows.shape
    # Kernel channels and input channels, output channels and places: what each pair of the first
    # makes at each of the second.
    parts = (
        weights.transpose(1, 0, 2).reshape(-1, taps)
        @ windows.transpose(1, 0, 2).reshape(-1, taps).T
    )
    parts = (
        parts.reshape(channels, -1, channels, places)
        .transpose(0, 2, 1, 3)[:, :, known]
        .reshape(channels**2, -1)
    )
    target = values[known]
    going, crossed = parts @ target, parts @ parts.T
    orders = _orders(channels)
    places = orders + np.arange(channels) * channels
    along = going[places].sum(axis=1)
    # Parts of different channels are nearly at right angles: the best of all is among the best if
    # they were quite.
    rough = np.square(along) / np.maximum(np.diagonal(crossed)[places].sum(axis=1), 1e-300)
    few = max(LEAST_LOOKED_AT, len(orders) // 32)
    best_few = np.argpartition(-rough, few)[:few]
    orders, places, along = orders[best_few], places[best_few], along[best_few]
    own = crossed[places[:, :, None], places[:, None, :]].sum(axis=(1, 2))
    gained = np.square(along) / np.maximum(own, 1e-300)
    return np.asarray(orders[int(gained.argmax())])


@lru_cache(maxsize=4)
def _orders(channels: int) -> Array:
    return np.array(list(itertools.permutations(range(channels))))


def _going(windows: Array, weights: Array, values: Array) -> Array:
    """(C, C): how well the part that each kernel channel makes of each input channel goes with the
    values.
    """
    places, channels, taps = windows.shape
    back = (
        (weights.reshape(len(weights), -1).T @ values)
        .reshape(channels, taps, places)
        .transpose(0, 2, 1)
    )
    return np.asarray(
        back.reshape(channels, -1) @ windows.transpose(1, 0, 2).reshape(channels, -1).T
    )


def _matched(
    windows: Array,
    weights: Array,
    values: Array,
    mixed: Mixed,
    cut: Array,
    first: Array,
    counted: bool,
) -> Array:
    """Each channel with the one that goes best with the values, then with what the others leave of
    them, again and again.

    `first` are the values to begin with, with their places mixed.
    """
    rows = np.arange(windows.shape[1])
    mixing, apart = mixed
    length = np.maximum(np.sqrt(np.square(apart).sum(axis=(0, 2))), 1e-30)
    order = _one_each(_going(apart, weights, first.astype(np.float32)) / length)
    best: tuple[Array, float] = order, np.inf
    sizes: Array | None = None
    for _ in range(ROUNDS):
        rest, _, factor, target = _left(windows[:, order], weights, values, cut, counted)
        rest = rest @ mixing.T
        left = float(np.square(rest).sum()) / max(float(np.square(target @ mixing.T).sum()), 1e-30)
        if left < best[1]:
            best = order, left
        if left > HOPELESS:
            break
        if sizes is None:
            # The energy of every kernel channel's part in every input channel.
            squares, met = (
                each.transpose(1, 2, 0) @ each.transpose(1, 0, 2) for each in (weights, apart)
            )
            sizes = squares.reshape(len(rows), -1) @ met.reshape(len(rows), -1).T
        going = _going(apart, weights, rest)
        going[rows, order] += factor * sizes[rows, order]
        again = _one_each(2 * going - factor * sizes)
        if np.array_equal(again, order):
            break
        order = again
    # Other weights are nearest to the output in their own order.
    if sizes is None or not NOTHING < best[1] < HOPELESS or np.array_equal(best[0], rows):
        return best[0]
    return _one_by_one(windows, weights, values, mixed, cut, best[0], counted, sizes)


def _one_by_one(
    windows: Array,
    weights: Array,
    values: Array,
    mixed: Mixed,
    cut: Array,
    order: Array,
    counted: bool,
    sizes: Array,
) -> Array:
    """The order with each channel in turn exchanged for the one that leaves least: what all at once
    leaves undecided.
    """
    order, mixing = order.copy(), mixed.mixing
    met = np.ascontiguousarray(mixed.windows.transpose(1, 2, 0))
    for _ in range(SWEEPS):
        before = order.copy()
        rest, _, factor, _ = _left(windows[:, order], weights, values, cut, counted)
        rest = rest @ mixing.T
        for channel in range(len(order)):
            used = weights[:, channel]
            rest += factor * (used @ met[order[channel]])
            going = met.reshape(len(order), -1) @ (used.T @ rest).reshape(-1)
            order[channel] = int((2 * going - factor * sizes[channel]).argmax())
            rest -= factor * (used @ met[order[channel]])
        if np.array_equal(order, before):
            break
    return order if len(set(order.tolist())) == len(order) else before


def _left(
    windows: Array, weights: Array, values: Array, cut: Array, counted: bool
) -> tuple[Array, float, float, Array]:
    """What a kernel leaves of the values, (O, places); which share that is; the factor it was
    multiplied by; and the values, each once.
    """
    made = weights.reshape(len(weights), -1) @ windows.reshape(len(windows), -1).T
    factor = 1.0
    if counted:
        sizes, wanted = (np.sqrt(np.square(each).sum(axis=0)) for each in (made, values))
        values = values / np.maximum(np.rint(wanted / np.maximum(sizes, 1e-30)), 1)
    else:
        used = np.where(cut == 0, made, 0)
        norm = float(np.square(used).sum())
        factor = float(np.vdot(used, values)) / norm if norm else 1.0
    rest = values - factor * made
    rest = (
        np.where(cut < 0, np.minimum(rest, 0), np.where(cut > 0, np.maximum(rest, 0), rest))
        if cut.any()
        else rest
    )
    return (
        rest,
        float(np.square(rest).sum()) / max(float(np.square(values).sum()), 1e-300),
        factor,
        values,
    )


def _one_each(fitting: Array) -> Array:
    """Each row's best column, the surest rows first, no column twice."""
    order = np.full(len(fitting), -1)
    free = fitting.copy()
    best = np.sort(fitting, axis=1)
    for row in np.argsort(best[:, -2] - best[:, -1]).tolist():
        order[row] = int(free[row].argmax())
        free[:, order[row]] = -np.inf
    return order


def alike(array: Array, axis: int) -> list[int]:
    """For each channel along `axis` the first that holds the very same values: where a ReLU has
    silenced several, one of them.
    """
    first: dict[bytes, int] = {}
    parts = (
        np.ascontiguousarray(np.take(array, at, axis=axis)).tobytes()
        for at in range(array.shape[axis])
    )
    return [first.setdefault(hashlib.blake2b(part).digest(), at) for at, part in enumerate(parts)]


def in_place(order: Sequence[int], same: Sequence[int]) -> list[int]:
    """The same reading, with every channel in its own place that may be there because others are
    the same (see `alike`).
    """
    made = list(order)
    for kind in set(same):
        places = [at for at, source in enumerate(order) if same[source] == kind]
        own = {at for at in places if same[at] == kind}
        others = iter(sorted({order[at] for at in places} - own))
        for at in places:
            made[at] = at if at in own else next(others)
    return made
