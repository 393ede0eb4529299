"""The region that differs is named as narrowly as possible."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from convdiff.api import diff
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import compute_reference
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from convdiff.verdict.localize import differing_region, held_instead
from tests.diagnose.naive import Array

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 9, 10)).astype(np.float32)
W = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
SPEC, _ = read_spec(
    X.shape, W.shape, Settings.from_mapping({"padding": 1}), bias=False, dtype="float32"
)
REFERENCE = compute_reference(SPEC, X, W)


def region(obtained: Array) -> str:
    return differing_region(SPEC, obtained, REFERENCE, Rounding("float32", "float64", SPEC.terms))


def region_of_errors_at(index: Any) -> str:
    obtained = REFERENCE.output.copy()
    obtained[index] += 1
    return region(obtained)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ((0, 1, 2, 3), "in one element, N 0, C 1, H 2, W 3"),
        ((1,), "in batch item 1 only"),
        ((slice(None), 2), "in output channel 2 only"),
        ((slice(None), [0, 2]), "in output channels 0 and 2 only"),
        ((slice(None), slice(None), 5), "in H index 5 only"),
        ((slice(None), slice(None), 0), "in H index 0 only"),
        ((..., slice(8, None)), "from W index 8 on"),
        ((..., [0, -1]), "in W indices 0 and 9 only"),
        ((..., [0, 1, 2, 4, 5, 7, 8]), "in 7 of 10 W indices only"),
        ((..., slice(1, 9)), "in W indices 1 to 8 only"),
        ((...,), "everywhere"),
    ],
)
def test_the_narrowest_region_is_named(index: Any, expected: str) -> None:
    assert region_of_errors_at(index) == expected


def test_a_border_is_named_where_no_line_is_narrower() -> None:
    border, checkered = np.ones((9, 10), bool), np.zeros((9, 10), bool)
    border[1:-1, 1:-1] = False
    assert region_of_errors_at((slice(None), slice(None), border)) == "at the border only"
    border[1, 1:-1] = True
    assert region_of_errors_at((slice(None), slice(None), border)) == "within 2 of the border only"
    checkered[::2, ::2] = True
    assert (
        region_of_errors_at((slice(None), slice(None), checkered))
        == "in W indices 0, 2, 4, 6 and 8 only"
    )


def test_scattered_errors_are_counted() -> None:
    scattered = np.zeros(REFERENCE.output.shape, bool)
    scattered.flat[::3] = True
    assert region_of_errors_at(scattered) == "in 33% of the elements, over the whole output"
    few = np.zeros(REFERENCE.output.shape, bool)
    few[
        [0, 0, 1, 1, 0, 1, 0], [0, 1, 2, 3, 0, 1, 2], [0, 1, 3, 4, 5, 6, 8], [1, 2, 3, 4, 5, 7, 9]
    ] = True
    assert region_of_errors_at(few) == "in less than 1% of the elements, over the whole output"
    most = np.ones(REFERENCE.output.shape, bool)
    most[0, 0, 0, 0] = False
    assert region_of_errors_at(most) == "almost everywhere"
    most[0, 0, :, :2] = False
    assert region_of_errors_at(most) == "in 98% of the elements, over the whole output"


def test_outputs_without_numbers_or_errors() -> None:
    assert region(np.full_like(REFERENCE.output, np.nan)) == "everywhere: all of it is NaN"
    assert region(np.zeros_like(REFERENCE.output)) == "everywhere: all of it is zero"
    assert region(REFERENCE.output) == "nowhere beyond rounding"


@pytest.mark.parametrize(
    ("index", "value", "expected"),
    [
        ((0, 1, 2, 3), np.nan, "in one element, N 0, C 1, H 2, W 3: it is NaN"),
        ((slice(None), 2), np.nan, "in output channel 2 only: all of these are NaN"),
        ((1,), -np.inf, "in batch item 1 only: all of these are infinite"),
    ],
)
def test_values_that_are_no_numbers_are_placed(index: Any, value: float, expected: str) -> None:
    obtained = REFERENCE.output.copy()
    obtained[index] = value
    assert region(obtained) == expected


def test_finite_values_where_none_is_expected() -> None:
    x = X.copy()
    x[0, 0, 4, 4] = np.nan
    reference = compute_reference(SPEC, x, W)
    rounding = Rounding("float32", "float64", SPEC.terms)
    words = differing_region(SPEC, REFERENCE.output.copy(), reference, rounding)
    assert words == "in batch item 0 only: the reference is not finite there"


def test_values_that_are_no_numbers_are_counted_among_others() -> None:
    obtained = REFERENCE.output.copy()
    obtained[:, 2] += 1
    obtained[0, 2, :2, 0] = np.nan
    obtained[1, 2, 3, 4] = np.inf
    expected = "in output channel 2 only: of these 180 elements 2 NaN and 1 infinite"
    assert region(obtained) == expected


def held(obtained: Array) -> str:
    return held_instead(SPEC, obtained, REFERENCE, Rounding("float32", "float64", SPEC.terms))


def test_what_a_few_wrong_elements_hold() -> None:
    right = REFERENCE.output
    changed = [
        ((0, 1, 2, 3), 0.0, "it holds 0"),
        ((0, 1, 2), 7.0, "they all hold 7"),
        ((0, 1, 2), -right[0, 1, 2], "they hold the right value times -1"),
        ((0, 1, 2), right[0, 1, 3], "they hold what is right 1 later along H"),
        ((0, 1), right[0, 3], "they hold what is right 2 later along C"),
        ((1, 2, 4, 4), right[1, 2, 4, 3], "it holds what is right 1 earlier along W"),
        ((0, 1, 2), np.arange(10.0), ""),
        ((0, 1, 2), np.nan, ""),
    ]
    for places, values, words in changed:
        obtained = right.copy()
        obtained[places] = values
        assert held(obtained) == words
    assert held(right) == held(right + 1) == ""


def test_the_message_says_what_a_wrong_element_holds() -> None:
    obtained = REFERENCE.output.astype(np.float32)
    obtained[0, 1, 2, 3] = 0
    message = diff(X, W, obtained, padding=1).row.message
    assert message is not None
    assert message.startswith("it differs in one element, N 0, C 1, H 2, W 3; it holds 0; ")


def test_the_seams_of_tiles_are_named() -> None:
    x, w = RNG.standard_normal((32, 48)), np.ones((3, 3))
    obtained = np.zeros((32, 48))
    for top, left in itertools.product(range(0, 32, 16), range(0, 48, 16)):
        tile = np.pad(x[top : top + 16, left : left + 16], 1)
        obtained[top : top + 16, left : left + 16] = sum(
            tile[i : i + 16, j : j + 16] for i, j in itertools.product(range(3), range(3))
        )
    assert diff(x, w, obtained, padding=1).row.where == (
        "in H indices 15 and 16 and W indices 15, 16, 31 and 32 only, the seams of tiles of 16"
    )


def test_what_a_transform_leaves_on_black_is_no_region() -> None:
    x, w = np.zeros((40, 40)), np.ones((3, 3))
    x[15:25, 12:30] = RNG.random((10, 18))
    noise = 1e-16 * RNG.standard_normal((40, 40))
    padded = np.pad(x, 1)
    sums = sum(padded[i : i + 40, j : j + 40] for i in range(3) for j in range(3))
    obtained = np.roll(sums, (1, 1), (0, 1)) + noise
    result = diff(x, w, obtained, padding=1)
    assert result.row.where is not None
    assert "H indices 14 to 26 only" in result.row.where


def test_an_element_is_named_by_the_axes_of_the_output() -> None:
    x, w = RNG.standard_normal(60), RNG.standard_normal(5)
    obtained = np.correlate(x, w, "valid")
    obtained[46] += 1
    assert diff(x, w, obtained).row.where == "in one element, W 46"


@pytest.mark.parametrize(("rate", "factor"), [(0.5, 2.0), (0.1, 1 / 0.9)])
def test_dropout_is_read_off(rate: float, factor: float) -> None:
    kept = np.random.default_rng(3).random(REFERENCE.output.shape) >= rate
    obtained = np.where(kept, REFERENCE.output * factor, 0).astype(np.float32)
    message = diff(X, W, obtained, padding=1).row.message or ""
    assert f"of the elements are 0, and the others are right times {factor:.4g}, as by" in message
    noise = np.where(kept, obtained + 0.01 * RNG.standard_normal(kept.shape), 0)
    message = diff(X, W, noise.astype(np.float32), padding=1).row.message or ""
    assert "dropout" not in message
    assert "nearest miss" not in message
