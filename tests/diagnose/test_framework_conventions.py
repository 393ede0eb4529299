"""What frameworks and people really do, case by case: each was once missed, or told as something
else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(40)
NCHW = {"input_layout": "NCHW", "kernel_layout": "OIHW"}


def normal(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def conv(
    x: Array, w: Array, pads: Any = 0, stride: Any = 1, dilation: Any = 1, **more: Any
) -> Array:
    rank = w.ndim - 2
    pads = ((pads, pads),) * rank if isinstance(pads, int) else pads
    stride, dilation = (n if isinstance(n, tuple) else (n,) * rank for n in (stride, dilation))
    return convolve(x, w, Geometry(stride, pads, dilation, **more)).astype(np.float32)


def told(x: Array, w: Array, obtained: Array, **options: Any) -> list[list[dict[str, Any]]]:
    """The first finding's edits and its rivals'."""
    finding = convdiff.diff(x, w, obtained, **options).findings[0]
    return [[*edits] for edits in (finding.edits, *finding.rivals)]


def without_rivals(x: Array, w: Array, obtained: Array, **options: Any) -> list[dict[str, Any]]:
    return told(x, w, obtained, **options)[0]


@pytest.mark.parametrize("output", ["NHWC", "NCWH"])
def test_axes_of_size_1_in_another_order_are_told(output: str) -> None:
    x, w = normal(1, 3, 12, 10), normal(1, 3, 3, 3)
    obtained = conv(x, w, 1).transpose(["NCHW".index(a) for a in output])
    edit = {"code": "output-axes-permuted", "asked": "NCHW", "obtained": output}
    assert [edit] in told(x, w, obtained, padding=1, **NCHW)


def test_an_output_without_its_axes_of_size_1_is_right() -> None:
    x, w = normal(1, 1, 12), normal(1, 1, 3)
    assert convdiff.diff(x, w, conv(x, w)[0, 0], input_layout="NCW", kernel_layout="OIW").agrees


def test_an_input_of_one_item_read_in_another_order_is_that_alone() -> None:
    x, w = normal(1, 12, 12, 1), normal(3, 3, 1, 3)
    read = np.ascontiguousarray(
        conv(x.transpose(1, 3, 0, 2), w.transpose(3, 2, 0, 1), 1).transpose(0, 2, 3, 1)
    )
    edits = without_rivals(x, w, read, padding=1, input_layout="NHWC", kernel_layout="HWIO")
    assert edits == [{"code": "input-axes-permuted", "asked": "NHWC", "obtained": "HNWC"}]


DEPTHWISE = {"depthwise": True, "padding": 1, "input_layout": "NHWC", "kernel_layout": "HWIM"}


@pytest.mark.parametrize(
    ("edit", "multiplier", "changed"),
    [
        (
            {"code": "kernel-axes-permuted", "asked": "HWIM", "obtained": "WHIM"},
            2,
            lambda k: k.transpose(1, 0, 2, 3),
        ),
        (
            {"code": "kernel-axes-permuted", "asked": "HWIM", "obtained": "HWMI"},
            3,
            lambda k: k.transpose(0, 1, 3, 2),
        ),
        (
            {"code": "kernel-reshaped", "asked": "HWIM", "obtained": "IMHW"},
            2,
            lambda k: k.reshape(3, -1, 3, 3).transpose(2, 3, 0, 1),
        ),
        ({"code": "kernel-channels-reversed", "axis": "I"}, 2, lambda k: k[:, :, ::-1]),
        ({"code": "kernel-channels-reversed", "axis": "O"}, 2, lambda k: k[:, :, :, ::-1]),
    ],
)
def test_a_depthwise_kernel_in_another_order(
    edit: dict[str, Any], multiplier: int, changed: Any
) -> None:
    x, w = normal(2, 8, 9, 3), normal(3, 3, 3, multiplier)
    kernel = changed(w)
    obtained = conv(
        x.transpose(0, 3, 1, 2), kernel.transpose(2, 3, 0, 1).reshape(-1, 1, 3, 3), 1, groups=3
    ).transpose(0, 2, 3, 1)
    assert [edit] in told(x, w, obtained, **DEPTHWISE)


@pytest.mark.parametrize(("asked", "obtained"), [((1, 1, 1), (1, 2, 2)), ((2, 2, 2), (2, 1, 1))])
@pytest.mark.parametrize("kind", ["stride", "dilation"])
def test_two_axes_of_three(asked: tuple[int, ...], obtained: tuple[int, ...], kind: str) -> None:
    x, w = normal(1, 2, 8, 8, 8), normal(3, 2, 2, 2, 2)
    made = conv(x, w, **{kind: obtained})
    edits = without_rivals(x, w, made, **{kind: asked})
    assert edits == [{"code": f"wrong-{kind}", "asked": [*asked], "obtained": [*obtained]}]


@pytest.mark.parametrize(
    ("k", "asked", "dilation", "pads"),
    [(3, {"dilation": 3, "padding": 3}, 1, 6), (5, {"padding": 2}, 3, 4)],
)
def test_padding_reckoned_for_another_dilation(
    k: int, asked: dict[str, int], dilation: int, pads: int
) -> None:
    x, w = normal(2, 3, 13, 13), normal(4, 3, k, k)
    edits = {
        edit["code"]: edit
        for edit in without_rivals(x, w, conv(x, w, pads, dilation=dilation), **asked)
    }
    assert set(edits) == {"wrong-dilation", "wrong-padding"}
    assert edits["wrong-padding"]["obtained"] == [[pads, pads]] * 2


@pytest.mark.parametrize(("k", "dilation"), [(2, 1), (3, 1), (3, 2), (5, 1)])
def test_causal_padding_applied_twice(k: int, dilation: int) -> None:
    x, w, lo = normal(1, 4, 24), normal(4, 4, k), (k - 1) * dilation
    made = conv(x, w, ((2 * lo, 0),), dilation=dilation)
    for obtained, hi in ((made, 0), (made[..., :24], -lo)):
        edits = without_rivals(x, w, obtained, padding="causal", dilation=dilation)
        assert edits == [{"code": "wrong-padding", "asked": [[lo, 0]], "obtained": [[2 * lo, hi]]}]


@pytest.mark.parametrize(("k", "pads"), [(1, 3), (3, 4), (3, 6)])
def test_padding_wider_than_the_kernel(k: int, pads: int) -> None:
    x, w = normal(1, 3, 9, 9), normal(4, 3, k, k)
    edits = without_rivals(x, w, conv(x, w, pads), padding=1)
    assert edits == [
        {"code": "wrong-padding", "asked": [[1, 1], [1, 1]], "obtained": [[pads, pads]] * 2}
    ]


@pytest.mark.parametrize(("n", "dilation"), [(20, 5), (20, 8), (24, 12), (24, 18)])
def test_a_dilation_of_a_spatial_pyramid(n: int, dilation: int) -> None:
    x, w = normal(1, 3, n, n), normal(2, 3, 3, 3)
    edits = without_rivals(x, w, conv(x, w, dilation, dilation=dilation), padding=1)
    assert {edit["code"]: edit["obtained"] for edit in edits} == {
        "wrong-dilation": [dilation] * 2,
        "wrong-padding": [[dilation] * 2] * 2,
    }


@pytest.mark.parametrize(
    ("k", "stride", "n"),
    [(16, 16, 48), (14, 14, 56), (11, 11, 36), (8, 4, 30), (3, 5, 22), (10, 5, 40)],
)
def test_a_stride_of_patches(k: int, stride: int, n: int) -> None:
    x, w = normal(1, 2, n, n), normal(2, 2, k, k)
    edits = without_rivals(x, w, conv(x, w, stride=stride), stride=2)
    assert edits == [{"code": "wrong-stride", "asked": [2, 2], "obtained": [stride] * 2}]


def test_a_stride_of_learned_upsampling() -> None:
    x, w = normal(1, 2, 3, 3), normal(2, 2, 16, 16)
    edits = without_rivals(
        x,
        w,
        conv(x, w, 4, transposed=True, stride=8),
        transposed=True,
        stride=2,
        padding=4,
        kernel_layout="IOHW",
    )
    assert edits == [{"code": "wrong-stride", "asked": [2, 2], "obtained": [8, 8]}]


def test_one_word_for_the_padding_of_unequal_axes_beside_a_stride() -> None:
    x, w = normal(2, 2, 6, 6, 6), normal(3, 2, 4, 5, 2)
    edits = without_rivals(
        x, w, conv(x, w, ((3, 0), (4, 0), (1, 0)), stride=(2, 1, 1)), padding="same"
    )
    assert {edit["code"]: edit["obtained"] for edit in edits} == {
        "wrong-stride": [2, 1, 1],
        "wrong-padding": [[3, 0], [4, 0], [1, 0]],
    }


@pytest.mark.parametrize("n", [8, 10])
@pytest.mark.parametrize("k", [10, 13, 20])
def test_np_convolve_same_with_a_longer_kernel(n: int, k: int) -> None:
    x, w = normal(n), normal(k)
    result = convdiff.diff(
        x, w, np.convolve(x, w, "same"), padding="same", input_layout="W", kernel_layout="W"
    )
    if k <= n:
        return
    assert [edit["code"] for edit in result.findings[0].edits] == [
        "kernel-flipped",
        "wrong-padding",
    ]
    assert "as many values as the longer one has" in result.findings[0].summary


def test_a_transposed_kernel_with_other_groups_makes_other_channels() -> None:
    x, w = normal(2, 4, 6, 6), normal(4, 3, 3, 3)
    options = {"input_layout": "NCHW", "kernel_layout": "IOHW", "transposed": True, "padding": 1}
    for asked, obtained in ((2, 1), (1, 4), (4, 2)):
        made = conv(x, w, 1, transposed=True, groups=obtained)
        edit = {"code": "wrong-groups", "asked": asked, "obtained": obtained, "kernel": "whole"}
        assert without_rivals(x, w, made, groups=asked, **options) == [edit]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
def test_a_bias_that_is_no_number_is_told_apart(value: float) -> None:
    """Where nothing of it can be related to anything, the search must go on all the same, and tell
    no story of noise.
    """
    random = np.random.default_rng(3)
    x, w = (
        random.standard_normal((2, 3, 6, 7)).astype(np.float32),
        random.standard_normal((4, 3, 3, 3)).astype(np.float32),
    )
    y = random.standard_normal((2, 4, 4, 5)).astype(np.float32)
    for bias in (np.full(4, value), np.array([0.5, value, 1.0, -1.0])):
        result = convdiff.diff(x, w, y, bias=bias)
        assert (result.verdict, result.findings) == ("different", ())
        assert [edit["code"] for edit in without_rivals(x, w, conv(x, w), bias=bias)] == [
            "bias-missing"
        ]


def test_a_depthwise_kernel_run_dense_and_a_dense_one_run_depthwise() -> None:
    x, w = normal(2, 7, 8, 4), normal(3, 3, 4, 2)
    image = x.transpose(0, 3, 1, 2)
    dense = conv(image, w.transpose(3, 2, 0, 1), 1).transpose(0, 2, 3, 1)
    deep = conv(image, w.transpose(2, 3, 0, 1).reshape(8, 1, 3, 3), 1, groups=4).transpose(
        0, 2, 3, 1
    )
    assert without_rivals(x, w, dense, **DEPTHWISE) == [
        {"code": "wrong-groups", "asked": 4, "obtained": 1, "kernel": "whole"}
    ]
    options = {**DEPTHWISE, "kernel_layout": "HWIO", "depthwise": False}
    assert without_rivals(x, w, deep, **options) == [
        {"code": "wrong-groups", "asked": 1, "obtained": 4, "kernel": "whole"}
    ]


@pytest.mark.parametrize(
    "beside", [[], ["wrong-padding"], ["bias-missing"], ["wrong-padding", "activation-applied"]]
)
@pytest.mark.parametrize("turned", ["np.flip", "np.rot90"])
def test_a_kernel_reversed_along_its_channels_too_is_one_slip(
    turned: str, beside: list[str]
) -> None:
    x, w, bias = normal(2, 3, 8, 8), normal(4, 3, 3, 3), normal(4)
    made = conv(
        x,
        np.flip(w) if turned == "np.flip" else np.rot90(w, 2),
        ((0, 1), (0, 1)) if "wrong-padding" in beside else 1,
        2,
    )
    if "bias-missing" not in beside:
        made = made + bias.reshape(1, -1, 1, 1)
    if "activation-applied" in beside:
        made = np.maximum(made, 0)
    edits = without_rivals(x, w, made, bias=bias, padding=1, stride=2)
    reversals = [{"code": "kernel-channels-reversed", "axis": axis} for axis in "OI"]
    flip = [{"code": "kernel-flipped", "axes": ["H", "W"]}] if turned == "np.flip" else []
    assert edits[: -len(beside) or None] == [*flip, *reversals]
    assert [edit["code"] for edit in edits[len(flip) + 2 :]] == beside


def test_one_slip_is_not_told_where_fewer_edits_do() -> None:
    x, w = normal(2, 2, 8, 8), np.repeat(normal(4, 1, 3, 3), 2, axis=1)
    edits = without_rivals(x, w, conv(x, np.flip(w), 1), padding=1)
    assert len(edits) == 2


def test_channels_of_a_strided_transposed_output_are_told_between_its_zeros() -> None:
    x, w = normal(1, 2, 9, 9), normal(2, 4, 1, 1)
    made = conv(x, w, transposed=True, stride=2)[:, [2, 1, 3, 0]]
    edits = without_rivals(
        x, w, made, transposed=True, stride=2, padding=0, input_layout="NCHW", kernel_layout="IOHW"
    )
    assert edits == [{"code": "output-channels-permuted", "permutation": [2, 1, 3, 0]}]


@pytest.mark.parametrize("fault", [None, "kernel-flipped"])
def test_a_16_bit_layer_stores_its_sums_before_the_bias_and_after(fault: str | None) -> None:
    x, w, bias = normal(2, 3, 8, 8), normal(4, 3, 3, 3), normal(4)
    kernel = w[:, :, ::-1, ::-1] if fault else w
    half = [array.astype(np.float16) for array in (x, kernel, bias)]
    sums = conv(half[0], half[1], 1).astype(np.float16)
    made = (sums + half[2].reshape(1, -1, 1, 1)).astype(np.float32)
    found = convdiff.diff(x, w, made, bias=bias, padding=1)
    assert found.verdict == ("different" if fault else "reduced-precision")
    codes = {edit["code"] for edit in found.findings[0].edits}
    assert codes == {"reduced-precision", *([fault] if fault else [])}


@pytest.mark.parametrize("fault", [None, "kernel-flipped"])
@pytest.mark.parametrize("stored", [np.float16, np.float32])
def test_sums_kept_in_float16(fault: str | None, stored: Any) -> None:
    x, w = normal(2, 4, 6, 6), normal(4, 4, 3, 3)
    kernel = w[:, :, ::-1, ::-1] if fault else w
    half = [array.astype(np.float16) for array in (x, kernel)]
    made = np.zeros((2, 4, 4, 4), np.float16)
    for c in range(4):
        for i in range(3):
            for j in range(3):
                made = made + half[0][:, c : c + 1, i : i + 4, j : j + 4] * half[1][
                    :, c, i, j
                ].reshape(1, -1, 1, 1)
    found = convdiff.diff(x, w, made.astype(stored))
    assert found.verdict == ("different" if fault else "reduced-precision")
    edits = {edit["code"]: edit for edit in found.findings[0].edits}
    assert edits.pop("reduced-precision") == {
        "code": "reduced-precision",
        "obtained": "fp16",
        "where": "accumulator",
    }
    assert set(edits) == ({fault} if fault else set())


def test_float16_sums_that_cancel_are_no_fault() -> None:
    x, w = normal(1, 24, 7, 7) * 10 + 1000, normal(12, 24, 3, 3)
    w -= w.mean(axis=(1, 2, 3), keepdims=True)
    x, w = x.astype(np.float16), w.astype(np.float16)
    made = conv(x, w, 1)
    # An error such as sums of so large terms have in float16, the same at all positions of a
    # channel.
    made = (made + RNG.standard_normal((1, 12, 1, 1)) * 40).astype(np.float16)
    assert convdiff.diff(x, w, made, padding=1).verdict == "rounding"


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_a_right_output_saved_as_float16_is_right(seed: int, with_bias: bool) -> None:
    rng = np.random.default_rng(seed)
    x, w = (
        rng.standard_normal((2, 8, 9, 9)).astype(np.float32),
        rng.standard_normal((8, 8, 3, 3)).astype(np.float32),
    )
    bias = rng.standard_normal(8).astype(np.float32) if with_bias else None
    made = conv(x, w, 1) + (0 if bias is None else bias.reshape(1, -1, 1, 1))
    assert convdiff.diff(x, w, made.astype(np.float16), bias=bias, padding=1).verdict in (
        "identical",
        "rounding",
    )


@pytest.mark.parametrize("where", [(0, 3, 4, 5), (1, slice(None), 0, 0), (slice(None), 2)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_place_that_is_wrong_in_a_wide_16_bit_layer_is_no_rounding(
    where: Any, dtype: Any
) -> None:
    rng = np.random.default_rng(3)
    x, w = (
        rng.standard_normal((2, 32, 10, 10)).astype(np.float32),
        rng.standard_normal((16, 32, 3, 3)).astype(np.float32),
    )
    made = conv(x, w, 1)
    made[where] += 1.5 * made.std() * rng.standard_normal(made[where].shape)
    found = convdiff.diff(x, w, made.astype(np.float16).astype(dtype), padding=1)
    assert found.verdict == "different"
    assert not found.findings


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("elements", [1, 2])
def test_noise_of_one_or_two_16_bit_numbers_gets_no_story(dtype: Any, elements: int) -> None:
    rng = np.random.default_rng(elements)
    for _ in range(20):
        x, w = (
            rng.standard_normal((1, 3, 3, 3)).astype(np.float32),
            rng.standard_normal((elements, 3, 3, 3)).astype(np.float32),
        )
        noise = (5 * rng.standard_normal((1, elements, 1, 1))).astype(np.float16).astype(dtype)
        assert not convdiff.diff(x, w, noise, **NCHW).findings


def test_infinite_inputs_and_outputs_are_no_trouble() -> None:
    x, w = normal(1, 2, 6, 6), normal(3, 2, 3, 3)
    for array in (x, w):
        array[0, 0, 0, 0] = np.inf
        assert str(convdiff.diff(x, w, normal(1, 3, 4, 4)))
        array[0, 0, 0, 0] = 1
    spoilt = conv(x, w)
    spoilt[0, 0, 0, 0] = -np.inf
    assert "inf" in str(convdiff.diff(x, w, spoilt))
