"""Edits are split among the stages without gaps, and added to a stage in one order only."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.forms import InputForm
from convdiff.diagnose.hypotheses.input import INPUT
from convdiff.diagnose.search.edit_shares import canonical_extensions, split_edits


def test_one_edit_is_one_stage_s() -> None:
    assert sorted(split_edits(1, stacked=False, operation_edits=0)) == [
        (0, 0, 1),
        (0, 1, 0),
        (1, 0, 0),
    ]


@pytest.mark.parametrize("edits", [0, 1, 2, 3])
@pytest.mark.parametrize("operation_edits", [0, 1])
def test_common_and_crowded_splits_are_all_splits(edits: int, operation_edits: int) -> None:
    common, stacked = (
        set(split_edits(edits, stacked, operation_edits)) for stacked in (False, True)
    )
    assert not common & stacked
    allowed = {
        split
        for split in itertools.product(range(edits + 1), repeat=3)
        if sum(split) == edits and split[2] <= 2 and split[0] <= (2 if edits == 2 else 1)
    }
    assert common | stacked == allowed
    assert all(inputs > 1 or kernel - operation_edits > 1 for inputs, kernel, _ in stacked)


def test_no_set_of_edits_arises_in_two_orders() -> None:
    base = InputForm(array=ArrayView.of(np.ones((2, 3, 4))))
    last = base.plus({"code": INPUT[2].code}, 0.0)
    extended = [hypothesis for hypothesis, _ in canonical_extensions(INPUT, [last])]
    assert extended == list(INPUT[2:])
    assert [hypothesis for hypothesis, _ in canonical_extensions(INPUT, [base])] == list(INPUT)
