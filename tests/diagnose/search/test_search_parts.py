"""The parts of the search on their own: geometries make the size they are for, products are the
convolution, matches miss nothing.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack
from convdiff.diagnose.core.forms import InputForm, KernelForm, OperationForm
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.search.geometry_table import PAD_MODES, AskedGeometry, enumerate_geometries
from convdiff.diagnose.search.intervals import BUCKETS, MIN_BUCKETED_VALUES, Intervals
from convdiff.diagnose.search.products import (
    KernelRows,
    ProductRequest,
    _multiply_by_position,
    _multiply_by_window,
)
from convdiff.diagnose.search.windows import SamplePoint, row_norms
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import correlate

RNG = np.random.default_rng(1)
PLAIN = PrecisionModel(Rounding("float32", "float32", 27))
NUMBERS = list(
    itertools.product(
        [(7, 6), (9, 9)], [(3, 3), (4, 1)], [(4, 3), (7, 7)], [False, True], [0, 1, 2]
    )
)


def made(n: tuple[int, ...], k: tuple[int, ...], m: tuple[int, ...], transposed: bool, edits: int):
    asked = AskedGeometry(transposed, (2, 1), (1, 1), ((1, 0), (1, 1)), (0, 0), "constant")
    return enumerate_geometries(asked, n, k, m, (1, 1), edits)


@pytest.mark.parametrize(("n", "k", "m", "transposed", "edits"), NUMBERS)
def test_every_geometry_makes_the_size_and_has_its_edits(
    n, k, m, transposed: bool, edits: int
) -> None:
    found = made(n, k, m, transposed, edits)
    x, w = np.ones((1, 1, *n)), np.ones((1, 1, *k))
    seen = set()
    for number in RNG.permutation(len(found))[:40]:
        form = found.form(int(number))
        assert len(form.edits) == edits
        g = form.correlation()
        for axis in range(2):
            # As many windows fit as were asked for: the last begins inside, and one more would not.
            dilated = (n[axis] - 1) * g.input_dilation[axis] + 1 + sum(g.padding[axis])
            assert (dilated - (k[axis] - 1) * g.dilation[axis] - 1) // g.stride[axis] + 1 == m[axis]
        if form.mode == "constant":
            assert correlate(x, w, g, 1, m, absolute=False).shape == (1, 1, *m)
        key = repr((form.edits, form.axes))
        assert key not in seen
        seen.add(key)


@pytest.mark.parametrize("edits", [0, 1, 2])
def test_both_ways_to_multiply_are_the_convolution(edits: int) -> None:
    n, k, m = (9, 9), (3, 3), (5, 8)
    m = m if edits else (4, 9)
    found = made(n, k, m, False, edits)
    inputs = [RNG.standard_normal((2, 3, *n)).astype(np.float32) for _ in range(2)]
    kernels = [RNG.standard_normal((4, 3, *k)).astype(np.float32) for _ in range(3)]
    point = SamplePoint(1, 2, (3, 0))
    rows = np.stack([kernel[2].reshape(-1) for kernel in kernels]).astype(np.float64)
    points = [point, SamplePoint(0, 2, (m[0] - 1, 2))]
    look = ProductRequest(
        points,
        slice(0, 3),
        found.windows_at([each.position for each in points], k, n),
        KernelRows(rows, row_norms(rows), np.abs(rows).max(axis=1)),
    )
    bundle = ArrayViewStack([ArrayView.of(x) for x in inputs])
    direct, by_place = (way(bundle, look) for way in (_multiply_by_window, _multiply_by_position))
    np.testing.assert_allclose(direct.values, by_place.values.swapaxes(1, 2), atol=1e-9)
    np.testing.assert_allclose(direct.window_norms, by_place.window_norms.swapaxes(1, 2), atol=1e-9)
    for number in RNG.permutation(len(found))[:20].tolist():
        form = found.form(number)
        for i, j in itertools.product(range(2), range(3)):
            whole = correlate(inputs[i], kernels[j], form.correlation(), 1, m, absolute=False)
            for at, (item, channel, place) in enumerate(points):
                np.testing.assert_allclose(
                    direct.values[at, i, number, j],
                    whole[(item, channel, *place)],
                    rtol=1e-5,
                    atol=1e-5,
                )
    flat = RNG.permutation(direct.combinations)[:30]
    for product in (direct, by_place):
        form_number, geometry, kernel = product.unravel(flat)
        expected = direct.values[:, form_number, geometry, kernel]
        np.testing.assert_allclose(product.values.reshape(2, -1)[:, flat], expected, atol=1e-9)


@pytest.mark.parametrize("count", [MIN_BUCKETED_VALUES // 4, 4 * MIN_BUCKETED_VALUES])
def test_a_match_finds_what_lies_in_an_interval_and_no_more(count: int) -> None:
    values = RNG.standard_normal(count) * 10
    low = np.append(values[:: count // 20] - 1e-6, [np.inf, 9.0])
    high = np.append(values[:: count // 20] + 1e-6, [-np.inf, np.inf])
    forms = np.arange(len(low))
    rows, found = Intervals(low, high, forms).matches(values, np.float64(1e-6))
    pairs = set(zip(rows.tolist(), found.tolist(), strict=True))
    expected = {
        (i, j)
        for j in range(len(low))
        for i in np.flatnonzero((values + 1e-6 >= low[j]) & (values - 1e-6 <= high[j])).tolist()
    }
    assert expected <= pairs
    # What comes besides is near: each is looked at again with its own slack.
    assert all(low[j] - 1e-5 <= values[i] <= high[j] + 1e-5 for i, j in pairs)
    assert BUCKETS & (BUCKETS - 1) == 0
    assert len(PAD_MODES) == 5


def test_a_kernel_form_tells_its_own_edits_from_its_operation_s() -> None:
    operation = OperationForm(edits=({"code": "wrong-groups"},), cost=1.0)
    form = KernelForm(operation.edits, 1.0, ArrayView.of(np.ones((1, 1, 1))), operation)
    assert form.own_edits == ()
    assert form.plus({"code": "kernel-flipped"}, 0.0).own_edits == ({"code": "kernel-flipped"},)
    assert InputForm(array=ArrayView.of(np.ones((1, 2, 3)))).size == (3,)
