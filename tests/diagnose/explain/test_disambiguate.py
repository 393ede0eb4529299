"""What is said to tell a finding from its rivals is not there already."""

from __future__ import annotations

import pytest

from convdiff.diagnose.explain.disambiguate import separating
from tests.specs import conv

FIRST = ({"code": "kernel-flipped", "axes": ["H", "W"]},)
RIVAL = ({"code": "wrong-transposed", "asked": False, "obtained": True},)


@pytest.mark.parametrize(("stride", "said"), [(1, True), (2, False)])
def test_a_stride_is_not_asked_for_that_is_there(stride: int, said: bool) -> None:
    told = separating(FIRST, [RIVAL], conv(n=8, k=3, c=2, o=2, stride=stride))
    assert any("a stride of 2 or more" in note for note in told) == said
