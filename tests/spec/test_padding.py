"""Padding as words, numbers and nested lists; whole numbers of every type, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.errors import ConvdiffError
from convdiff.spec.padding import parse_padding, same_total, whole_number, word_pair


@pytest.mark.parametrize(
    ("value", "padding"),
    [
        (" Same ", "same"),
        (1, ((1, 1), (1, 1))),
        ("1,2", ((1, 1), (2, 2))),
        ([1, 2], ((1, 1), (2, 2))),
        ("0:1", ((0, 1), (0, 1))),
        ("0:1,2:-1", ((0, 1), (2, -1))),
        ([[0, 1], [2, -1]], ((0, 1), (2, -1))),
        (np.array([[0, 1], [2, -1]]), ((0, 1), (2, -1))),
    ],
)
def test_padding_is_a_word_or_a_pair_per_axis(value: object, padding: object) -> None:
    assert parse_padding(value, 2) == padding


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("sam", "did you mean same"),
        ("1,1,1", "found 3 axes, expected 1 or 2"),
        (1.5, "whole numbers"),
        ([[0, 1, 2]], "whole numbers"),
        (b"2", "whole numbers"),
        ("", "--padding '': expected a word"),
    ],
)
def test_other_paddings_are_refused(value: object, message: str) -> None:
    with pytest.raises(ConvdiffError, match=r"^--padding") as caught:
        parse_padding(value, 2)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [7, " +07 ", np.int8(7), np.array(7), np.uint64(7)], ids=repr)
def test_a_whole_number_of_any_type(value: object) -> None:
    assert type(whole_number(value)) is int
    assert whole_number(value) == 7


@pytest.mark.parametrize("value", ["1.5", "1_0", "", True, 1.0, None, b"2"], ids=repr)
def test_anything_else_is_no_whole_number(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        whole_number(value)


@pytest.mark.parametrize("value", [2**31, -(2**31), "9" * 5000], ids=["2^31", "-2^31", "9..."])
def test_a_number_beyond_32_bits_is_too_large(value: object) -> None:
    with pytest.raises(OverflowError, match="expected less than 2147483648"):
        whole_number(value)


@pytest.mark.parametrize(
    ("word", "size", "span", "stride", "pair"),
    [
        ("valid", 8, 3, 1, (0, 0)),
        ("same", 8, 3, 2, (0, 1)),
        ("same_lower", 8, 3, 2, (1, 0)),
        ("same", 8, 1, 3, (0, 0)),
        ("half", 8, 4, 1, (2, 2)),
        ("full", 8, 4, 1, (3, 3)),
        ("causal", 8, 4, 1, (3, 0)),
    ],
)
def test_the_pair_of_a_word(
    word: str, size: int, span: int, stride: int, pair: tuple[int, int]
) -> None:
    assert word_pair(word, size, span, stride) == pair


def test_same_gives_one_output_position_per_stride() -> None:
    for size in range(1, 12):
        for span in range(1, 6):
            for stride in range(1, 4):
                padded = size + same_total(size, span, stride)
                assert max(padded - span, 0) // stride + 1 == -(-size // stride)
