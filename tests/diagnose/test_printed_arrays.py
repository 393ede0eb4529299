"""Arrays that were copied from a printout, as in a report: each of them was rounded."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from tests.diagnose.findings import conv, normal
from tests.diagnose.naive import Array

PRINTED = "reduced-precision"


def arrays(size: int) -> tuple[Array, Array, Array]:
    channels = 1 if size < 6 else 3
    return normal(1, channels, size, size), normal(4, channels, 3, 3) / 3, normal(4)


def printed(*shown: Array, decimals: int) -> list[Array]:
    return [np.round(array.astype(np.float64), decimals) for array in shown]


@pytest.mark.parametrize("size", [5, 9])
@pytest.mark.parametrize("decimals", [3, 4])
def test_what_is_right_but_for_its_decimals_has_reduced_precision(size: int, decimals: int) -> None:
    x, w, bias = arrays(size)
    y = conv(x, w) + bias[:, None, None]
    x, w, bias, y = printed(x, w, bias, y, decimals=decimals)
    result = convdiff.diff(x, w, y, bias=bias)
    assert result.verdict == PRINTED
    (edit,) = result.findings[0].edits
    assert edit == {"code": PRINTED, "obtained": f"{decimals} decimals", "where": "inputs"}


FAULTS = {
    "kernel-flipped": lambda x, w, bias: conv(x, w[:, :, ::-1, ::-1]) + bias,
    "bias-missing": lambda x, w, bias: conv(x, w),
    "activation-applied": lambda x, w, bias: np.maximum(conv(x, w) + bias, 0),
    "wrong-pad-mode": lambda x, w, bias: conv(x, w, 1, pad_mode="reflect") + bias,
}


@pytest.mark.parametrize("code", FAULTS)
@pytest.mark.parametrize("size", [5, 9])
def test_a_fault_is_found_in_printed_arrays(size: int, code: str) -> None:
    x, w, bias = arrays(size)
    y = FAULTS[code](x, w, bias[:, None, None])
    x, w, bias, y = printed(x, w, bias, y, decimals=4)
    padding = int(y.shape[2] == size)
    result = convdiff.diff(x, w, y, bias=bias, padding=padding)
    assert sorted(edit["code"] for edit in result.findings[0].edits) == sorted([code, PRINTED])


@pytest.mark.parametrize("seed", range(4))
def test_other_weights_and_small_errors_are_not_explained_by_decimals(seed: int) -> None:
    x, w, _ = arrays(9)
    wrong = conv(x, w)
    wrong[0, 2, 3, 4] += 0.05
    outputs = (conv(x, normal(*w.shape, seed=seed + 1) / 3), normal(1, 4, 7, 7, seed=seed), wrong)
    for obtained in outputs:
        shown = printed(x, w, obtained, decimals=4)
        assert convdiff.diff(*shown).verdict == "different"
        assert not convdiff.diff(*shown).findings


def test_arrays_of_few_decimals_by_nature_are_exact() -> None:
    x = np.random.default_rng(0).integers(0, 5, (1, 1, 9, 9)) / 4
    w = np.outer([1, 2, 1], [1, 2, 1])[None, None] / 16
    y = conv(x, w).astype(np.float64)
    assert convdiff.diff(x, w, y).verdict in ("identical", "rounding")
    y[0, 0, 3, 4] += 0.02
    assert convdiff.diff(x, w, np.round(y, 4)).verdict == "different"
