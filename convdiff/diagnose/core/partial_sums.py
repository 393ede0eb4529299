"""The errors that rounding every partial sum to a narrow type usually makes.

A sum loses at each step a part of what it has grown to.  So the error depends on how the partial
sums grow: as a random walk where terms cancel, steadily where they do not, and far where the first
half of the terms cancels the second.
"""

from __future__ import annotations

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.spec.layout import Array

# Output elements whose partial sums are looked at, and the products that this may take.
SAMPLED_ELEMENTS, MAX_SAMPLED_PRODUCTS = 256, 1 << 21


def usual_rms_units(problem: Problem) -> float:
    """The root mean square error, in u S, of sums in order, each step rounded with roundoff u.

    The larger one of two orders: channel after channel, or tap after tap.
    """
    products = _sampled_products(problem)
    scale = np.abs(products).sum(axis=(1, 2))
    products, scale = products[scale > 0], scale[scale > 0]
    if not len(products):
        return 0.0
    usual = 0.0
    for terms in (products, products.transpose(0, 2, 1)):
        flat = terms.reshape(len(terms), -1)
        squares = np.square(flat) + np.square(np.cumsum(flat, axis=1))
        # A rounding error is even within half a unit in the last place, at most u either way.
        units = np.sqrt(squares.sum(axis=1) / 3) / scale
        usual = max(usual, float(np.sqrt(np.square(units).mean())))
    return usual


def _sampled_products(problem: Problem) -> Array:
    """(elements, channels, taps): the products of some output elements, with zeros as padding."""
    spec, x, w = problem.spec, problem.x, problem.w
    geometry = spec.correlation()
    terms = w[0].size
    count = max(1, min(SAMPLED_ELEMENTS, MAX_SAMPLED_PRODUCTS // terms))
    shape = (spec.batch, spec.out_channels, *spec.output_size)
    size = int(np.prod(shape))
    chosen = np.random.default_rng(0).integers(0, size, count)
    item, channel, *position = np.unravel_index(chosen, shape)
    first = channel // (spec.out_channels // spec.groups) * w.shape[1]
    inside = np.ones((count, *w.shape[2:]), bool)
    indices = []
    for axis, at in enumerate(position):
        taps = np.arange(w.shape[2 + axis]) * geometry.dilation[axis]
        dilated = at[:, None] * geometry.stride[axis] + taps - geometry.padding[axis][0]
        index, rest = np.divmod(dilated, geometry.input_dilation[axis])
        valid = (index >= 0) & (index < x.shape[2 + axis]) & (rest == 0)
        broadcast = [1] * spec.rank
        broadcast[axis] = -1
        inside &= valid.reshape(count, *broadcast)
        indices.append(np.where(valid, index, 0).reshape(count, 1, *broadcast))
    ones = (1,) * spec.rank
    channels = (first[:, None] + np.arange(w.shape[1])).reshape(count, -1, *ones)
    values = x[(item.reshape(-1, 1, *ones), channels, *indices)].astype(np.float64)
    products = values * inside[:, None] * w[channel]
    return np.asarray(products).reshape(count, w.shape[1], -1)
