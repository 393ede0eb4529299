"""ConvSpec: its invariants by number, its text form, its sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convdiff.errors import ConvdiffError, SpecError
from convdiff.spec.conv_spec import ConvSpec, parse

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

BROKEN: list[tuple[int, dict[str, Any]]] = [
    (1, {"input_layout": "NCHX"}),
    (1, {"kernel_layout": "OIW"}),
    (1, {"stride": (1,)}),
    (1, {"output_layout": "NNHW"}),
    (2, {"batch": 0}),
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
    (6, {"transposed": True, "pad_mode": "edge"}),
    (6, {"transposed": True, "input_dilation": (2, 2)}),
    (7, {"output_padding": (1, 0)}),
    (7, {"transposed": True, "output_padding": (-1, 0)}),
    (8, {"input_layout": "CHW"}),
    (8, {"kernel_layout": "IHW"}),
    (9, {"kernel_layout": "HWIM"}),
    (10, {"dtype": "float8"}),
]


@pytest.mark.parametrize(("number", "changes"), BROKEN)
def test_each_invariant_is_held(number: int, changes: dict[str, Any]) -> None:
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


def specs() -> st.SearchStrategy[ConvSpec]:
    @st.composite
    def one(draw: st.DrawFn) -> ConvSpec:
        rank = draw(st.integers(1, 3))
        space = {1: "W", 2: "HW", 3: "DHW"}[rank]
        small = lambda lo, hi: tuple(
            draw(st.lists(st.integers(lo, hi), min_size=rank, max_size=rank))
        )
        transposed = draw(st.booleans())
        groups = draw(st.integers(1, 3))
        kernels = (
            (f"IO{space}", f"{space}OI")
            if transposed
            else (f"OI{space}", f"{space}IO", f"O{space}I")
        )
        n = small(1, 9)
        k = tuple(min(a, b) for a, b in zip(small(1, 4), n, strict=True))
        return ConvSpec(
            input_layout=draw(st.sampled_from([f"NC{space}", f"N{space}C", f"{space}NC"])),
            kernel_layout=draw(st.sampled_from(kernels)),
            output_layout=draw(st.sampled_from([f"NC{space}", f"N{space}C"])),
            batch=draw(st.integers(1, 3)),
            in_channels=groups * draw(st.integers(1, 2)),
            out_channels=groups * draw(st.integers(1, 2)),
            groups=groups,
            input_size=n,
            kernel_size=k,
            stride=small(1, 3),
            dilation=(1,) * rank,
            input_dilation=(1,) * rank,
            padding=((0, 0),) * rank
            if transposed
            else tuple((p, q) for p, q in zip(small(0, 3), small(0, 3), strict=True)),
            output_padding=small(0, 2) if transposed else (0,) * rank,
            transposed=transposed,
            flip=draw(st.booleans()),
            bias=draw(st.booleans()),
            dtype=draw(st.sampled_from(["float32", "float64", "float16", "bfloat16"])),
            pad_mode="constant"
            if transposed
            else draw(st.sampled_from(["constant", "reflect", "edge"])),
        )

    return one()


@given(specs())
def test_the_text_form_reads_back(spec: ConvSpec) -> None:
    assert parse(str(spec)) == spec


@pytest.mark.parametrize(
    "line",
    [
        "",
        "conv4d float32",
        "conv2d float32",
        str(BASE).replace("2x4x8x9", "2x4x8"),
        str(BASE) + " x",
        str(BASE).replace("output=NCHW:2x6x4x9", "output=NCHW:2x6x5x9"),
    ],
)
def test_other_texts_are_refused(line: str) -> None:
    with pytest.raises(ConvdiffError):
        parse(line)
