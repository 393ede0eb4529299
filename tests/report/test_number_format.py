"""Numbers as short text."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.report import number_format


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (2.38e-7, "2.38e-07"),
        (2.4e-7, "2.4e-07"),
        (1e-6, "1e-06"),
        (0.0123, "0.0123"),
        (3.1, "3.1"),
        (9.9999, "10"),
        (99.96, "100"),
        (950, "950"),
        (999.9, "1,000"),
        (43210, "43,200"),
        (999499, "999,000"),
        (999999, "1e+06"),
        (1.34e6, "1.34e+06"),
        (-12.34, "-12.3"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (-float("inf"), "-inf"),
        (np.float32(0.1), "0.1"),
    ],
)
def test_short(value: float, text: str) -> None:
    assert number_format.short(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0"),
        (0, 0, "0"),
        (1, 1000, "<1%"),
        (1, 8, "12%"),
        (999, 1000, ">99%"),
        (10, 10, "all"),
    ],
)
def test_share(part: int, whole: int, text: str) -> None:
    assert number_format.share(part, whole) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00001, "1 ms"),
        (0.0031, "3 ms"),
        (0.1, "0.1 s"),
        (1.44, "1.4 s"),
        (9.97, "10 s"),
        (60, "1 min"),
        (64.2, "1 min 4 s"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert number_format.duration(seconds) == text
