"""Hypotheses about the bias."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from tests.diagnose.findings import conv, finding, first_edits, normal


@pytest.mark.parametrize(("times", "code"), [(0, "bias-missing"), (2, "bias-doubled")])
def test_the_asked_bias_is_not_reported_as_another_one(times: int, code: str) -> None:
    x, w, bias = normal(2, 3, 8, 9), normal(4, 3, 3, 3), normal(4)
    obtained = conv(x, w, 1) + times * bias.reshape(1, -1, 1, 1)
    first = finding(x, w, obtained, bias=bias, padding=1)
    assert [edit["code"] for edit in first.edits] == [code]
    assert first.rivals == first.notes == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
@pytest.mark.parametrize("all_channels", [False, True])
def test_a_bias_that_is_not_finite_may_be_missing(value: float, all_channels: bool) -> None:
    """The search must go on where nothing can be compared, and must not explain noise."""
    x, w = normal(2, 3, 6, 7), normal(4, 3, 3, 3)
    bias = np.full(4, value) if all_channels else np.array([0.5, value, 1.0, -1.0])
    result = convdiff.diff(x, w, normal(2, 4, 4, 5), bias=bias)
    assert (result.verdict, result.findings) == ("different", ())
    edits = first_edits(x, w, conv(x, w), bias=bias)
    assert [edit["code"] for edit in edits] == ["bias-missing"]
