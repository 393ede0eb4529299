"""Layouts inferred from shapes, and the shapes and layouts that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from convdiff.errors import ConvdiffError
from convdiff.spec.infer_layouts import infer_layouts
from convdiff.spec.settings import Settings
from tests.spec.conftest import Shape, read

# Input shape, kernel shape, options, and the layouts of input, kernel and output.
INFERRED: list[tuple[Shape, Shape, dict[str, Any], tuple[str, str, str]]] = [
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
    # Neither of the frameworks' default pairs fits, one mixture of them does.
    ((1, 3, 9, 8), (2, 2, 3, 5), {}, ("NCHW", "HWIO", "NCHW")),
    ((1, 4, 8, 8), (4, 6, 3, 3), {"transposed": True}, ("NCHW", "IOHW", "NCHW")),
    ((1, 8, 8, 4), (3, 3, 6, 4), {"transposed": True}, ("NHWC", "HWOI", "NHWC")),
    ((1, 8, 8, 4), (3, 3, 4, 2), {"as": "tensorflow", "depthwise": True}, ("NHWC", "HWIM", "NHWC")),
    ((1, 4, 4, 4), (4, 4, 4, 4), {"as": "torch"}, ("NCHW", "OIHW", "NCHW")),
    ((1, 4, 4, 4), (4, 4, 4, 4), {"as": "keras"}, ("NHWC", "HWIO", "NHWC")),
    ((1, 4, 4, 4), (4, 4, 4, 4), {"as": "jax", "transposed": True}, ("NHWC", "HWIO", "NHWC")),
    ((1, 4, 4, 4), (4, 4, 4, 4), {"input_layout": "NHWC"}, ("NHWC", "HWIO", "NHWC")),
    ((7, 8), (5, 3, 3), {"input_layout": "HW", "kernel_layout": "OHW"}, ("HW", "OHW", "CHW")),
    # A plain kernel slides over each item of the axis that it lacks.
    ((20, 24, 3), (3, 3), {}, ("HWN", "HW", "HWN")),
    ((3, 20, 24), (3, 3), {}, ("NHW", "HW", "NHW")),
    ((20, 24, 16), (3, 3), {}, ("NHW", "HW", "NHW")),
    ((4, 30), (7,), {}, ("NW", "W", "NW")),
    ((30, 4), (7,), {}, ("WN", "W", "WN")),
    ((4, 30), (7,), {"as": "numpy"}, ("NW", "W", "NW")),
    ((1, 3, 9, 8), (3, 3), {}, ("CNHW", "HW", "CNHW")),
    ((4, 30), (7,), {"input_layout": "WN", "padding": 3}, ("WN", "W", "WN")),
    ((20, 24, 3), (3, 3), {"input_layout": "HWC"}, ("HWN", "HW", "HWN")),
    ((3, 20, 24), (3, 3), {"input_layout": "chw", "output_layout": "HWC"}, ("NHW", "HW", "HWN")),
    # Axes of size 1 that only one of the arrays has.
    ((1, 1, 9, 8), (3, 3), {}, ("NCHW", "HW", "NCHW")),
    ((5, 9, 8, 1), (3, 3), {}, ("NHWC", "HW", "NHWC")),
    ((9, 8), (1, 1, 3, 3), {}, ("HW", "OIHW", "HW")),
    ((9, 8), (5, 1, 3, 3), {}, ("HW", "OIHW", "CHW")),
    ((30,), (7, 1, 1), {}, ("W", "WIO", "W")),
]


@pytest.mark.parametrize(("input_shape", "kernel_shape", "options", "layouts"), INFERRED)
def test_layouts_are_inferred(
    input_shape: Shape, kernel_shape: Shape, options: dict[str, Any], layouts: tuple[str, str, str]
) -> None:
    spec = read(input_shape, kernel_shape, **options)
    assert (spec.input_layout, spec.kernel_layout, spec.output_layout) == layouts


@pytest.mark.parametrize(
    ("input_shape", "kernel_shape", "options", "note"),
    [
        ((1, 8, 8, 3), (3, 3, 3, 5), {}, "read as input NHWC, kernel HWIO (by default)"),
        (
            (1, 3, 9, 8),
            (2, 2, 3, 5),
            {},
            "read as input NCHW, kernel HWIO (the only reading that fits)",
        ),
        (
            (1, 4, 4, 4),
            (4, 4, 4, 4),
            {"as": "keras"},
            "read as input NHWC, kernel HWIO (as keras has them)",
        ),
        (
            (20, 24, 3),
            (3, 3),
            {},
            "read as input HWN, kernel HW: the kernel slides over each of the 3 items of the last "
            "axis alone",
        ),
        (
            (1, 1, 9, 8),
            (3, 3),
            {},
            "read as input NCHW, kernel HW (the only reading that fits)",
        ),
    ],
)
def test_a_note_says_what_was_inferred(
    input_shape: Shape, kernel_shape: Shape, options: dict[str, Any], note: str
) -> None:
    settings = Settings.from_mapping(options)
    assert infer_layouts(input_shape, kernel_shape, settings)[1] == [note]


def test_nothing_is_noted_where_both_layouts_are_given() -> None:
    settings = Settings(input_layout="NHWC", kernel_layout="HWIO")
    assert infer_layouts((1, 4, 4, 4), (4, 4, 4, 4), settings)[1] == []


# Input shape, kernel shape, options, and a part of the message.
REFUSED: list[tuple[Shape, Shape, dict[str, Any], str]] = [
    ((1, 4, 4, 4), (4, 4, 4, 4), {}, "--input-layout NHWC --kernel-layout HWIO"),
    ((1, 4, 8, 8), (4, 3, 3, 3), {}, "no layout fits"),
    ((1, 4, 8, 8), (4, 2, 3, 3), {}, "--groups 2 would fit"),
    # Channels that one plain kernel would have to sum over, or not: nobody can tell.
    ((2, 3, 8, 8), (3, 3), {}, "found 4 and 2 axes, which make no convolution"),
    ((8, 8), (1, 3, 3, 3), {}, "no layout fits"),
    ((1, 4, 8, 8), (3,), {}, "found 4 and 1 axes, which make no convolution"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"groups": 3}, "no layout fits"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"input_layout": "CHW"}, "found 3 axes, expected 4"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"kernel_layout": "OIW"}, "found 3 axes, expected 4"),
    ((1, 4, 8, 8), (4, 4, 3, 3), {"input_layout": "NCHX"}, "'X'"),
    (
        (1, 4, 8, 8),
        (4, 4, 3, 3),
        {"input_layout": "NCHW", "kernel_layout": "IDHW"},
        "found the spatial axes HW and DHW",
    ),
]


@pytest.mark.parametrize(("input_shape", "kernel_shape", "options", "message"), REFUSED)
def test_shapes_that_fit_no_reading_or_several_are_refused(
    input_shape: Shape, kernel_shape: Shape, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConvdiffError) as caught:
        read(input_shape, kernel_shape, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
