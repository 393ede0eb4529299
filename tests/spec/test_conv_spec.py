"""`ConvSpec`: its invariants by number, its sizes and shapes, its text form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from convdiff.errors import SpecError
from convdiff.spec.conv_spec import ConvSpec
from tests.specs import SPECS, random_specs

BASE = ConvSpec(
    input_layout="NCHW",
    kernel_layout="OIHW",
    output_layout="NCHW",
    batch=2,
    in_channels=4,
    out_channels=6,
    groups=2,
    input_size=(8, 9),
    kernel_size=(3, 2),
    stride=(2, 1),
    padding=((0, 1), (1, 1)),
    dilation=(1, 2),
    input_dilation=(1, 1),
    output_padding=(0, 0),
)

# The number of an invariant, and changes to BASE that break it.
BROKEN: list[tuple[int, dict[str, Any]]] = [
    (1, {"input_layout": "NCHX"}),
    (1, {"kernel_layout": "OIW"}),
    (1, {"stride": (1,)}),
    (1, {"output_layout": "NNHW"}),
    (1, {"pad_mode": ("edge", "wrap", "edge")}),
    (2, {"batch": 0}),
    (2, {"groups": 0}),
    (2, {"input_size": (0, 9)}),
    (2, {"kernel_size": (3, 0)}),
    (3, {"stride": (0, 1)}),
    (3, {"dilation": (1, -1)}),
    (3, {"input_dilation": (0, 1)}),
    (4, {"groups": 3}),
    (4, {"groups": 4}),
    (5, {"padding": ((-3, -3), (0, 0))}),
    (5, {"kernel_size": (30, 2)}),
    (6, {"pad_mode": "zeros"}),
    (6, {"pad_mode": "edge", "padding": ((-8, 9), (0, 0))}),
    (6, {"pad_mode": ("edge", "zeros")}),
    (6, {"pad_mode": ("edge", "constant"), "padding": ((-8, 9), (0, 0))}),
    (6, {"transposed": True, "pad_mode": "edge"}),
    (6, {"transposed": True, "pad_mode": ("edge", "constant")}),
    (6, {"pad_mode": ("edge", "wrap"), "pad_value": 1}),
    (6, {"transposed": True, "pad_value": 1}),
    (6, {"pad_mode": "edge", "pad_value": 1}),
    (6, {"pad_value": (1, 2)}),
    (6, {"transposed": True, "input_dilation": (2, 2)}),
    (7, {"output_padding": (1, 0)}),
    (7, {"transposed": True, "output_padding": (-1, 0)}),
    (8, {"input_layout": "CHW"}),
    (8, {"kernel_layout": "IHW"}),
    (9, {"kernel_layout": "HWIM"}),
    (10, {"dtype": "float8"}),
]


@pytest.mark.parametrize(("number", "changes"), BROKEN)
def test_a_broken_invariant_is_named_by_its_number(number: int, changes: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        replace(BASE, **changes)
    assert caught.value.invariant == number


def test_sizes_and_shapes() -> None:
    assert BASE.output_size == (4, 9)
    assert BASE.shape("kernel") == (6, 2, 3, 2)
    assert BASE.terms == 12
    transposed = replace(BASE, transposed=True, kernel_layout="IOHW", output_padding=(1, 0))
    assert transposed.shape("kernel") == (4, 3, 3, 2)
    assert transposed.output_size == (17, 9)
    depthwise = replace(
        BASE,
        groups=4,
        out_channels=8,
        kernel_layout="HWIM",
        input_layout="NHWC",
        output_layout="HWNC",
    )
    assert depthwise.shape("kernel") == (3, 2, 4, 2)
    assert depthwise.shape("output") == (4, 9, 2, 8)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {},
            "conv2d input=NCHW:2x4x8x9 kernel=OIHW:6x2x3x2 output=NCHW:2x6x4x9 groups=2 "
            "padding=0:1,1:1 stride=2,1 dilation=1,2 float32",
        ),
        (
            {
                "stride": (1, 1),
                "dilation": (1, 1),
                "padding": ((1, 1), (1, 1)),
                "pad_mode": "wrap",
                "flip": True,
                "bias": True,
                "dtype": "float64",
            },
            "conv2d input=NCHW:2x4x8x9 kernel=OIHW:6x2x3x2 output=NCHW:2x6x8x10 groups=2 "
            "padding=1 pad_mode=wrap flip bias float64",
        ),
        (
            {"pad_value": (-1, 0.5, 0, 2)},
            "conv2d input=NCHW:2x4x8x9 kernel=OIHW:6x2x3x2 output=NCHW:2x6x4x9 groups=2 "
            "padding=0:1,1:1 stride=2,1 dilation=1,2 pad_value=-1,0.5,0,2 float32",
        ),
        (
            {"pad_mode": ("edge", "constant"), "pad_value": 2},
            "conv2d input=NCHW:2x4x8x9 kernel=OIHW:6x2x3x2 output=NCHW:2x6x4x9 groups=2 "
            "padding=0:1,1:1 stride=2,1 dilation=1,2 pad_mode=edge,constant pad_value=2 float32",
        ),
        (
            {"transposed": True, "kernel_layout": "IOHW", "output_padding": (1, 0)},
            "conv2d-transposed input=NCHW:2x4x8x9 kernel=IOHW:4x3x3x2 output=NCHW:2x6x17x9 "
            "groups=2 padding=0:1,1:1 stride=2,1 dilation=1,2 output_padding=1,0 float32",
        ),
    ],
)
def test_the_text_form_leaves_out_what_is_usual(changes: dict[str, Any], line: str) -> None:
    assert str(replace(BASE, **changes)) == line


def test_the_text_form_tells_specs_apart() -> None:
    specs = {*SPECS.values(), *random_specs(500, seed=1)}
    assert len({str(spec) for spec in specs}) == len(specs)


def test_equal_pad_modes_of_the_axes_are_one() -> None:
    assert replace(BASE, pad_mode=("wrap", "wrap")) == replace(BASE, pad_mode="wrap")


def test_a_pad_mode_per_axis_is_a_list_in_json() -> None:
    assert replace(BASE, pad_mode=("edge", "wrap")).to_dict()["pad_mode"] == ["edge", "wrap"]
    assert replace(BASE, pad_mode="edge").to_dict()["pad_mode"] == "edge"


def test_an_axis_with_constant_padding_may_crop_all_of_the_input() -> None:
    spec = replace(BASE, pad_mode=("constant", "wrap"), padding=((-8, 9), (1, 1)))
    assert spec.pad_modes == ("constant", "wrap")
