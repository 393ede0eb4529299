"""A pad value is read from what people write, and written as they do."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.errors import ConvdiffError
from convdiff.spec.pad_value import PadValue, pad_value_text, parse_pad_value, values_of_channels


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, 0),
        (5, 5),
        (5.0, 5),
        ("-0.5", -0.5),
        ("1,2.5,-3", (1, 2.5, -3)),
        (" 1, 2 ", (1, 2)),
        ([1, 2.5], (1, 2.5)),
        ((0.1, 0.1), 0.1),
        (np.array([3, 4], np.uint8), (3, 4)),
        (np.float32(0.25), 0.25),
        ("1e-3", 0.001),
    ],
)
def test_a_number_or_one_per_channel(given: object, expected: PadValue) -> None:
    assert parse_pad_value(given) == expected


@pytest.mark.parametrize("given", ["", "a", "1;2", [], [[1]], True, b"1", {"a": 1}])
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(ConvdiffError, match=r"^--pad-value: found .*, expected a number"):
        parse_pad_value(given)


@pytest.mark.parametrize("given", ["nan", float("inf"), [1, float("-inf")]])
def test_the_numbers_are_finite(given: object) -> None:
    with pytest.raises(ConvdiffError, match="expected a finite number"):
        parse_pad_value(given)


@pytest.mark.parametrize("value", [5, -0.5, (1, 2.5, -3), 1e-30, 3.4e38])
def test_the_text_is_read_as_the_same_numbers(value: PadValue) -> None:
    assert parse_pad_value(pad_value_text(value)) == value


def test_each_channel_has_its_number() -> None:
    assert values_of_channels(5, 3) == (5, 5, 5)
    assert values_of_channels((1, 2), 2) == (1, 2)
    assert values_of_channels((1, 2), 3) == (0, 0, 0)
