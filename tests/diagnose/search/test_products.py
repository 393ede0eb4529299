"""Both ways to compute products give the convolution's values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack
from convdiff.diagnose.search.geometry_table import AskedGeometry, enumerate_geometries
from convdiff.diagnose.search.products import (
    KernelRows,
    ProductRequest,
    _multiply_by_position,
    _multiply_by_window,
    multiply,
)
from convdiff.diagnose.search.windows import SamplePoint, row_norms
from convdiff.numerics.reference import correlate

ASKED = AskedGeometry(False, (2, 1), (1, 1), ((1, 0), (1, 1)), (0, 0), "constant")


@pytest.mark.parametrize("edits", [0, 1, 2])
@pytest.mark.parametrize("pad_value", [None, (2.5, -1.0, 0.0)])
def test_both_ways_to_multiply_give_the_convolution(
    edits: int, pad_value: tuple[float, ...] | None
) -> None:
    rng = np.random.default_rng(37)
    input_size, kernel_size, output_size = (9, 9), (3, 3), (5, 8) if edits else (4, 9)
    asked = ASKED._replace(pad_value=pad_value)
    table = enumerate_geometries(asked, input_size, kernel_size, output_size, (1, 1), edits)
    inputs = [rng.standard_normal((2, 3, *input_size)).astype(np.float32) for _ in range(2)]
    kernels = [rng.standard_normal((4, 3, *kernel_size)).astype(np.float32) for _ in range(3)]
    points = [SamplePoint(1, 2, (3, 0)), SamplePoint(0, 2, (output_size[0] - 1, 2))]
    rows = np.stack([kernel[2].reshape(-1) for kernel in kernels]).astype(np.float64)
    request = ProductRequest(
        points,
        slice(0, 3),
        table.windows_at([point.position for point in points], kernel_size, input_size),
        KernelRows(rows, row_norms(rows), np.abs(rows).max(axis=1)),
    )
    stack = ArrayViewStack([ArrayView.of(x) for x in inputs])
    by_window, by_position = (
        way(stack, request) for way in (_multiply_by_window, _multiply_by_position)
    )
    np.testing.assert_allclose(by_window.values, by_position.values.swapaxes(1, 2), atol=1e-9)
    np.testing.assert_allclose(
        by_window.window_norms, by_position.window_norms.swapaxes(1, 2), atol=1e-9
    )
    for number in rng.permutation(len(table))[:20].tolist():
        correlation = table.form(number).correlation()
        for i, j in itertools.product(range(2), range(3)):
            output = correlate(inputs[i], kernels[j], correlation, 1, output_size, absolute=False)
            for at, (item, channel, position) in enumerate(points):
                np.testing.assert_allclose(
                    by_window.values[at, i, number, j],
                    output[(item, channel, *position)],
                    rtol=1e-5,
                    atol=1e-5,
                )
    flat = rng.permutation(by_window.combinations)[:30]
    for products in (by_window, by_position, multiply(stack, request)):
        input_number, geometry, kernel = products.unravel(flat)
        np.testing.assert_allclose(
            products.values.reshape(2, -1)[:, flat],
            by_window.values[:, input_number, geometry, kernel],
            atol=1e-9,
        )
        np.testing.assert_allclose(
            products.norms_of(input_number, geometry),
            by_window.window_norms[:, input_number, geometry],
            atol=1e-9,
        )
