"""The order of the input's channels, fitted to the values of a convolution."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.fit.channel_order import (
    fit_channel_order,
    identical_channels,
    settle_identical_channels,
    whiten_positions,
)


@pytest.mark.parametrize(
    ("channels", "outputs", "positions", "taps"),
    [
        (5, 5, 10, 3),
        (6, 3, 12, 9),
        (8, 8, 24, 9),
        (12, 12, 30, 9),
        (64, 64, 49, 9),
    ],
)
@pytest.mark.parametrize("after", ["nothing", "relu", "constants", "counts"])
@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_the_order_is_found(
    channels: int, outputs: int, positions: int, taps: int, after: str, mean: float
) -> None:
    rng = np.random.default_rng(channels + positions)
    order = rng.permutation(channels)
    windows = rng.standard_normal((positions, channels, taps)) + mean
    weights = rng.standard_normal((outputs, channels, taps))
    values = np.einsum("oct,pct->op", weights, windows[:, order])
    clipped = None
    if after == "counts":
        values *= rng.integers(1, 4, positions)
    else:
        values *= 0.5
    if after == "relu":
        values = np.maximum(values, 0)
        clipped = np.where(values > 0, 0, -1)
    if after == "constants":
        values += rng.standard_normal((outputs, 1))
    fit = fit_channel_order(windows, weights, values, clipped, counted=after == "counts")
    assert fit is not None
    assert fit[0] == order.tolist()
    assert fit[1] < 1e-9


@pytest.mark.parametrize("channels", [6, 20])
def test_noise_has_no_order(channels: int) -> None:
    rng = np.random.default_rng(1)
    windows = rng.standard_normal((40, channels, 9))
    weights = rng.standard_normal((channels, channels, 9))
    assert fit_channel_order(windows, weights, rng.standard_normal((channels, 40))) is None


def test_whitened_positions_have_equal_energies_in_all_directions() -> None:
    rng = np.random.default_rng(2)
    # Nearly the same at all positions.
    windows = rng.standard_normal((1, 8, 9)) + 0.01 * rng.standard_normal((20, 8, 9))
    whitened = whiten_positions(windows, 0.0)
    np.testing.assert_allclose(
        whitened.windows.reshape(20, -1), whitened.transform @ windows.reshape(20, -1)
    )
    singular = np.linalg.svd(windows.reshape(20, -1), compute_uv=False)
    singular_whitened = np.linalg.svd(whitened.windows.reshape(20, -1), compute_uv=False)
    assert singular[0] / singular[-1] > 100
    assert singular_whitened[0] / singular_whitened[-1] < 2


def test_identical_channels_stay_in_place() -> None:
    x = np.array([[5, 0, 7, 0, 0, 5]]).T
    identical = identical_channels(x, axis=0)
    assert identical == [0, 1, 2, 1, 1, 0]
    order = [3, 5, 4, 2, 1, 0]
    settled = settle_identical_channels(order, identical)
    np.testing.assert_array_equal(x[settled], x[order])
    assert sorted(settled) == list(range(6))
    assert settled[4] == 4
