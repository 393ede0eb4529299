"""The nearest miss: the one edit that makes more of the output right than any other, where none
makes all of it right.
"""

from __future__ import annotations

import numpy as np

from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.proof import predicted
from convdiff.diagnose.search.engine import Search
from convdiff.records import Edit

# Elements that the edits are compared at, and how many of them the nearest must give.
LOOKED_AT = 12
LEAST = 3


def nearest_miss(
    search: Search, precision: PrecisionModel
) -> tuple[tuple[Edit, ...], float] | None:
    """The edit, and the share of elements that it gives; None if none gives any."""
    best, most = None, LEAST - 1
    for candidate, right in search.near(precision, LOOKED_AT):
        if right > most:
            best, most = candidate, right
    if best is None:
        return None
    made = predicted(search.problem, best)
    rounding = precision.rounding
    doubtful = rounding.suspect_mask(best.output.array.whole(), made.output, made.scale)
    return best.edits, 1.0 - float(np.mean(doubtful))
