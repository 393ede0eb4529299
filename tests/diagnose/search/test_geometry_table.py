"""Tables of geometries: each fits the sizes and has the number of edits that was asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from convdiff.diagnose.search.geometry_table import (
    TRIED_PAD_MODES,
    AskedGeometry,
    GeometryTable,
    enumerate_geometries,
)
from convdiff.numerics.reference import correlate

Size = tuple[int, int]
PROBLEMS = list(
    itertools.product(
        [(7, 6), (9, 9)], [(3, 3), (4, 1)], [(4, 3), (7, 7)], [False, True], [0, 1, 2]
    )
)


def geometries(
    input_size: Size, kernel_size: Size, output_size: Size, transposed: bool, edits: int
) -> GeometryTable:
    asked = AskedGeometry(transposed, (2, 1), (1, 1), ((1, 0), (1, 1)), (0, 0), "constant")
    return enumerate_geometries(asked, input_size, kernel_size, output_size, (1, 1), edits)


@pytest.mark.parametrize(
    ("input_size", "kernel_size", "output_size", "transposed", "edits"), PROBLEMS
)
def test_every_geometry_gives_the_output_size_and_has_its_edits(
    input_size: Size, kernel_size: Size, output_size: Size, transposed: bool, edits: int
) -> None:
    rng = np.random.default_rng(15)
    table = geometries(input_size, kernel_size, output_size, transposed, edits)
    x, w = np.ones((1, 1, *input_size)), np.ones((1, 1, *kernel_size))
    forms = set()
    for number in rng.permutation(len(table))[:40]:
        form = table.form(int(number))
        assert len(form.edits) == edits
        geometry = form.correlation()
        for axis in range(2):
            dilated = (input_size[axis] - 1) * geometry.input_dilation[axis] + 1
            padded = dilated + sum(geometry.padding[axis])
            span = (kernel_size[axis] - 1) * geometry.dilation[axis] + 1
            # As many windows fit as were asked for, and no more.
            assert (padded - span) // geometry.stride[axis] + 1 == output_size[axis]
        if form.mode == "constant":
            output = correlate(x, w, geometry, 1, output_size, absolute=False)
            assert output.shape == (1, 1, *output_size)
        forms.add(repr((form.edits, form.axes)))
    assert len(forms) == min(len(table), 40)


@pytest.mark.parametrize("edits", [0, 1, 2])
def test_windows_by_row_are_those_at_the_same_positions(edits: int) -> None:
    rng = np.random.default_rng(28)
    input_size, kernel_size, output_size = (9, 9), (3, 3), (5, 8) if edits else (4, 9)
    table = geometries(input_size, kernel_size, output_size, False, edits)
    positions = [(3, 0), (output_size[0] - 1, 2)]
    everything = table.windows_at(positions, kernel_size, input_size)
    numbers = rng.integers(len(table), size=20)
    at = rng.integers(len(positions), size=20)
    rows = table.windows_by_row(numbers, np.array(positions)[at], kernel_size, input_size)
    np.testing.assert_array_equal(rows.inside, everything.inside[at, numbers])
    for axis in range(2):
        full = np.broadcast_to(everything.indices[axis], everything.inside.shape)
        np.testing.assert_array_equal(
            np.broadcast_to(rows.indices[axis], rows.inside.shape), full[at, numbers]
        )


def test_chunks_are_the_table() -> None:
    table = geometries((7, 6), (3, 3), (4, 3), False, 2)
    chunks = table.chunks(100)
    assert max(map(len, chunks)) <= 100
    np.testing.assert_array_equal(
        np.concatenate([chunk.choices for chunk in chunks]), table.choices
    )


def test_another_pad_mode_than_one_per_axis() -> None:
    """One mode for all, or two; or the asked ones with one changed, or in another order."""
    asked = ("edge", "reflect", "wrap")
    rank = len(asked)
    numbers = AskedGeometry(
        False, (1,) * rank, (1,) * rank, ((1, 1),) * rank, (0,) * rank, asked, None
    )
    sizes = (4,) * rank, (3,) * rank, (4,) * rank
    table = enumerate_geometries(numbers, *sizes, (1,) * rank, 1)
    modes = [
        tuple(TRIED_PAD_MODES[number] for number in row)
        for row, choice in zip(table.pad_modes.tolist(), table.choices, strict=True)
    ]
    changed = [each for each in modes if each != asked]
    assert len(set(changed)) == len(changed)
    assert {("wrap",) * 3, ("wrap", "reflect", "edge"), ("edge", "constant", "wrap")} <= {*changed}
    edits = table.form(modes.index(("wrap",) * 3)).edits
    assert edits == ({"code": "wrong-pad-mode", "asked": list(asked), "obtained": "wrap"},)


def test_a_changed_pad_mode_fills_some_padding() -> None:
    table = geometries((7, 6), (3, 3), (3, 6), False, 1)
    changed = table.select((table.pad_modes != TRIED_PAD_MODES.index("constant")).any(axis=1))
    # Each axis has any of the modes; zeros along both is what was asked.
    assert len(changed) == len(TRIED_PAD_MODES) ** 2 - 1
