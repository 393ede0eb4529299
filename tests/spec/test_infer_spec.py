"""What shapes and options are read as: layouts inferred, words turned into numbers, and what is
refused.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from convdiff.errors import ConvdiffError
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings

Shape = tuple[int, ...]


def spec(x: Shape, w: Shape, **options: Any) -> ConvSpec:
    return read_spec(x, w, Settings.from_mapping(options), bias=False, dtype="float32")[0]


LAYOUTS: list[tuple[Shape, Shape, dict[str, Any], tuple[str, str, str]]] = [
    ((1, 3, 8, 8), (5, 3, 3, 3), {}, ("NCHW", "OIHW", "NCHW")),
    ((1, 8, 8, 3), (3, 3, 3, 5), {}, ("NHWC", "HWIO", "NHWC")),
    ((2, 3, 9), (4, 3, 2), {}, ("NCW", "OIW", "NCW")),
    ((2, 9, 3), (2, 3, 4), {}, ("NWC", "WIO", "NWC")),
    ((1, 2, 5, 6, 7), (3, 2, 2, 2, 2), {}, ("NCDHW", "OIDHW", "NCDHW")),
    ((10,), (3,), {}, ("W", "W", "W")),
    ((7, 8), (3, 3), {}, ("HW", "HW", "HW")),
    ((9, 10, 11), (3, 3, 3), {}, ("DHW", "DHW", "DHW")),
    ((3, 8, 8), (5, 3, 3, 3), {}, ("CHW", "OIHW", "CHW")),
    ((8, 8, 3), (3, 3, 3, 5), {}, ("HWC", "HWIO", "HWC")),
    # Neither framework pair fits, one mixed pair does.
    ((1, 3, 9, 8), (2, 2, 3, 5), {}, ("NCHW", "HWIO", "NCHW")),
    ((1, 4, 8, 8), (4, 6, 3, 3), {"transposed": True}, ("NCHW", "IOHW", "NCHW")),
    ((1, 8, 8, 4), (3, 3, 6, 4), {"transposed": True}, ("NHWC", "HWOI", "NHWC")),
    ((1, 8, 8, 4), (3, 3, 4, 2), {"as": "tensorflow", "depthwise": True}, ("NHWC", "HWIM", "NHWC")),
    ((1, 4, 4, 4), (4, 4, 4, 4), {"as": "torch"}, ("NCHW", "OIHW", "NCHW")),
    ((1, 4, 4, 4), (4, 4, 4, 4), {"as": "keras"}, ("NHWC", "HWIO", "NHWC")),
    ((1, 4, 4, 4), (4, 4, 4, 4), {"as": "jax", "transposed": True}, ("NHWC", "HWIO", "NHWC")),
    ((1, 4, 4, 4), (4, 4, 4, 4), {"input_layout": "NHWC"}, ("NHWC", "HWIO", "NHWC")),
    ((7, 8), (5, 3, 3), {"input_layout": "HW", "kernel_layout": "OHW"}, ("HW", "OHW", "CHW")),
]


@pytest.mark.parametrize(("x", "w", "options", "layouts"), LAYOUTS)
def test_layouts(
    x: Shape, w: Shape, options: dict[str, Any], layouts: tuple[str, str, str]
) -> None:
    made = spec(x, w, **options)
    assert (made.input_layout, made.kernel_layout, made.output_layout) == layouts


REFUSED: list[tuple[Shape, Shape, dict[str, Any], str]] = [
    ((1, 4, 4, 4), (4, 4, 4, 4), {}, "--input-layout NHWC --kernel-layout HWIO"),
    ((1, 4, 8, 8), (4, 3, 3, 3), {}, "no layout fits"),
    ((1, 4, 8, 8), (4, 2, 3, 3), {}, "--groups 2 would fit"),
    ((1, 4, 8, 8), (4, 4, 3), {}, "make no convolution"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"groups": 3}, "no layout fits"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"groups": 0}, "--groups"),
    ((1, 4, 8, 8), (4, 4, 9, 9), {}, "empty along H"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"padding": "sam"}, "did you mean same"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"padding": "1,1,1"}, "found 3 axes"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"padding": 1.5}, "whole numbers"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"stride": "2,2,2"}, "found 3 values"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"stride": 0}, "at least 1"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"stride": "two"}, "whole numbers"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"pad_mode": "zero"}, "constant"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"input_layout": "CHW"}, "names 3 axes"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"input_layout": "NCHX"}, "'X'"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"as": "pytorch"}, "did you mean torch"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"output_size": 5}, "--transposed"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"output_padding": 1}, "--transposed"),
    (
        (1, 4, 8, 8),
        (4, 4, 3, 3),
        {"transposed": True, "padding": "same", "stride": 2, "output_size": 30},
        "gives 15",
    ),
]


@pytest.mark.parametrize(("x", "w", "options", "words"), REFUSED)
def test_refused(x: Shape, w: Shape, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConvdiffError) as caught:
        spec(x, w, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# Numbers that the frameworks give for the same words.
PADDINGS: list[tuple[dict[str, Any], tuple[tuple[int, int], ...], Shape, tuple[int, ...]]] = [
    ({"padding": "same"}, ((1, 1), (1, 1)), (8, 8), (0, 0)),
    ({"padding": "same", "stride": 2}, ((0, 1), (0, 1)), (4, 4), (0, 0)),
    ({"padding": "same_lower", "stride": 2}, ((1, 0), (1, 0)), (4, 4), (0, 0)),
    ({"padding": "same", "dilation": 2}, ((2, 2), (2, 2)), (8, 8), (0, 0)),
    ({"padding": "half"}, ((1, 1), (1, 1)), (8, 8), (0, 0)),
    ({"padding": "full"}, ((2, 2), (2, 2)), (10, 10), (0, 0)),
    ({"padding": "causal"}, ((2, 0), (2, 0)), (8, 8), (0, 0)),
    ({"padding": "0:1,2:-1"}, ((0, 1), (2, -1)), (7, 7), (0, 0)),
    ({"padding": 2}, ((2, 2), (2, 2)), (10, 10), (0, 0)),
    ({"padding": "valid", "input_dilation": 2}, ((0, 0), (0, 0)), (13, 13), (0, 0)),
    ({"transposed": True, "padding": "same", "stride": 2}, ((0, 1), (0, 1)), (16, 16), (0, 0)),
    ({"transposed": True, "padding": "same", "stride": 4}, ((0, 0), (0, 0)), (32, 32), (1, 1)),
    ({"transposed": True, "padding": "valid", "stride": 4}, ((0, 0), (0, 0)), (32, 32), (1, 1)),
    ({"transposed": True, "padding": "valid", "stride": 2}, ((0, 0), (0, 0)), (17, 17), (0, 0)),
    (
        {"transposed": True, "padding": 1, "stride": 2, "output_padding": 1},
        ((1, 1), (1, 1)),
        (16, 16),
        (1, 1),
    ),
    (
        {"transposed": True, "padding": "same", "stride": 2, "output_size": 15},
        ((1, 1), (1, 1)),
        (15, 15),
        (0, 0),
    ),
    (
        {"transposed": True, "padding": "valid", "stride": 2, "output_size": 18},
        ((0, 0), (0, 0)),
        (18, 18),
        (1, 1),
    ),
    (
        {"transposed": True, "padding": 1, "stride": 2, "output_size": 16},
        ((1, 1), (1, 1)),
        (16, 16),
        (1, 1),
    ),
]


@pytest.mark.parametrize(("options", "pads", "size", "extra"), PADDINGS)
def test_padding_words(
    options: dict[str, Any], pads: tuple[tuple[int, int], ...], size: Shape, extra: Shape
) -> None:
    made = spec((1, 4, 8, 8), (4, 4, 3, 3), **options)
    assert (made.padding, made.output_size, made.output_padding) == (pads, size, extra)


@pytest.mark.parametrize(
    ("framework", "transposed", "flip"),
    [
        ("torch", False, False),
        ("theano", False, True),
        ("scipy", False, True),
        ("jax", True, True),
        ("jax", False, False),
        ("tensorflow", True, False),
    ],
)
def test_who_flips(framework: str, transposed: bool, flip: bool) -> None:
    kernel = (3, 3, 4, 4) if transposed or framework == "tensorflow" else (4, 4, 3, 3)
    shapes = ((9,), (3,)) if framework == "scipy" else ((1, 4, 4, 4), kernel)
    assert spec(*shapes, **{"as": framework, "transposed": transposed}).flip is flip
    assert (
        spec(*shapes, **{"as": framework, "transposed": transposed, "flip": not flip}).flip
        is not flip
    )


def test_numpy_pads_fully_unless_told() -> None:
    assert spec((10,), (3,), **{"as": "numpy"}).output_size == (12,)
    assert spec((10,), (3,), **{"as": "numpy", "padding": "valid"}).output_size == (8,)
    assert spec((10,), (3,)).output_size == (8,)


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
def test_what_is_no_whole_number_is_refused(option: str, value: object) -> None:
    with pytest.raises(ConvdiffError, match=rf"^--{option}\b.*expected .*whole number"):
        spec((1, 4, 8, 8), (4, 4, 3, 3), **{option: value})


@pytest.mark.parametrize(
    "value",
    [1, "1", " +1 ", "1,1", [1, "1"], np.int8(1), np.array([1, 1]), np.array(1), (np.uint8(1), 1)],
    ids=repr,
)
def test_whole_numbers_of_any_kind(value: object) -> None:
    made = spec((1, 4, 8, 8), (4, 4, 3, 3), stride=value, padding=value)
    assert (made.stride, made.padding) == ((1, 1), ((1, 1), (1, 1)))


def test_groups_are_a_plain_number() -> None:
    """int8's would wrap around where channels are counted with it."""
    assert type(spec((1, 4, 8, 8), (4, 2, 3, 3), groups=np.int8(2)).groups) is int
    with pytest.raises(ConvdiffError, match=r"^--groups: found array"):
        spec((1, 4, 8, 8), (4, 2, 3, 3), groups=np.array([2, 2]))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        *(
            (f"{role}_layout", f"--{role}-layout '': found the spatial axes none")
            for role in ("input", "kernel", "output")
        ),
        ("pad_mode", "--pad-mode: found '', expected one of constant"),
    ],
)
def test_an_empty_word_is_none(option: str, said: str) -> None:
    with pytest.raises(ConvdiffError, match=said):
        spec((1, 4, 8, 8), (4, 4, 3, 3), **{option: ""})


def test_the_option_is_named_as_it_is_given() -> None:
    with pytest.raises(ConvdiffError, match=r"^--as: found 3, expected a word"):
        Settings.from_mapping({"as": 3})


@pytest.mark.parametrize(
    "option", ["stride", "dilation", "input_dilation", "padding", "output_padding", "groups"]
)
def test_a_number_beyond_all_frameworks_is_refused(option: str) -> None:
    for value in (10**20, str(10**20), 10**5000, "9" * 5000):
        if option != "groups" or not isinstance(value, str):
            with pytest.raises(
                ConvdiffError,
                match=f"^--{option.replace('_', '-')}: .*expected less than 2147483648",
            ):
                read_spec(
                    (1, 1, 4, 4),
                    (1, 1, 1, 1),
                    Settings.from_mapping({option: value}),
                    bias=False,
                    dtype="float32",
                )
