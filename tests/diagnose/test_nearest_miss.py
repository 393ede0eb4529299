"""The nearest miss is the edit that makes most of an inexplicable output right."""

from __future__ import annotations

import numpy as np

from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.nearest_miss import nearest_miss
from convdiff.diagnose.search.engine import Search
from tests.diagnose.naive import Array, Geometry, convolve
from tests.diagnose.problems import problem_of

RNG = np.random.default_rng(4)
X, W = RNG.standard_normal((2, 4, 9, 9)), RNG.standard_normal((4, 4, 3, 3))


def nearest(obtained: Array) -> tuple[tuple[dict[str, object], ...], float] | None:
    problem = problem_of(X, W, obtained.astype(np.float32), padding=1)
    return nearest_miss(Search(problem), PrecisionModel(problem.rounding))


def test_an_edit_that_explains_all_but_some_elements_is_found() -> None:
    obtained = convolve(X, W, Geometry((1, 1), ((2, 0), (2, 0)), (1, 1)))
    obtained[:, :, 4] = 0
    found = nearest(obtained)
    assert found is not None
    (edit,), share = found
    assert edit["code"] == "wrong-padding"
    assert edit["obtained"] == [[2, 0], [2, 0]]
    np.testing.assert_allclose(share, 8 / 9)


def test_noise_has_no_nearest_miss() -> None:
    rng = np.random.default_rng(96)
    assert nearest(rng.standard_normal((2, 4, 9, 9))) is None
