"""What a problem says of its obtained values."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.numerics.precision import cast
from tests.diagnose.naive import Array
from tests.diagnose.problems import problem_of

RNG = np.random.default_rng(2)
X, W = RNG.standard_normal((1, 2, 6)), RNG.standard_normal((3, 2, 3))
NOISE = RNG.standard_normal((1, 3, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("obtained", "bits"),
    [
        (NOISE, 12 * 24),
        (cast(NOISE, "float16"), 12 * 11),
        (cast(NOISE, "bfloat16"), 12 * 8),
        (np.arange(12.0).reshape(1, 3, 4) % 8, 12 * 3),
        (np.zeros((1, 3, 4)), 1),
        (np.full((1, 3, 4), 7.0), 4),
    ],
)
def test_evidence_counts_the_bits_that_the_values_use(obtained: Array, bits: float) -> None:
    assert problem_of(X, W, obtained).evidence_bits == pytest.approx(bits)


def test_a_missing_bias_is_zeros() -> None:
    np.testing.assert_array_equal(problem_of(X, W, NOISE).channel_bias, np.zeros(3))
    bias = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(problem_of(X, W, NOISE, bias).channel_bias, bias)


def test_views_are_the_arrays_in_normal_order() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 5, 6, 3))
    problem = problem_of(
        x, rng.standard_normal((4, 3, 3, 3)), np.zeros((2, 3, 4, 4)), input_layout="NHWC"
    )
    np.testing.assert_array_equal(problem.x_view.to_array(), x.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(problem.x, x.transpose(0, 3, 1, 2))
