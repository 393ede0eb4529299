"""The arrays that are suggested to tell a finding from its rivals."""

from __future__ import annotations

import pytest

from convdiff.diagnose.explain.disambiguate import suggestions
from tests.specs import conv

FINDING = ({"code": "kernel-flipped", "axes": ["H", "W"]},)
RIVAL = ({"code": "wrong-transposed", "asked": False, "obtained": True},)


@pytest.mark.parametrize(("stride", "suggested"), [(1, True), (2, False)])
def test_a_stride_is_suggested_unless_there_was_one(stride: int, suggested: bool) -> None:
    notes = suggestions(FINDING, [RIVAL], conv(n=8, k=3, c=2, o=2, stride=stride))
    assert any("a stride of 2 or more" in note for note in notes) == suggested


def test_values_beyond_both_limits_tell_clipping_from_an_activation() -> None:
    relu6 = ({"code": "activation-applied", "obtained": "relu6"},)
    clipped = ({"code": "clipped", "limits": [0, 6]},)
    (note,) = suggestions(relu6, [clipped], conv(n=8, k=3, c=2, o=2))
    assert "values well inside the limits, and some beyond both" in note


def test_a_rival_that_is_the_same_under_another_name_needs_no_arrays() -> None:
    kernel = ({"code": "kernel-channels-reversed", "axis": "I"},)
    inputs = ({"code": "input-channels-reversed"},)
    (note,) = suggestions(inputs, [kernel], conv(n=8, k=3, c=2, o=2))
    assert note.endswith("either name is right")


def test_there_is_no_note_without_rivals() -> None:
    assert suggestions(FINDING, [], conv(n=8, k=3, c=2, o=2)) == ()
