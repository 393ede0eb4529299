"""What is said where no known mistakes explain an output."""

from __future__ import annotations

import pytest

from convdiff.diagnose.explain.wording import nothing_explains, percent


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (1.0, "100%"),
        (0.997, "more than 99%"),
        (0.99, "99%"),
        (0.424, "42%"),
        (0.004, "less than 1%"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, expected: str) -> None:
    assert percent(share) == expected


def test_the_nearest_miss_is_not_said_to_give_all() -> None:
    edits = ({"code": "kernel-flipped", "axes": ["H", "W"]},)
    assert nothing_explains((edits, 0.9991), 0.0).endswith(
        "the nearest miss, the kernel was flipped along H and W, gives more than 99% of them"
    )
