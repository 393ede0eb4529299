"""The nearest miss: where no edits explain the output, the edit that makes most of it right."""

from __future__ import annotations

import numpy as np

from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.proof import predicted
from convdiff.diagnose.search.engine import Search
from convdiff.records import Edit

# Sample points that single edits are compared at, and at how many of them the nearest miss must
# agree: a few agree by chance.
COMPARED_POINTS = 12
MIN_AGREEING_POINTS = 3


def nearest_miss(
    search: Search, precision: PrecisionModel
) -> tuple[tuple[Edit, ...], float] | None:
    """The edits of the nearest miss, and the share of output elements that they explain.

    Returns None if no edit agrees at `MIN_AGREEING_POINTS`.
    """
    low, high = search.problem.obtained_range
    if low == high:
        # A constant is right where the sums happen to have its value.
        return None
    best, most_agreeing = None, MIN_AGREEING_POINTS - 1
    for candidate, agreeing in search.nearest(precision, COMPARED_POINTS):
        if agreeing > most_agreeing:
            best, most_agreeing = candidate, agreeing
    if best is None:
        return None
    reference = predicted(search.problem, best)
    wrong = precision.rounding.suspect_mask(
        best.output.array.to_array(), reference.output, reference.scale
    )
    return best.edits, 1.0 - float(np.mean(wrong))
