"""The order in which a convolution took its input's channels, fitted to its output.

Up to a factor and a bias, the output is a sum of parts, one per kernel channel c:

    output = sum over c of part(c, order[c])

where part(c, d) is what kernel channel c gives on input channel d.  Given the windows (positions,
C, taps) at some output positions and the weights (O, C, taps), `fit_channel_order` looks for the
permutation `order` that leaves least of the output.  Parts of different channels are nearly
orthogonal, as independent noise is.  So the right d stands out among the inner products of part(c,
d) with the output, even where the positions are far too few to solve for the weights.

- Few channels: every order is tried.  The inner products of all parts with the output and with each
  other give the least squares residual of any order without computing its output.
- More channels: matching pursuit (Mallat and Zhang, 1993) with an assignment.  All channels are
  matched at once by their inner products with the output; then, in a few rounds, each is matched
  again with what the others leave of it.  What is still undecided is settled by coordinate descent,
  one channel at a time.

Windows of smooth inputs have much in common, which hides what distinguishes the channels.  The
positions are therefore whitened first: combined linearly so that all directions of the windows
count about the same.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from convdiff.spec.layout import Array

# Channels up to which every order is tried: 720 orders.
MAX_ENUMERATED_CHANNELS = 6
# Orders whose residual is computed exactly, of those that leave least if parts were orthogonal: at
# least this many, and at least this share of all.
MIN_EXACT_ORDERS, EXACT_ORDERS_SHARE = 96, 1 / 32
# Rounds in which all channels are matched again, and sweeps of the coordinate descent: both usually
# stop earlier, as soon as nothing changes.
MAX_ASSIGNMENT_ROUNDS, MAX_DESCENT_SWEEPS = 12, 6
# Residuals below are shares of the energy of the output's values.  An order counts as found with at
# most this one, which is more than operands rounded to bfloat16 leave.
MAX_RESIDUAL = 1e-3
# With more than this after a round, no order fits.
MAX_RESIDUAL_TO_REFINE = 0.75
# With less than this there is nothing left to refine.
CONVERGED_RESIDUAL = 1e-5
# The ridge of whitening and of kernel estimates, as a share of the positions' mean energy:
# directions of the windows with less energy count as empty.
RIDGE = 1e-6
# Positions up to which they are whitened, which costs their third power.
MAX_WHITENED_POSITIONS = 256


class WhitenedWindows(NamedTuple):
    """Windows at linear combinations of positions, in which common directions count less.

    `transform` is (positions, positions); applied to the windows it gives `windows`, (positions, C,
    taps).
    """

    transform: Array
    windows: Array


class _FitResult(NamedTuple):
    """What some kernel leaves of the output's values.

    `residual` and `values` are (O, positions); the values are divided by their counts, if they are
    counted.  `factor` is what the kernel's output is multiplied by, and `share` the energy of the
    residual over that of the values.
    """

    residual: Array
    share: float
    factor: float
    values: Array


class _Target(NamedTuple):
    """The values (O, positions) to be explained, with `clipped` and `counted`.

    These are as in `fit_channel_order`.
    """

    values: Array
    clipped: Array
    counted: bool


def fit_channel_order(
    windows: Array,
    weights: Array,
    values: Array,
    clipped: Array | None = None,
    max_enumerated: int = MAX_ENUMERATED_CHANNELS,
    counted: bool = False,
    whitened: WhitenedWindows | None = None,
) -> tuple[list[int], float] | None:
    """The order of the input's channels, and the share of the values' energy that it leaves.

    Kernel channel c takes input channel order[c].  Returns None if no order leaves at most
    `MAX_RESIDUAL`.

    `windows` is (positions, C, taps), `weights` (O, C, taps) and `values` (O, positions).  The
    values are the convolution's up to one factor and one constant per output channel; only up to
    the factor if they are `clipped` or `counted`.  `clipped`, (O, positions), is 1 where the
    convolution's value may be larger than the given one, -1 where it may be smaller, else 0.  If
    `counted`, the values at each position may have been multiplied by a positive integer.  Of up to
    `max_enumerated` channels every order is tried.  `whitened` is `whiten_positions` of the
    windows, less their mean unless the values are clipped or counted; it is computed if not given.
    """
    initial = values - values.mean(axis=1, keepdims=True)
    if clipped is None and not counted:
        windows, values = windows - windows.mean(axis=0), initial
    if counted:
        # The same size at all positions, whatever their counts.
        initial = values / np.maximum(np.sqrt(np.square(values).mean(axis=0)), 1e-300)
    if not values.any():
        return None
    clipped = np.zeros(values.shape, int) if clipped is None else clipped
    whitened = whiten_positions(windows, 0.0) if whitened is None else whitened
    if len(weights[0]) <= max_enumerated and not counted:
        known = clipped == 0
        # Positions can be combined only where all values are known.
        if known.all():
            order = _best_order(whitened.windows, weights, values @ whitened.transform.T, known)
        else:
            order = _best_order(windows, weights, values, known)
    else:
        # Single precision tells the channels apart, at half the cost.
        order = _matched_order(
            windows.astype(np.float32),
            weights.astype(np.float32),
            _Target(values.astype(np.float32), clipped, counted),
            WhitenedWindows(*(array.astype(np.float32) for array in whitened)),
            initial @ whitened.transform.T,
        )
    share = _fit_kernel(windows[:, order], weights, _Target(values, clipped, counted)).share
    return (order.tolist(), share) if share <= MAX_RESIDUAL else None


def whiten_positions(windows: Array, noise: float) -> WhitenedWindows:
    """Combines the positions of windows (positions, C, taps) so that all directions count alike.

    `noise` is the share of the mean energy that may be rounding: directions with less are not
    amplified.  More than `MAX_WHITENED_POSITIONS` positions are left as they are.
    """
    positions = len(windows)
    if positions > MAX_WHITENED_POSITIONS:
        return WhitenedWindows(np.eye(positions), windows)
    flat = windows.reshape(positions, -1)
    gram = flat @ flat.T
    ridge = max(RIDGE, noise) * max(float(np.trace(gram)) / positions, 1e-300)
    gram[np.diag_indices(positions)] += ridge
    # Any root of the inverse will do, since only lengths and angles matter.  Cholesky's takes a
    # tenth of the time of an eigendecomposition.
    transform = np.sqrt(ridge) * np.linalg.inv(np.linalg.cholesky(gram))
    return WhitenedWindows(transform, (transform @ flat).reshape(windows.shape))


def _best_order(windows: Array, weights: Array, values: Array, known: Array) -> Array:
    """(C,): of all orders the one that leaves least of the known values.

    `windows` is (positions, C, taps), `weights` (O, C, taps), `values` and `known` (O, positions).
    """
    channels = weights.shape[1]
    positions, _, taps = windows.shape
    # Row c * C + d is part(c, d) at the known values.
    parts = (
        weights.transpose(1, 0, 2).reshape(-1, taps)
        @ windows.transpose(1, 0, 2).reshape(-1, taps).T
    )
    parts = (
        parts.reshape(channels, -1, channels, positions)
        .transpose(0, 2, 1, 3)[:, :, known]
        .reshape(channels**2, -1)
    )
    products, gram = parts @ values[known], parts @ parts.T
    orders = _permutations(channels)
    rows = orders + np.arange(channels) * channels
    # With prediction s, the best factor explains <s, values>^2 / |s|^2 of the energy.  At first |s|
    # is taken for that of orthogonal parts.
    alignment = products[rows].sum(axis=1)
    norms = np.diagonal(gram)[rows].sum(axis=1)
    explained = np.square(alignment) / np.maximum(norms, 1e-300)
    few = max(MIN_EXACT_ORDERS, int(len(orders) * EXACT_ORDERS_SHARE))
    likely = np.argpartition(-explained, few)[:few]
    orders, rows, alignment = orders[likely], rows[likely], alignment[likely]
    norms = gram[rows[:, :, None], rows[:, None, :]].sum(axis=(1, 2))
    explained = np.square(alignment) / np.maximum(norms, 1e-300)
    return np.asarray(orders[int(explained.argmax())])


@lru_cache(maxsize=4)
def _permutations(channels: int) -> Array:
    """(permutations, channels): all orders of the channels."""
    return np.array(list(itertools.permutations(range(channels))))


def _matched_order(
    windows: Array,
    weights: Array,
    target: _Target,
    whitened: WhitenedWindows,
    initial: Array,
) -> Array:
    """(C,): the order by matching pursuit, all channels at once.

    `windows` is (positions, C, taps), `weights` (O, C, taps); `initial` (O, positions) are the
    whitened values that the channels are first matched with.
    """
    rows = np.arange(windows.shape[1])
    norms = np.maximum(np.sqrt(np.square(whitened.windows).sum(axis=(0, 2))), 1e-30)
    products = _part_products(whitened.windows, weights, initial.astype(np.float32))
    order = _assignment(products / norms)
    best: tuple[Array, float] = order, np.inf
    energies: Array | None = None
    for _ in range(MAX_ASSIGNMENT_ROUNDS):
        fit = _fit_kernel(windows[:, order], weights, target)
        residual = fit.residual @ whitened.transform.T
        energy = float(np.square(fit.values @ whitened.transform.T).sum())
        share = float(np.square(residual).sum()) / max(energy, 1e-30)
        if share < best[1]:
            best = order, share
        if share > MAX_RESIDUAL_TO_REFINE:
            break
        if energies is None:
            energies = _part_energies(whitened.windows, weights)
        # What part(c, d) would take off the residual, if channel c's present part were put back.
        # Only its product with itself is; those with other channels' parts are taken for nothing.
        products = _part_products(whitened.windows, weights, residual)
        products[rows, order] += fit.factor * energies[rows, order]
        matched_again = _assignment(2 * products - fit.factor * energies)
        if np.array_equal(matched_again, order):
            break
        order = matched_again
    order, share = best
    # A kernel with other weights fits best in its own order, which need not be refined.
    undecided = CONVERGED_RESIDUAL < share < MAX_RESIDUAL_TO_REFINE
    if energies is None or not undecided or np.array_equal(order, rows):
        return order
    return _descend(windows, weights, target, whitened, order, energies)


def _descend(
    windows: Array,
    weights: Array,
    target: _Target,
    whitened: WhitenedWindows,
    order: Array,
    energies: Array,
) -> Array:
    """(C,): the order after coordinate descent from `order`.

    Each channel in turn is matched with the input channel that leaves least, all others being kept.
    `energies` is `_part_energies` of the whitened windows.
    """
    order, transform = order.copy(), whitened.transform
    # (C, taps, positions)
    by_channel = np.ascontiguousarray(whitened.windows.transpose(1, 2, 0))
    for _ in range(MAX_DESCENT_SWEEPS):
        before = order.copy()
        fit = _fit_kernel(windows[:, order], weights, target)
        residual = fit.residual @ transform.T
        for channel in range(len(order)):
            used = weights[:, channel]
            residual += fit.factor * (used @ by_channel[order[channel]])
            products = by_channel.reshape(len(order), -1) @ (used.T @ residual).reshape(-1)
            order[channel] = int((2 * products - fit.factor * energies[channel]).argmax())
            residual -= fit.factor * (used @ by_channel[order[channel]])
        if np.array_equal(order, before):
            break
    return order if len(set(order.tolist())) == len(order) else before


def _part_products(windows: Array, weights: Array, values: Array) -> Array:
    """(C, C): the inner products of part(c, d), row c and column d, with values (O, positions).

    `windows` is (positions, C, taps), `weights` (O, C, taps).
    """
    positions, channels, taps = windows.shape
    # The adjoint first: what each kernel channel sends back to each position and tap.
    sent_back = (
        (weights.reshape(len(weights), -1).T @ values)
        .reshape(channels, taps, positions)
        .transpose(0, 2, 1)
    )
    return np.asarray(
        sent_back.reshape(channels, -1) @ windows.transpose(1, 0, 2).reshape(channels, -1).T
    )


def _part_energies(windows: Array, weights: Array) -> Array:
    """(C, C): the squared norms of part(c, d), row c and column d.

    `windows` is (positions, C, taps), `weights` (O, C, taps).
    """
    channels = windows.shape[1]
    # (C, taps, taps): the taps' products with each other, summed over outputs or positions.
    weight_grams, window_grams = (
        array.transpose(1, 2, 0) @ array.transpose(1, 0, 2) for array in (weights, windows)
    )
    return np.asarray(weight_grams.reshape(channels, -1) @ window_grams.reshape(channels, -1).T)


def _fit_kernel(windows: Array, weights: Array, target: _Target) -> _FitResult:
    """What a kernel (O, C, taps) on windows (positions, C, taps) leaves of the target."""
    values, clipped, counted = target
    predicted = weights.reshape(len(weights), -1) @ windows.reshape(len(windows), -1).T
    factor = 1.0
    if counted:
        predicted_norms, norms = (
            np.sqrt(np.square(array).sum(axis=0)) for array in (predicted, values)
        )
        values = values / np.maximum(np.rint(norms / np.maximum(predicted_norms, 1e-30)), 1)
    else:
        used = np.where(clipped == 0, predicted, 0)
        energy = float(np.square(used).sum())
        factor = float(np.vdot(used, values)) / energy if energy else 1.0
    residual = values - factor * predicted
    if clipped.any():
        # Where a value was clipped, the convolution's may lie beyond it.
        residual = np.where(
            clipped < 0,
            np.minimum(residual, 0),
            np.where(clipped > 0, np.maximum(residual, 0), residual),
        )
    share = float(np.square(residual).sum()) / max(float(np.square(values).sum()), 1e-300)
    return _FitResult(residual, share, factor, values)


def _assignment(scores: Array) -> Array:
    """(rows,): a column for each row of a square matrix, no column twice; high scores are better.

    Greedy: rows whose best score is farthest above their second best choose first.
    """
    order = np.full(len(scores), -1)
    free = scores.copy()
    ascending = np.sort(scores, axis=1)
    for row in np.argsort(ascending[:, -2] - ascending[:, -1]).tolist():
        order[row] = int(free[row].argmax())
        free[:, order[row]] = -np.inf
    return order


def identical_channels(array: Array, axis: int) -> list[int]:
    """For each channel along `axis`, the first channel that holds exactly the same values.

    Channels are often identical where a ReLU has silenced several.
    """
    first: dict[bytes, int] = {}
    contents = (
        np.ascontiguousarray(np.take(array, channel, axis=axis)).tobytes()
        for channel in range(array.shape[axis])
    )
    return [
        first.setdefault(hashlib.blake2b(content).digest(), channel)
        for channel, content in enumerate(contents)
    ]


def settle_identical_channels(order: Sequence[int], identical: Sequence[int]) -> list[int]:
    """The order with every channel in its own place that identical channels allow there.

    Channels that are identical (see `identical_channels`) can be exchanged at will, so that `order`
    is one of several which read the same values; this is the one that moves the fewest.
    """
    settled = list(order)
    for kind in set(identical):
        places = [place for place, channel in enumerate(order) if identical[channel] == kind]
        unmoved = {place for place in places if identical[place] == kind}
        others = iter(sorted({order[place] for place in places} - unmoved))
        for place in places:
            settled[place] = place if place in unmoved else next(others)
    return settled
