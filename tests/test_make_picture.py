"""Pictures show what was planted: maps, shares, histogram and kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convdiff import api
from convdiff.make_picture import MAP_CELLS, with_picture
from convdiff.numerics.reference import compute_reference
from convdiff.picture import NO_ERROR, Picture
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from convdiff.verdict.judge import Judge


def picture(x: Any, w: Any, y: Any, **options: Any) -> Picture | None:
    result = api.diff(x, w, y, **options)
    return with_picture(result.row, Judge(result.case), kernels=True).picture


def convolve(x: Any, w: Any, **options: Any) -> Any:
    spec, _ = read_spec(x.shape, w.shape, Settings(**options), bias=False, dtype="float32")
    return compute_reference(spec, x, w).output.astype(np.float32)


@pytest.fixture
def arrays() -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    return random.standard_normal((2, 3, 20, 30)).astype(np.float32), random.standard_normal(
        (5, 3, 3, 3)
    ).astype(np.float32)


def test_errors_are_shown_where_they_were_planted(arrays: tuple[Any, Any]) -> None:
    x, w = arrays
    y = convolve(x, w, padding=1)
    y[1, 3, 4:7, 10:15] += 5
    shown = picture(x, w, y, padding=1)
    assert shown is not None
    assert (shown.axes, shown.size) == (("H", "W"), (20, 30))
    assert {
        (i, j) for i, line in enumerate(shown.levels) for j, level in enumerate(line) if level > 0
    } == {(i, j) for i in range(4, 7) for j in range(10, 15)}
    assert [bool(share) for share in shown.channels] == [False, False, False, True, False]
    assert shown.channels[3] == pytest.approx(15 / (2 * 20 * 30))
    assert sum(count for _, count in shown.histogram) + shown.exact == y.size
    assert sum(count for edge, count in shown.histogram if edge > shown.bound) == 15
    assert 3 in [channel_map.channel for channel_map in shown.maps]


def test_agreeing_outputs_and_outputs_of_another_shape_have_no_picture(
    arrays: tuple[Any, Any],
) -> None:
    x, w = arrays
    assert picture(x, w, convolve(x, w, padding=1), padding=1) is None
    assert picture(x, w, convolve(x, w), padding=1) is None


def test_nan_has_the_highest_level_in_its_cell_only(arrays: tuple[Any, Any]) -> None:
    x, w = arrays
    y = convolve(x, w)
    y[0, 0, 2, 3] = np.nan
    shown = picture(x, w, y)
    assert shown is not None
    assert shown.levels[2][3] > 9
    assert sum(level > 0 for line in shown.levels for level in line) == 1


@pytest.mark.parametrize(("transposed", "flip"), [(False, False), (False, True), (True, False)])
def test_kernels_are_shown_in_the_orientation_of_the_users_array(
    transposed: bool, flip: bool, arrays: tuple[Any, Any]
) -> None:
    x, w = arrays
    options: dict[str, Any] = {"padding": 1, "transposed": transposed, "flip": flip}
    w = np.ascontiguousarray(w.swapaxes(0, 1)) if transposed else w
    shown = picture(x, w, convolve(x, w[:, :, ::-1, ::-1], **options), **options)
    assert shown is not None
    pair = shown.kernels[1]
    plane = w[0, 1] if transposed else w[1, 0]
    np.testing.assert_allclose(pair.asked, plane, rtol=1e-3, atol=1e-3)
    assert pair.obtained is not None
    np.testing.assert_allclose(pair.obtained, plane[::-1, ::-1], rtol=2e-3, atol=2e-3)


def test_a_kernel_that_the_output_does_not_determine_is_left_out(arrays: tuple[Any, Any]) -> None:
    x, w = arrays
    noise = np.random.default_rng(2).standard_normal((2, 5, 20, 30)).astype(np.float32)
    shown = picture(x, w, noise, padding=1)
    assert shown is not None
    assert [pair.obtained for pair in shown.kernels] == [None] * 4


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [((2, 3, 400), (4, 3, 3)), ((1, 2, 5, 70, 90), (3, 2, 3, 3, 3)), ((1, 1, 1, 5), (1, 1, 1, 3))],
)
def test_every_rank_and_size_fits_the_grid(shape: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    random = np.random.default_rng(3)
    x, w = (
        random.standard_normal(shape).astype(np.float32),
        random.standard_normal(kernel).astype(np.float32),
    )
    shown = picture(x, w, convolve(x, w) + np.float32(9))
    assert shown is not None
    assert len(shown.levels) <= MAP_CELLS[0]
    assert len({len(line) for line in shown.levels}) == 1
    assert len(shown.levels[0]) <= MAP_CELLS[1]
    assert all(level > NO_ERROR for line in shown.levels for level in line)
