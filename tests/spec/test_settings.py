"""Options as they are given: their types, the numbers per axis, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from convdiff.errors import ConvdiffError
from convdiff.spec.settings import Settings
from tests.spec.conftest import read

INPUT, KERNEL = (1, 4, 8, 8), (4, 4, 3, 3)

NOT_WHOLE = [
    "1.5",
    "1_0",
    b"2",
    True,
    [np.float32(1.5), 1],
    [np.float32("inf"), 1],
    Fraction(3, 2),
    Decimal(2),
    [None],
    "",
    "9e9",
]


@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
@pytest.mark.parametrize("option", ["stride", "padding", "groups"])
def test_only_whole_numbers_are_accepted(option: str, value: object) -> None:
    with pytest.raises(ConvdiffError, match=rf"^--{option}\b.*expected .*whole number"):
        read(INPUT, KERNEL, **{option: value})


@pytest.mark.parametrize(
    "value",
    [1, "1", " +1 ", "1,1", [1, "1"], np.int8(1), np.array([1, 1]), np.array(1), (np.uint8(1), 1)],
    ids=repr,
)
def test_whole_numbers_of_any_type_are_accepted(value: object) -> None:
    spec = read(INPUT, KERNEL, stride=value, padding=value)
    assert (spec.stride, spec.padding) == ((1, 1), ((1, 1), (1, 1)))


def test_a_number_per_axis_needs_as_many_as_there_are_axes() -> None:
    with pytest.raises(ConvdiffError, match="--stride: found 3 values, expected 1 or 2"):
        read(INPUT, KERNEL, stride="2,2,2")


@pytest.mark.parametrize(
    "option", ["stride", "dilation", "input_dilation", "padding", "output_padding", "groups"]
)
def test_a_number_beyond_32_bits_is_refused(option: str) -> None:
    message = f"^--{option.replace('_', '-')}: .*expected less than 2147483648"
    for value in (10**20, str(10**20), 10**5000, "9" * 5000):
        # --groups takes no text.
        if option != "groups" or not isinstance(value, str):
            with pytest.raises(ConvdiffError, match=message):
                read((1, 1, 4, 4), (1, 1, 1, 1), **{option: value})


def test_groups_are_a_plain_int() -> None:
    """Channels are counted with it, which would wrap around in numpy's int8."""
    assert type(read(INPUT, (4, 2, 3, 3), groups=np.int8(2)).groups) is int
    with pytest.raises(ConvdiffError, match=r"^--groups: found array"):
        read(INPUT, (4, 2, 3, 3), groups=np.array([2, 2]))
    with pytest.raises(ConvdiffError, match=r"^--groups: found 0, expected a whole number"):
        read(INPUT, KERNEL, groups=0)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        *(
            (f"{role}_layout", f"--{role}-layout '': found the spatial axes none")
            for role in ("input", "kernel", "output")
        ),
        ("pad_mode", "--pad-mode: found '', expected one of constant"),
    ],
)
def test_an_empty_word_is_refused(option: str, message: str) -> None:
    with pytest.raises(ConvdiffError, match=message):
        read(INPUT, KERNEL, **{option: ""})


def test_the_framework_is_one_that_is_known() -> None:
    with pytest.raises(ConvdiffError, match=r"--as: .*did you mean torch"):
        read(INPUT, KERNEL, **{"as": "pytorch"})


def test_an_error_names_the_option_as_it_was_given() -> None:
    with pytest.raises(ConvdiffError, match=r"^--as: found 3, expected a word"):
        Settings.from_mapping({"as": 3})
    with pytest.raises(ConvdiffError, match=r"^option: found 'strides'.*did you mean stride"):
        Settings.from_mapping({"strides": 2})
