"""What is said to tell a finding from its rivals is not there already."""

from __future__ import annotations

import pytest

from convdiff.diagnose.explain.disambiguate import suggestions
from tests.specs import conv

FIRST = ({"code": "kernel-flipped", "axes": ["H", "W"]},)
RIVAL = ({"code": "wrong-transposed", "asked": False, "obtained": True},)


@pytest.mark.parametrize(("stride", "said"), [(1, True), (2, False)])
def test_a_stride_is_not_asked_for_that_is_there(stride: int, said: bool) -> None:
    told = suggestions(FIRST, [RIVAL], conv(n=8, k=3, c=2, o=2, stride=stride))
    assert any("a stride of 2 or more" in note for note in told) == said


def test_limits_against_an_activation_get_advice() -> None:
    relu6 = ({"code": "activation-applied", "obtained": "relu6"},)
    clipped = ({"code": "clipped", "limits": [0, 6]},)
    (note,) = suggestions(relu6, [clipped], conv(n=8, k=3, c=2, o=2))
    assert "values well inside the limits, and some beyond both" in note
