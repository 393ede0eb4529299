"""Estimates of the kernel tell which kernel was used, or are the kernel itself."""

from __future__ import annotations

import numpy as np

from convdiff.diagnose.fit.kernel_estimate import (
    estimate_agreement,
    estimate_kernel,
    matching_channel_order,
    solve_kernel,
)

RNG = np.random.default_rng(3)
KERNELS = RNG.standard_normal((5, 16, 32, 9))
ORDER = RNG.permutation(32)


def test_the_kernel_that_was_used_agrees_best_from_few_positions() -> None:
    rng = np.random.default_rng(71)
    windows = rng.standard_normal((40, 32, 9))
    values = np.einsum("oct,pct->op", KERNELS[2], windows[:, ORDER])
    estimate = estimate_kernel(windows, values + rng.standard_normal((16, 1)))
    assert estimate.shape == (16, 32, 9)
    agreement = np.mean(
        [estimate_agreement(KERNELS[:, :, channel], estimate) for channel in range(6)], axis=0
    )
    assert int(agreement.argmax()) == 2
    assert agreement[2] > 1.25
    assert np.delete(agreement, 2).max() < 1.25


def test_a_kernel_is_solved_for_where_there_are_positions_enough() -> None:
    rng = np.random.default_rng(64)
    kernel = rng.standard_normal((4, 6, 3))
    windows = rng.standard_normal((40, 6, 3))
    values = np.einsum("oct,pct->op", kernel, windows) + rng.standard_normal((4, 1))
    solved = solve_kernel(windows, values, 4, 1e-6)
    assert solved is not None
    np.testing.assert_allclose(solved, kernel, atol=1e-6)
    assert solve_kernel(windows[:22], values[:, :22], 4, 1e-6) is None
    assert solve_kernel(windows, rng.standard_normal((4, 40)), 4, 1e-6) is None


def test_a_solved_kernel_gives_the_order_whatever_that_of_the_output_s_channels() -> None:
    rng = np.random.default_rng(8)
    kernel = rng.standard_normal((4, 6, 3))
    order = rng.permutation(6)
    solved = np.empty_like(kernel)
    solved[:, order] = kernel[[2, 0, 3, 1]]
    assert matching_channel_order(kernel, solved) == order.tolist()
    assert matching_channel_order(kernel, rng.standard_normal((4, 6, 3))) is None
