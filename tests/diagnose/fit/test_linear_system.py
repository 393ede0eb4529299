"""The rows of the design matrix times the weights are the output."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.fit.linear_system import design_matrix, element_indices, ungrouped_kernel
from convdiff.diagnose.search.engine import Search
from tests.diagnose.naive import Geometry, convolve
from tests.diagnose.problems import problem_of


@pytest.mark.parametrize("groups", [1, 2])
def test_rows_times_weights_are_output_elements(groups: int) -> None:
    rng = np.random.default_rng(89)
    x, w = rng.standard_normal((2, 4, 7, 6)), rng.standard_normal((6, 4 // groups, 3, 3))
    geometry = Geometry((2, 1), ((1, 0), (1, 1)), (1, 1), groups)
    output = convolve(x, w, geometry)
    problem = problem_of(x, w, output, stride=[2, 1], padding=[[1, 0], [1, 1]], groups=groups)
    table = Search(problem).asked_geometry()
    assert table is not None
    chosen = rng.permutation(output.shape[0] * output[0, 0].size)[:10]
    rows = design_matrix(problem, table, chosen, output.shape)
    weights = ungrouped_kernel(w, groups, 4).reshape(6, -1)
    for channel in range(6):
        expected = output[tuple(element_indices(chosen, output.shape, channel))]
        np.testing.assert_allclose(rows @ weights[channel], expected)


def test_an_ungrouped_kernel_is_zero_outside_of_each_group() -> None:
    ungrouped = ungrouped_kernel(np.ones((4, 2, 3)), 2, 4)
    expected = np.kron(np.eye(2), np.ones((2, 2)))
    np.testing.assert_array_equal(ungrouped, np.repeat(expected[:, :, None], 3, axis=2))
