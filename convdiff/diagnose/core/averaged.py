"""Sums that were divided by the number of values, or the sum of weights, inside the input.

The divisor is known at each position: it depends on the geometry and the kernel alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from convdiff.diagnose.core.output_change import Fields, FittedChange, OutputChange, WholeOutput
from convdiff.numerics.reference import Reference, correlate
from convdiff.spec.layout import Array

# Roundings that a division and a multiplication add.
DIVISION_ROUNDINGS = 3


@dataclass(frozen=True)
class Averaged(FittedChange):
    """The sums, less their bias, were divided at each position; then changed as `then` says."""

    then: OutputChange

    def verify(self, whole: WholeOutput) -> Fields | None:
        rounding = replace(whole.rounding, terms=whole.rounding.terms + DIVISION_ROUNDINGS)
        sums, bias = whole.sums, whole.bias
        for divisor in _divisors(whole):
            if divisor.shape[2:] != sums.output.shape[2:] or divisor.min() == divisor.max():
                return None
            averages = Reference(
                (sums.output - bias) / divisor + bias,
                (sums.scale - np.abs(bias)) / divisor + np.abs(bias),
            )
            fields = self.then.verify(replace(whole, sums=averages, rounding=rounding))
            if fields is not None:
                return fields
        return None


def _divisors(whole: WholeOutput) -> Iterator[Array]:
    """Values, and weights, inside each window, as shares of all and as they are: (1, O, *space).

    None where a window lies in the padding.
    """
    assert whole.kernel is not None
    w = whole.kernel.astype(np.float64)
    counts = _inside(whole, np.ones((1, 1, *w.shape[2:])))
    if counts.min() < 1:
        return
    yield counts / math.prod(w.shape[2:])
    weights = w.sum(axis=1, keepdims=True)
    # A sum of weights is a divisor of filters that average; of others it may be next to zero.
    sums = _inside(whole, weights) if (weights >= 0).all() else np.zeros(1)
    positive = sums.min() > 0
    if positive:
        yield sums / weights.sum(axis=tuple(range(1, w.ndim)), keepdims=True)[:, 0][None]
    yield counts
    yield counts * w.shape[1]
    if positive:
        yield sums


def _inside(whole: WholeOutput, weights: Array) -> Array:
    """The sum of the weights, (O, 1, *space), that lie inside the input, at each position."""
    ones = np.ones((1, 1, *whole.input_size))
    return np.asarray(correlate(ones, weights, whole.geometry, 1, whole.obtained.shape[2:]))
