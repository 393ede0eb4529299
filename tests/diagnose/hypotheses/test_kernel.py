"""Hypotheses about the kernel: what is found, and the name that it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convdiff.api import diff
from tests.diagnose.findings import conv, explanations, finding, first_edits, normal, summary

X, W = normal(2, 3, 8, 9), normal(4, 3, 3, 3)


def test_tensorflows_weights_reshaped_are_given_their_transpose() -> None:
    w = np.ascontiguousarray(W.transpose(2, 3, 1, 0))
    obtained = conv(X, w.reshape(W.shape), 1)
    layouts = {"input_layout": "NCHW", "kernel_layout": "HWIO"}
    words = "transpose(3, 2, 0, 1) converts TensorFlow's HWIO to OIHW"
    assert words in summary(X, w, obtained, padding=1, **layouts)


def test_torchs_weights_reshaped_are_given_their_transpose() -> None:
    x = X.transpose(0, 2, 3, 1)
    obtained = conv(X, W.reshape(3, 3, 3, 4).transpose(3, 2, 0, 1), 1).transpose(0, 2, 3, 1)
    layouts = {"input_layout": "NHWC", "kernel_layout": "OIHW"}
    words = "transpose(2, 3, 1, 0) converts torch's OIHW to HWIO"
    assert words in summary(x, W, obtained, padding=1, **layouts)


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (np.flip(W), "np.flip(kernel) without axis= reverses every axis"),
        (np.rot90(W, 2), "np.rot90(kernel, 2) without axes="),
    ],
)
def test_the_call_that_reversed_both_channel_axes_is_named(kernel: Any, words: str) -> None:
    assert words in summary(X, W, conv(X, kernel, 1), padding=1)


@pytest.mark.parametrize(
    "beside", [[], ["wrong-padding"], ["bias-missing"], ["wrong-padding", "activation-applied"]]
)
@pytest.mark.parametrize("function", ["np.flip", "np.rot90"])
def test_both_channel_axes_reversed_count_as_one_mistake(function: str, beside: list[str]) -> None:
    x, w, bias = normal(2, 3, 8, 8), normal(4, 3, 3, 3), normal(4)
    kernel = np.flip(w) if function == "np.flip" else np.rot90(w, 2)
    obtained = conv(x, kernel, ((0, 1), (0, 1)) if "wrong-padding" in beside else 1, stride=2)
    if "bias-missing" not in beside:
        obtained = obtained + bias.reshape(1, -1, 1, 1)
    if "activation-applied" in beside:
        obtained = np.maximum(obtained, 0)
    edits = first_edits(x, w, obtained, bias=bias, padding=1, stride=2)
    flip = [{"code": "kernel-flipped", "axes": ["H", "W"]}] if function == "np.flip" else []
    reversals = [{"code": "kernel-channels-reversed", "axis": axis} for axis in "OI"]
    expected = [*flip, *reversals]
    assert edits[: len(expected)] == expected
    assert [edit["code"] for edit in edits[len(expected) :]] == beside


def test_a_reversal_that_changes_nothing_is_not_reported() -> None:
    x, w = normal(2, 2, 8, 8), np.repeat(normal(4, 1, 3, 3), 2, axis=1)
    assert len(first_edits(x, w, conv(x, np.flip(w), 1), padding=1)) == 2


def test_a_1x1_kernel_with_exchanged_channels_is_not_a_flip() -> None:
    x, w = normal(2, 3, 5, 5), normal(3, 3, 1, 1)
    (edit,) = first_edits(x, w, conv(x, w.swapaxes(0, 1)))
    assert edit["code"] == "kernel-axes-permuted"


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_channels_exchanged_inside_each_group_are_named(groups: int, transposed: bool) -> None:
    x, w = normal(1, 8, 6, 6), normal(8, 8 // groups, 3, 3)
    by_group = w.reshape(groups, 8 // groups, 8 // groups, 3, 3)
    obtained = conv(
        x, by_group.swapaxes(1, 2).reshape(w.shape), 1, groups=groups, transposed=transposed
    )
    asked, read = ("IOHW", "OIHW") if transposed else ("OIHW", "IOHW")
    first = finding(
        x,
        w,
        obtained,
        padding=1,
        groups=groups,
        transposed=transposed,
        input_layout="NCHW",
        kernel_layout=asked,
    )
    assert first.edits == ({"code": "kernel-axes-permuted", "asked": asked, "obtained": read},)
    assert "exchanged inside each group" in first.summary


@pytest.mark.parametrize(
    ("expected", "multiplier", "change"),
    [
        (
            {"code": "kernel-axes-permuted", "asked": "HWIM", "obtained": "WHIM"},
            2,
            lambda kernel: kernel.transpose(1, 0, 2, 3),
        ),
        (
            {"code": "kernel-axes-permuted", "asked": "HWIM", "obtained": "HWMI"},
            3,
            lambda kernel: kernel.transpose(0, 1, 3, 2),
        ),
        (
            {"code": "kernel-reshaped", "asked": "HWIM", "obtained": "IMHW"},
            2,
            lambda kernel: kernel.reshape(3, -1, 3, 3).transpose(2, 3, 0, 1),
        ),
        ({"code": "kernel-channels-reversed", "axis": "I"}, 2, lambda kernel: kernel[:, :, ::-1]),
        (
            {"code": "kernel-channels-reversed", "axis": "O"},
            2,
            lambda kernel: kernel[:, :, :, ::-1],
        ),
    ],
)
def test_a_depthwise_kernel_in_another_order_is_found(
    expected: dict[str, Any], multiplier: int, change: Any
) -> None:
    x, w = normal(2, 8, 9, 3), normal(3, 3, 3, multiplier)
    grouped = change(w).transpose(2, 3, 0, 1).reshape(-1, 1, 3, 3)
    obtained = conv(x.transpose(0, 3, 1, 2), grouped, 1, groups=3).transpose(0, 2, 3, 1)
    layouts = {"input_layout": "NHWC", "kernel_layout": "HWIM"}
    assert [expected] in explanations(x, w, obtained, depthwise=True, padding=1, **layouts)


@pytest.mark.parametrize("beside", ["nothing", "kernel-flipped", "bias-missing"])
@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("OIHW", "OHIW", "the kernel was flattened as (c h w), the patches as (h c w)"),
        ("OWHI", "OIHW", "the kernel was flattened as (w h c), the patches as (c h w)"),
        ("OHWI", "OWIH", "the kernel was flattened as (h w c), the patches as (w c h)"),
    ],
)
def test_patches_in_another_order_than_the_kernels(
    source: str, target: str, words: str, beside: str
) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1, 3, 16, 24)).astype(np.float32) / 255
    w = rng.standard_normal((8, 3, 2, 4)).astype(np.float32)
    size_of = dict(zip("OIHW", w.shape, strict=True))
    flat = np.ascontiguousarray(w.transpose(["OIHW".index(a) for a in source]))
    read = flat.reshape([size_of[a] for a in target])
    used = read.transpose([target.index(a) for a in "OIHW"])
    used = used[:, :, ::-1, ::-1] if beside == "kernel-flipped" else used
    # A patch embedding: windows side by side.
    patches = x.reshape(1, 3, 8, 2, 6, 4)
    y = np.einsum("ncyhxw,ochw->noyx", patches.astype(np.float64), used).astype(np.float32)
    bias = np.ones(8, np.float32) if beside == "bias-missing" else None
    result = diff(x, w, y, stride=(2, 4), padding=0, bias=bias)
    edits = {edit["code"]: edit for edit in result.findings[0].edits}
    assert set(edits) == {"kernel-reshaped", beside} - {"nothing"}
    found = [(edits["kernel-reshaped"]["asked"], edits["kernel-reshaped"]["obtained"])]
    found += [
        (edit["asked"], edit["obtained"])
        for rival in result.findings[0].rivals
        for edit in rival
        if edit["code"] == "kernel-reshaped"
    ]
    assert (source, target) in found
    if beside == "nothing":
        assert words in result.findings[0].summary


def test_a_kernel_in_random_order_is_not_one_of_patches() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 3, 12, 12)).astype(np.float32)
    w = rng.standard_normal((8, 3, 2, 4)).astype(np.float32)
    used = w.reshape(8, -1)[:, rng.permutation(24)].reshape(w.shape)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (2, 4), (2, 3))
    y = np.einsum("ncyxhw,ochw->noyx", windows, used).astype(np.float32)
    assert not diff(x, w, y, padding=0).findings
