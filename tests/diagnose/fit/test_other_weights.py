"""Other weights are solved for, and their difference is put in one sentence."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from convdiff.diagnose.explain.wording import other_weights
from convdiff.diagnose.fit.other_weights import kernel_difference, solve_weights
from convdiff.diagnose.search.engine import Search
from tests.diagnose.naive import Array, Geometry, convolve
from tests.diagnose.problems import problem_of

RNG = np.random.default_rng(8)
X, W = RNG.standard_normal((4, 3, 9, 9)), RNG.standard_normal((5, 3, 3, 3))
BIAS = RNG.standard_normal(5)
GEOMETRY = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))
START = "it is a convolution of this geometry, but with other weights"


def solved(kernel: Array) -> tuple[Array | None, str | None]:
    """The weights that are solved for where `kernel` was used for W, and their description."""
    obtained = convolve(X, kernel, GEOMETRY) + BIAS.reshape(1, -1, 1, 1)
    problem = problem_of(X, W, obtained.astype(np.float32), BIAS.astype(np.float32), padding=1)
    weights = solve_weights(Search(problem))
    difference = None if weights is None else kernel_difference(problem, weights)
    values = None if weights is None else weights.values
    return values, None if difference is None else other_weights(difference, problem.spec)


def test_the_weights_that_were_used_are_found() -> None:
    rng = np.random.default_rng(82)
    kernel = rng.standard_normal(W.shape)
    weights, text = solved(kernel)
    assert weights is not None
    np.testing.assert_allclose(weights, kernel, atol=1e-4)
    assert text is not None
    assert text.startswith(f"{START} than yours (all 135 differ); from input channel 0 to ")
    shown = re.search(r"they are (\[\[.*?\]\]) instead of (\[\[.*?\]\])$", text)
    assert shown is not None
    for values, array in zip(shown.groups(), (kernel, W), strict=True):
        np.testing.assert_allclose(json.loads(values), array[0, 0], rtol=1e-3)


def test_the_given_weights_do_not_differ() -> None:
    weights, text = solved(W)
    assert weights is not None
    assert text is None


def test_a_single_wrong_weight_is_named() -> None:
    kernel = W.copy()
    kernel[4, 1, 0, 2] = 2
    text = solved(kernel)[1]
    assert text is not None
    assert f"[4, 1, 0, 2] is 2 instead of {W[4, 1, 0, 2]:.4g} (" in text


@pytest.mark.parametrize(("axis", "name"), [(0, "output"), (1, "input")])
def test_a_wrong_channel_is_named(axis: int, name: str) -> None:
    rng = np.random.default_rng(36)
    scaled, other = W.copy(), W.copy()
    np.moveaxis(scaled, axis, 0)[2] *= 3
    np.moveaxis(other, axis, 0)[2] += rng.standard_normal(np.take(W, 2, axis).shape)
    assert solved(scaled)[1] == f"{START}: yours, with {name} channel 2 multiplied by 3"
    text = solved(other)[1]
    assert text is not None
    assert text.startswith(f"{START}: yours, except in {name} channel 2; from input channel ")


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (np.round(W, 2), "yours, rounded to 2 decimals"),
        (np.rint(W * 128) / 128, "yours, rounded to multiples of 1/128"),
        (np.rint(W), "yours, rounded to whole numbers"),
        (np.trunc(W), "yours, cut to whole numbers (as by a cast to int)"),
        (np.floor(W), "yours, rounded down to whole numbers"),
        (np.abs(W), "yours, without their signs"),
        (np.clip(W, -1, 0.5), "yours, limited to -1 .. 0.5"),
        (np.full_like(W, 1 / 9), "all of them are 0.1111"),
        (W * np.array([1, 0, 1]).reshape(3, 1), "yours, with zeros at H index 1"),
        (W * np.array([1, 1, 0]).reshape(3, 1, 1), "yours, with zeros at I index 2"),
    ],
)
def test_a_tidy_kernel_is_named(kernel: Array, words: str) -> None:
    assert solved(kernel)[1] == f"{START}: {words}"


def test_a_kernel_that_is_nearly_tidy_is_not_named() -> None:
    rng = np.random.default_rng(3)
    text = solved(np.round(W, 1) + 1e-3 * rng.standard_normal(W.shape))[1]
    assert text is not None
    assert "rounded" not in text


def test_noise_has_no_weights() -> None:
    rng = np.random.default_rng(51)
    problem = problem_of(X, W, rng.standard_normal((4, 5, 9, 9)), padding=1)
    assert solve_weights(Search(problem)) is None
    # Nor has an output with fewer positions than there are weights.
    few = problem_of(X[:1, :, :4, :4], W, np.zeros((1, 5, 2, 2)))
    assert solve_weights(Search(few)) is None


def test_weights_are_claimed_only_if_they_give_every_element() -> None:
    obtained = convolve(X, -W, GEOMETRY)
    for wrong in ((0, 0, 0, 0), (3, 4, 8, 8), (2, 1, 4, 4)):
        almost = obtained.astype(np.float32)
        almost[wrong] += 1
        problem = problem_of(X, W, almost, padding=1)
        assert solve_weights(Search(problem)) is None
    assert (
        solve_weights(Search(problem_of(X, W, obtained.astype(np.float32), padding=1))) is not None
    )


def test_small_changes_and_zeros_are_told() -> None:
    rng = np.random.default_rng(9)
    text = solved(W + 1e-3 * np.sign(rng.standard_normal(W.shape)))[1]
    assert text is not None
    assert "(all 135 differ, by up to 0.001)" in text
    smallest = np.abs(W) <= np.sort(np.abs(W).ravel())[39]
    assert solved(np.where(smallest, 0, W))[1] == f"{START}: yours, except that 40 of 135 are 0"
    mask = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 0]])
    assert solved(W * mask)[1] == (
        f"{START}: yours, except that 60 of 135 are 0, every filter's where this mask is 0: "
        "[[1, 1, 1], [1, 1, 0], [0, 0, 0]]"
    )


def test_a_weight_is_named_by_the_axes_of_the_kernel() -> None:
    board = np.random.default_rng(2).integers(0, 2, (16, 16)).astype(np.float64)
    kernel = np.ones((3, 3))
    seven = kernel.copy()
    seven[2, 2] = 0
    obtained = convolve(board[None, None], seven[None, None], GEOMETRY)[0, 0]
    problem = problem_of(board, kernel, obtained, padding=1)
    weights = solve_weights(Search(problem))
    assert weights is not None
    difference = kernel_difference(problem, weights)
    assert difference is not None
    assert other_weights(difference, problem.spec) == (
        f"{START}: yours, except that [2, 2] is 0 instead of 1 (H, W)"
    )


def test_where_the_input_hides_weights_the_number_is_a_lower_bound() -> None:
    rng = np.random.default_rng(6)
    ramp = np.add.outer(np.arange(24), np.arange(24)) + 1e-3 * rng.standard_normal((24, 24))
    given = rng.standard_normal((3, 3))
    kernel = given + 1e-4
    kernel[:2, :2] += 0.05
    x = ramp[None, None].astype(np.float32)
    obtained = convolve(x, kernel[None, None], Geometry((1, 1), ((0, 0), (0, 0)), (1, 1)))
    problem = problem_of(x, given[None, None].astype(np.float32), obtained.astype(np.float32))
    weights = solve_weights(Search(problem))
    assert weights is not None
    difference = kernel_difference(problem, weights)
    assert difference is not None
    assert "(at least 4 of 9 differ" in other_weights(difference, problem.spec)
