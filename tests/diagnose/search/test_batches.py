"""Flat numbers of a batch lead back to the combinations of its blocks."""

from __future__ import annotations

import numpy as np

from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.search.batches import Batch, make_batches
from convdiff.diagnose.search.candidate import cheapest_candidates
from convdiff.diagnose.search.engine import Search
from convdiff.diagnose.search.sample_points import POINT_PAIRS
from tests.diagnose.naive import Geometry, convolve
from tests.diagnose.problems import problem_of

RNG = np.random.default_rng(5)
X, W = RNG.standard_normal((1, 3, 7, 7)), RNG.standard_normal((4, 3, 3, 3))
GEOMETRY = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))


def search_of_one_edit() -> Search:
    return Search(problem_of(X, W, convolve(X, W[:, :, ::-1, ::-1], GEOMETRY), padding=1))


def test_split_gives_the_combination_of_each_value() -> None:
    rng = np.random.default_rng(8)
    search = search_of_one_edit()
    (y,) = search.forms.output_groups(0, 0)
    (batch,) = search.batches(0, y, 1, stacked=False)
    flat = rng.permutation(int(batch.starts[-1]))[:50]
    indices = []
    for block, of, chosen in batch.split(flat):
        indices += of.tolist()
        products = block.products
        values = products.values
        if products.geometries_first:
            values = values.swapaxes(1, 2)
        np.testing.assert_array_equal(
            values[:, chosen.input, chosen.geometry, chosen.kernel], batch.values[:, flat[of]]
        )
    assert sorted(indices) == list(range(50))


def test_batches_hold_all_blocks_and_no_more_than_fit() -> None:
    search = search_of_one_edit()
    (y,) = search.forms.output_groups(0, 0)
    (batch,) = search.batches(0, y, 1, stacked=False)
    sizes = [block.size for block in batch.blocks]
    assert len(sizes) > 1
    smaller = make_batches(batch.blocks, max(sizes))
    assert [block for part in smaller for block in part.blocks] == batch.blocks
    assert all(int(part.starts[-1]) <= max(sizes) for part in smaller)
    assert make_batches([], 10) == []


def test_candidates_come_cheapest_first() -> None:
    search = search_of_one_edit()
    precision = PrecisionModel(search.problem.rounding)
    (y,) = search.forms.output_groups(0, 0)
    (batch,) = search.batches(0, y, 1, stacked=False)
    block = Batch(batch.blocks[:1])
    flat = np.arange(int(block.starts[-1]))
    candidates = [*cheapest_candidates(block, y, precision, flat, np.zeros(len(flat), int))]
    costs = [candidate.cost for candidate in candidates]
    assert costs == sorted(costs)
    assert all(candidate.edits for candidate in candidates)
    assert candidates[0].first_item().output.array.shape[0] == 1


def test_the_planted_edit_is_the_only_candidate() -> None:
    search = search_of_one_edit()
    (found,) = search.level(1, [PrecisionModel(search.problem.rounding)])
    assert found.edits == ({"code": "kernel-flipped", "axes": ["H", "W"]},)
    assert len(search.points(search.forms.output_groups(0, 0)[0])) == 2 * POINT_PAIRS
