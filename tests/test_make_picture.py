"""Pictures are of what is there: maps, shares, histogram and kernels against differences that were
planted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convdiff import api
from convdiff.make_picture import CELLS, pictured
from convdiff.numerics.reference import truth
from convdiff.picture import NONE, Picture
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from convdiff.verdict.judge import Judge


def picture(x: Any, w: Any, y: Any, **options: Any) -> Picture | None:
    result = api.diff(x, w, y, **options)
    return pictured(result.row, Judge(result.case), kernels=True).picture


def made(x: Any, w: Any, **options: Any) -> Any:
    spec, _ = read_spec(x.shape, w.shape, Settings(**options), bias=False, dtype="float32")
    return truth(spec, x, w).output.astype(np.float32)


@pytest.fixture
def arrays() -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    return random.standard_normal((2, 3, 20, 30)).astype(np.float32), random.standard_normal(
        (5, 3, 3, 3)
    ).astype(np.float32)


def test_what_differs_is_where_it_was_planted(arrays: tuple[Any, Any]) -> None:
    x, w = arrays
    y = made(x, w, padding=1)
    y[1, 3, 4:7, 10:15] += 5
    found = picture(x, w, y, padding=1)
    assert found is not None
    assert (found.axes, found.size) == (("H", "W"), (20, 30))
    assert {
        (i, j) for i, line in enumerate(found.levels) for j, level in enumerate(line) if level > 0
    } == {(i, j) for i in range(4, 7) for j in range(10, 15)}
    assert [bool(share) for share in found.channels] == [False, False, False, True, False]
    assert found.channels[3] == pytest.approx(15 / (2 * 20 * 30))
    assert sum(count for _, count in found.histogram) + found.exact == y.size
    assert sum(count for edge, count in found.histogram if edge > found.bound) == 15
    assert 3 in [one.channel for one in found.maps]


def test_agreeing_outputs_and_other_shapes_have_none(arrays: tuple[Any, Any]) -> None:
    x, w = arrays
    assert picture(x, w, made(x, w, padding=1), padding=1) is None
    assert picture(x, w, made(x, w), padding=1) is None


def test_nan_is_the_worst_and_alone(arrays: tuple[Any, Any]) -> None:
    x, w = arrays
    y = made(x, w)
    y[0, 0, 2, 3] = np.nan
    found = picture(x, w, y)
    assert found is not None
    assert found.levels[2][3] > 9
    assert sum(level > 0 for line in found.levels for level in line) == 1


@pytest.mark.parametrize(("transposed", "flip"), [(False, False), (False, True), (True, False)])
def test_kernels_lie_as_the_user_has_them(
    transposed: bool, flip: bool, arrays: tuple[Any, Any]
) -> None:
    x, w = arrays
    options: dict[str, Any] = {"padding": 1, "transposed": transposed, "flip": flip}
    w = np.ascontiguousarray(w.swapaxes(0, 1)) if transposed else w
    found = picture(x, w, made(x, w[:, :, ::-1, ::-1], **options), **options)
    assert found is not None
    pair = found.kernels[1]
    own = w[0, 1] if transposed else w[1, 0]
    np.testing.assert_allclose(pair.asked, own, rtol=1e-3, atol=1e-3)
    assert pair.obtained is not None
    np.testing.assert_allclose(pair.obtained, own[::-1, ::-1], rtol=2e-3, atol=2e-3)


def test_a_kernel_that_cannot_be_told_is_not_made_up(arrays: tuple[Any, Any]) -> None:
    x, w = arrays
    noise = np.random.default_rng(2).standard_normal((2, 5, 20, 30)).astype(np.float32)
    found = picture(x, w, noise, padding=1)
    assert found is not None
    assert [pair.obtained for pair in found.kernels] == [None] * 4


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [((2, 3, 400), (4, 3, 3)), ((1, 2, 5, 70, 90), (3, 2, 3, 3, 3)), ((1, 1, 1, 5), (1, 1, 1, 3))],
)
def test_other_ranks_and_sizes_fit_their_grids(
    shape: tuple[int, ...], kernel: tuple[int, ...]
) -> None:
    random = np.random.default_rng(3)
    x, w = (
        random.standard_normal(shape).astype(np.float32),
        random.standard_normal(kernel).astype(np.float32),
    )
    found = picture(x, w, made(x, w) + np.float32(9))
    assert found is not None
    assert len(found.levels) <= CELLS[0]
    assert len({len(line) for line in found.levels}) == 1
    assert len(found.levels[0]) <= CELLS[1]
    assert all(level > NONE for line in found.levels for level in line)
