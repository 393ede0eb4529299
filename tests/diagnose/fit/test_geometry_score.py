"""The output alone scores the right geometry highest, whatever the kernel and the channel order."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.fit.geometry_score import InputSimilarity, comparison_points
from convdiff.diagnose.search.geometry_table import AskedGeometry, enumerate_geometries
from tests.diagnose.naive import Geometry, convolve


@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
@pytest.mark.parametrize("lo", [0, 1, 2])
def test_the_right_padding_scores_highest(stride: tuple[int, int], lo: int) -> None:
    rng = np.random.default_rng(60)
    x, w = rng.standard_normal((1, 16, 9, 9)), rng.standard_normal((16, 16, 3, 3))
    order = rng.permutation(16)
    output = convolve(x[:, order], w[::-1], Geometry(stride, ((lo, 2 - lo), (1, 1)), (1, 1)))
    asked = AskedGeometry(False, stride, (1, 1), ((1, 1), (1, 1)), (0, 0), "constant")
    points = comparison_points(output.shape, 81)
    scores = []
    for edits in (0, 1):
        table = enumerate_geometries(asked, (9, 9), (3, 3), output.shape[2:], (1, 1), edits)
        if not len(table):
            continue
        similarity = InputSimilarity(ArrayView.of(x), points, table, (3, 3))
        alignment = similarity.alignment(ArrayView.of(output))
        assert (np.abs(alignment) <= 1 + 1e-6).all()
        scores += [
            (float(score), table.form(number).axes[0].lo) for number, score in enumerate(alignment)
        ]
    assert max(scores)[1] == lo


def test_geometries_with_the_same_windows_have_the_same_label() -> None:
    rng = np.random.default_rng(6)
    # With a single output position a stride changes nothing.
    asked = AskedGeometry(False, (1,), (1,), ((0, 0),), (0,), "constant")
    table = enumerate_geometries(asked, (3,), (3,), (1,), (1,), 1)
    points = comparison_points((2, 4, 1), 6)
    similarity = InputSimilarity(ArrayView.of(rng.standard_normal((2, 2, 3))), points, table, (3,))
    forms = [table.form(number) for number in range(len(table))]
    strided = [n for n, form in enumerate(forms) if form.edits[0]["code"] == "wrong-stride"]
    labels = similarity.window_labels
    assert len(strided) > 1
    assert len(set(labels[strided].tolist())) == 1
    assert len(set(labels.tolist())) > 1


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 8, 40, 40), (4, 1, 3, 3, 3)])
def test_compared_positions_are_distinct_and_inside(shape: tuple[int, ...]) -> None:
    items, _, *space = shape
    for input_positions in (100, 10_000):
        points = comparison_points(shape, input_positions)
        assert len(set(points)) == len(points)
        for point in points:
            assert point.item < items
            assert all(p < n for p, n in zip(point.position, space, strict=True))
