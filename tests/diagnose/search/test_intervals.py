"""Intervals match all values that lie in them, and few others."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.search.intervals import BUCKETS, MIN_BUCKETED_VALUES, Intervals


@pytest.mark.parametrize("count", [MIN_BUCKETED_VALUES // 4, 4 * MIN_BUCKETED_VALUES])
def test_a_match_misses_nothing_and_adds_only_what_is_near(count: int) -> None:
    rng = np.random.default_rng(60)
    values = rng.standard_normal(count) * 10
    low = np.append(values[:: count // 20] - 1e-6, [np.inf, 9.0])
    high = np.append(values[:: count // 20] + 1e-6, [-np.inf, np.inf])
    forms = np.arange(len(low))
    rows, found = Intervals(low, high, forms).matches(values, np.float64(1e-6))
    pairs = set(zip(rows.tolist(), found.tolist(), strict=True))
    expected = {
        (i, j)
        for j in range(len(low))
        for i in np.flatnonzero((values + 1e-6 >= low[j]) & (values - 1e-6 <= high[j])).tolist()
    }
    assert expected <= pairs
    # Each match is checked again with a slack of its own.
    assert all(low[j] - 1e-5 <= values[i] <= high[j] + 1e-5 for i, j in pairs)


def test_the_number_of_buckets_is_a_power_of_two() -> None:
    assert BUCKETS & (BUCKETS - 1) == 0
