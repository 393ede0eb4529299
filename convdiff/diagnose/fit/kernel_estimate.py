"""Estimates of the kernel from the output, for inputs whose channels are in an unknown order.

Both estimates solve for the weights over all input channels, so that a permutation of the input's
channels shows as the same permutation of the estimate's.

- `estimate_kernel` is a ridge regression, for any number of positions.  With fewer positions than
  weights it is close to the kernel of least norm that gives the output: the right kernel, projected
  on the span of the windows.  That is enough to tell which of several kernels was used
  (`estimate_agreement`).
- `solve_kernel` is an ordinary least squares fit, for more positions than weights.  It finds the
  kernel itself, whatever it is, and checks it on positions that were held out.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from convdiff.diagnose.fit.channel_order import MAX_RESIDUAL, RIDGE
from convdiff.spec.layout import Array

# Kernels with shuffled weights whose agreement with an estimate is taken for chance.
SHUFFLED_CONTROLS = 4
# The ridge, as a share of the trace, that keeps the normal equations solvable where some taps are
# linearly dependent.
SINGULARITY_RIDGE = 1e-12


def estimate_kernel(windows: Array, values: Array, noise: float = 0.0) -> Array:
    """(O, C, taps): the ridge regression of values (O, positions) on windows (positions, C, taps).

    `noise` is the share of the windows' mean energy that may be rounding.  In its dual form the
    cost is the third power of the number of positions, not of weights.
    """
    positions = len(windows)
    flat = (windows - windows.mean(axis=0)).reshape(positions, -1)
    gram = flat @ flat.T
    gram[np.diag_indices(positions)] += max(RIDGE, noise) * max(
        float(np.trace(gram)) / positions, 1e-300
    )
    centered = values - values.mean(axis=1, keepdims=True)
    estimate = centered @ np.linalg.solve(gram, flat)
    return np.asarray(estimate.reshape(len(values), *windows.shape[1:]))


def solve_kernel(windows: Array, values: Array, held_out: int, noise: float) -> Array | None:
    """(O, C, taps): the kernel that gives the values, up to a constant per channel.

    `windows` is (positions, C, taps), `values` (O, positions).  The last `held_out` positions are
    left out of the fit.  Returns None if more than the share `noise` of their energy is left there,
    or if there are too few others.
    """
    positions = len(windows)
    flat = windows.reshape(positions, -1)
    fitted = positions - held_out
    if fitted <= flat.shape[1]:
        return None
    flat = flat - flat[:fitted].mean(axis=0)
    values = values - values[:, :fitted].mean(axis=1, keepdims=True)
    normal = flat[:fitted].T @ flat[:fitted]
    normal[np.diag_indices(len(normal))] += SINGULARITY_RIDGE * max(float(np.trace(normal)), 1e-300)
    weights = np.linalg.solve(normal, flat[:fitted].T @ values[:, :fitted].T).T
    residual = np.square(weights @ flat[fitted:].T - values[:, fitted:]).sum()
    if not residual <= noise * np.square(values[:, fitted:]).sum():
        return None
    return weights.reshape(len(values), *windows.shape[1:])


def matching_channel_order(weights: Array, solved: Array) -> list[int] | None:
    """The order of the input's channels that relates given weights to a solved kernel.

    Both are (O, C, taps).  The output's channels may be in another order as well: the first one of
    `solved` is compared with each one of `weights`.  Channel c of that has its match in channel
    order[c] of `solved`.  Returns None if there is no match, or no permutation.
    """
    first = solved[0]
    # (O, C, C): the squared distances of the taps.
    distances = (
        np.square(weights).sum(axis=2)[:, :, None]
        - 2 * np.einsum("oct,dt->ocd", weights, first)
        + np.square(first).sum(axis=1)
    )
    by_output = distances.min(axis=2).sum(axis=1)
    output = int(by_output.argmin())
    if by_output[output] > MAX_RESIDUAL * max(float(np.square(first).sum()), 1e-300):
        return None
    order: list[int] = distances[output].argmin(axis=1).tolist()
    return order if len(set(order)) == len(order) else None


def estimate_agreement(rows: Array, estimate: Array) -> Array:
    """(kernels,): how well kernels agree with an estimate, at one of their input channels.

    `rows` (kernels, O, taps) has the weights of that channel, `estimate` is (O, C, taps).  The
    agreement is the largest cosine with any channel of the estimate, in units of what kernels with
    the same weights in random order reach.
    """
    flat = rows.reshape(len(rows), -1)
    controls = flat[0][_random_orders(flat.shape[1])]
    compared = np.concatenate([flat, controls])
    agreement = (compared @ estimate.transpose(0, 2, 1).reshape(flat.shape[1], -1)).max(axis=1)
    agreement = agreement / np.maximum(np.sqrt(np.square(compared).sum(axis=1)), 1e-300)
    chance = max(float(agreement[-SHUFFLED_CONTROLS:].mean()), 1e-300)
    return np.asarray(agreement[:-SHUFFLED_CONTROLS] / chance)


@lru_cache(maxsize=64)
def _random_orders(size: int) -> Array:
    """(SHUFFLED_CONTROLS, size): random permutations."""
    rng = np.random.default_rng(17)
    return np.array([rng.permutation(size) for _ in range(SHUFFLED_CONTROLS)])
