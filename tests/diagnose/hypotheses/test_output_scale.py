"""Hypotheses about factors: the names of common ones."""

from __future__ import annotations

import pytest

from tests.diagnose.findings import conv, normal, summary

X, W = normal(2, 3, 8, 9), normal(4, 3, 3, 3)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (255, "the inputs divided by 255 on one side only"),
        (1 / 255, "the inputs divided by 255 on one side only"),
        (1 / 9, "9 is the number of the kernel's taps: an average instead of a sum"),
        (1 / 27, "27 is the number of products in a sum: an average instead of a sum"),
        (1 / 2, "2 is the batch size: an average instead of a sum"),
        (2, "2 is the batch size: a sum instead of an average"),
    ],
)
def test_a_common_factor_is_named(factor: float, words: str) -> None:
    assert f"({words})" in summary(X, W, factor * conv(X, W, 1), padding=1)


def test_another_factor_has_no_name() -> None:
    assert summary(X, W, 0.7 * conv(X, W, 1), padding=1) == "everything was multiplied by 0.7"
