"""Where an output differs is told as narrowly as it can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import compute_reference
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from convdiff.verdict.localize import differing_region


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ((0, 1, 2, 3), "in one element, N 0, C 1, H 2, W 3"),
        ((1,), "in batch item 1 only"),
        ((slice(None), 2), "in output channel 2 only"),
        ((slice(None), slice(None), 5), "in H index 5 only"),
        ((slice(None), slice(None), 0), "in H index 0 only"),
        ((..., slice(8, None)), "from W index 8 on"),
        ((..., [0, -1]), "in W indices 0 and 9 only"),
        ((...,), "everywhere"),
    ],
)
def test_the_narrowest_place_is_told(wrong: Any, told: str) -> None:
    assert placed(wrong) == told


def test_a_border_is_told_where_no_line_is_narrower() -> None:
    rows, columns = np.ones((9, 10), bool), np.zeros((9, 10), bool)
    rows[1:-1, 1:-1] = False
    assert placed((slice(None), slice(None), rows)) == "at the border only"
    rows[1, 1:-1] = True
    assert placed((slice(None), slice(None), rows)) == "within 2 of the border only"
    columns[::2, ::2] = True
    assert placed((slice(None), slice(None), columns)) == "in W indices 0, 2, 4, 6 and 8 only"


def placed(wrong: Any) -> str:
    rng = np.random.default_rng(0)
    x, w = (
        rng.standard_normal((2, 3, 9, 10)).astype(np.float32),
        rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
    )
    spec, _ = read_spec(
        x.shape, w.shape, Settings.from_mapping({"padding": 1}), bias=False, dtype="float32"
    )
    expected = compute_reference(spec, x, w)
    obtained = expected.output.copy()
    obtained[wrong] += 1
    return differing_region(spec, obtained, expected, Rounding("float32", "float64", spec.terms))
