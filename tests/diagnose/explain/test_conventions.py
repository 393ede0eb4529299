"""The words for common causes: the real thing is planted, and the finding's summary names it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Array, Geometry, convolve

Pads = tuple[tuple[int, int], ...]


def normal(*shape: int) -> Array:
    return np.random.default_rng(len(shape) + sum(shape)).standard_normal(shape).astype(np.float32)


def conv(x: Array, w: Array, padding: Pads, **numbers: Any) -> Array:
    rank = w.ndim - 2
    geometry = {"stride": (1,) * rank, "dilation": (1,) * rank} | numbers
    return convolve(x, w, Geometry(padding=padding, **geometry)).astype(np.float32)


def summary(x: Array, w: Array, obtained: Array, **asked: Any) -> str:
    result = convdiff.diff(x, w, obtained, **asked)
    assert result.findings, result.row.message
    return result.findings[0].summary


X, W = normal(2, 3, 8, 9), normal(4, 3, 3, 3)
ONE: Pads = ((1, 1), (1, 1))


def test_causal_padding() -> None:
    x, w = normal(1, 2, 12), normal(3, 2, 3)
    assert "causal padding pads (2,0)" in summary(x, w, conv(x, w, ((2, 0),)), padding=1)


def jax_transposed(x: Array, w: Array, padding: Pads, stride: int, transpose_kernel: bool) -> Array:
    """conv_transpose as jax.lax documents it: the input dilated and padded, the kernel (C, O, H, W)
    slid as it lies.
    """
    dilated = np.zeros((*x.shape[:2], *((n - 1) * stride + 1 for n in x.shape[2:])))
    dilated[:, :, ::stride, ::stride] = x
    return conv(dilated, (w[:, :, ::-1, ::-1] if transpose_kernel else w).swapaxes(0, 1), padding)


def test_jax_conv_transpose_without_transpose_kernel() -> None:
    x, w = normal(1, 4, 5, 6), normal(4, 2, 3, 3)
    same = ((2, 1), (2, 1))
    told = summary(
        x,
        w,
        jax_transposed(x, w, same, 2, transpose_kernel=False),
        transposed=True,
        stride=2,
        padding="same",
    )
    assert "flipped" in told
    assert "unless transpose_kernel=True" in told


def test_jax_conv_transpose_pads_the_dilated_input() -> None:
    x, w = normal(1, 4, 5, 6), normal(4, 2, 3, 3)
    told = summary(
        x,
        w,
        jax_transposed(x, w, ((0, 0), (0, 0)), 2, transpose_kernel=True),
        transposed=True,
        stride=2,
        padding=0,
    )
    assert "jax.lax.conv_transpose takes pairs as padding of the dilated input" in told


def test_rgb_and_bgr() -> None:
    assert "RGB/BGR" in summary(X, W, conv(X[:, ::-1], W, ONE), padding=1)


def test_weights_reshaped() -> None:
    hwio = np.ascontiguousarray(W.transpose(2, 3, 1, 0))
    told = summary(
        X,
        hwio,
        conv(X, hwio.reshape(W.shape), ONE),
        padding=1,
        input_layout="NCHW",
        kernel_layout="HWIO",
    )
    assert "TensorFlow's HWIO is brought to OIHW by transpose(3, 2, 0, 1)" in told
    x = X.transpose(0, 2, 3, 1)
    obtained = conv(X, W.reshape(3, 3, 3, 4).transpose(3, 2, 0, 1), ONE)
    told = summary(
        x, W, obtained.transpose(0, 2, 3, 1), padding=1, input_layout="NHWC", kernel_layout="OIHW"
    )
    assert "torch's OIHW is brought to HWIO by transpose(2, 3, 1, 0)" in told


@pytest.mark.parametrize(("asked", "obtained", "words"), [(1, 2, "one more"), (3, 2, "one less")])
def test_onednn_counts_dilation_from_0(asked: int, obtained: int, words: str) -> None:
    x = normal(1, 3, 14, 13)
    told = summary(x, W, conv(x, W, ONE, dilation=(obtained, obtained)), padding=1, dilation=asked)
    assert f"{words} on every axis: oneDNN counts dilation from 0" in told


def test_a_dilation_ignored_is_not_onednns() -> None:
    x = normal(1, 3, 14, 13)
    assert "oneDNN" not in summary(x, W, conv(x, W, ONE), padding=1, dilation=2)


def test_a_depthwise_multipliers_outputs_in_the_other_order() -> None:
    w = normal(6, 1, 3, 3)
    right = conv(X, w, ONE, groups=3)
    other = right.reshape(2, 3, 2, 8, 9).swapaxes(1, 2).reshape(right.shape)
    told = summary(X, w, other, padding=1, groups=3, input_layout="NCHW", kernel_layout="OIHW")
    assert "the order c*M+m in Keras, TensorFlow and torch alike; here they came as m*C+c" in told


@pytest.mark.parametrize(
    ("asked", "obtained", "words"),
    [
        ("0:1,2:3", ((0, 2), (1, 3)), "ONNX's pads list all begins, then all ends"),
        ("0:1,0:1", ((0, 0), (1, 1)), "ONNX's pads list all begins, then all ends"),
        (
            "0:1,2:1",
            ((2, 1), (0, 1)),
            "the pads of H and W exchanged: F.pad lists the last axis first",
        ),
        (
            "1:1,2:2",
            ((2, 2), (1, 1)),
            "the pads of H and W exchanged: F.pad lists the last axis first",
        ),
    ],
)
def test_pads_in_another_order(asked: str, obtained: Pads, words: str) -> None:
    assert words in summary(X, W, conv(X, W, obtained), padding=asked)


def test_onnx_pads_of_three_axes() -> None:
    x, w = normal(1, 1, 5, 6, 7), normal(2, 1, 3, 3, 3)
    asked = [[0, 1], [0, 1], [1, 2]]
    layouts = {"input_layout": "NCDHW", "kernel_layout": "OIDHW"}
    read_as_pairs = conv(x, w, ((0, 0), (1, 1), (1, 2)))
    assert "here they were read as a pair for each axis" in summary(
        x, w, read_as_pairs, padding=asked, **layouts
    )
    read_as_onnx = conv(x, w, ((0, 1), (1, 1), (0, 2)))
    assert "a pair for each axis was read as ONNX's pads" in summary(
        x, w, read_as_onnx, padding=asked, **layouts
    )


def test_strides_and_dilations_exchanged() -> None:
    assert "the strides of H and W exchanged" in summary(
        X, W, conv(X, W, ONE, stride=(2, 1)), padding=1, stride=(1, 2)
    )
    assert "the dilations of H and W exchanged" in summary(
        X, W, conv(X, W, ONE, dilation=(2, 1)), padding=1, dilation=(1, 2)
    )


@pytest.mark.parametrize("conjugate", [False, True])
def test_a_product_of_ffts(conjugate: bool) -> None:
    x, w = normal(8, 9).astype(np.float64), normal(3, 3).astype(np.float64)
    spectrum = np.fft.fft2(w, x.shape)
    obtained = np.fft.ifft2(np.fft.fft2(x) * (spectrum.conj() if conjugate else spectrum)).real
    told = summary(x, w, obtained, padding="same")
    assert "a product of FFTs without zero padding convolves circularly" in told
    assert "causal" not in told


def test_sames_side_at_stride_2() -> None:
    x = normal(1, 3, 8, 8)
    told = summary(x, W, conv(x, W, ((0, 1), (0, 1)), stride=(2, 2)), padding=1, stride=2)
    assert "torch's padding=1 pads (1,1), TensorFlow's SAME pads (0,1) here" in told
    told = summary(X, W, conv(X, W, ((2, 2), (1, 1))), padding="same")
    assert "torch's padding=(2, 1) pads (2,2),(1,1) here" in told


def test_padding_of_the_undilated_kernel() -> None:
    x = normal(1, 3, 14, 13)
    told = summary(x, W, conv(x, W, ONE, dilation=(2, 2)), padding="same", dilation=2)
    assert "reckoned from the kernel without its dilation" in told


def test_the_other_side_cropped() -> None:
    x, w = normal(1, 4, 5, 6), normal(4, 2, 3, 3)
    geometry = Geometry((2, 2), ONE, (1, 1), transposed=True, output_padding=(1, 1))
    told = summary(
        x, w, convolve(x, w, geometry).astype(np.float32), transposed=True, stride=2, padding="same"
    )
    assert (
        "TensorFlow's SAME crops (0,1) here, torch's padding with output_padding the other side, "
        "(1,0)" in told
    )


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("reflect", "BORDER_REFLECT_101"),
        ("symmetric", "scipy.ndimage calls reflect"),
        ("edge", "replicate"),
        ("wrap", "circular"),
    ],
)
def test_the_words_for_a_border(mode: str, words: str) -> None:
    w = normal(4, 3, 5, 5)
    padded = np.pad(X, ((0, 0), (0, 0), (2, 2), (2, 2)), mode=mode)  # type: ignore[call-overload]
    assert words in summary(X, w, conv(padded, w, ((0, 0), (0, 0))), padding=2)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (255, "the inputs divided by 255 on one side only"),
        (1 / 255, "the inputs divided by 255 on one side only"),
        (1 / 9, "1/9 is the number of the kernel's taps: an average in place of a sum"),
        (1 / 27, "1/27 is the number of products in a sum: an average in place of a sum"),
        (1 / 2, "1/2 is the batch size: an average in place of a sum"),
        (2, "2 is the batch size: a sum in place of an average"),
    ],
)
def test_the_names_of_factors(factor: float, words: str) -> None:
    assert words in summary(X, W, factor * conv(X, W, ONE), padding=1)


def test_a_factor_without_a_name() -> None:
    assert summary(X, W, 0.7 * conv(X, W, ONE), padding=1) == "everything was multiplied by 0.7"


@pytest.mark.parametrize(("size", "taps"), [(2, 5), (3, 5), (3, 4), (4, 7)])
def test_numpys_same_keeps_the_longer_size(size: int, taps: int) -> None:
    x, w = normal(size), normal(taps)
    words = "same gives as many values as the longer one has, here the kernel"
    assert words in summary(x, w, np.convolve(x, w, "same"), flip=True, padding="same")
    assert words in summary(x, w, np.correlate(x, w, "same"), padding="same")


def test_a_kernel_reversed_along_its_channels_too() -> None:
    assert "np.flip without axis= reverses every axis" in summary(
        X, W, conv(X, np.flip(W), ONE), padding=1
    )
    assert "np.rot90(kernel, 2) without axes=" in summary(
        X, W, conv(X, np.rot90(W, 2), ONE), padding=1
    )


def test_channels_other_than_three_are_not_rgb() -> None:
    x, w = normal(1, 6, 8, 8), normal(4, 6, 3, 3)
    assert "RGB" not in summary(x, w, conv(x[:, ::-1], w, ONE), padding=1)


def test_stride_and_padding_exchanged() -> None:
    told = summary(X, W, conv(X, W, ((2, 2), (2, 2))), stride=2, padding=1)
    assert "(stride and padding were exchanged)" in told


def test_a_product_of_ffts_with_the_conjugate_flips_nothing() -> None:
    x, w = normal(1, 1, 12, 12), normal(1, 1, 3, 3)
    made = np.real(np.fft.ifft2(np.fft.fft2(x) * np.conj(np.fft.fft2(w, s=(12, 12))))).astype(
        np.float32
    )
    told = summary(x, w, made, padding="same")
    assert "a product of FFTs" in told
    assert "conjugate unflipped" in told


@pytest.mark.parametrize(("times", "code"), [(0, "bias-missing"), (2, "bias-doubled")])
def test_the_asked_bias_taken_away_or_once_more_is_no_other_bias(times: int, code: str) -> None:
    bias = normal(4)
    made = conv(X, W, ONE) + times * bias.reshape(1, -1, 1, 1)
    finding = convdiff.diff(X, W, made, bias=bias, padding=1).findings[0]
    assert [edit["code"] for edit in finding.edits] == [code]
    assert finding.rivals == finding.notes == ()


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_reshape_of_one_item_is_told_in_the_usual_orders_first(side: str) -> None:
    x, w = normal(1, 3, 8, 8), normal(3, 3, 3, 3)
    if side == "input":
        made = conv(x.transpose(0, 2, 3, 1).reshape(x.shape), w, ONE)
    else:
        made = conv(x, w, ONE).transpose(0, 2, 3, 1).reshape(x.shape)
    edits = convdiff.diff(x, w, made, padding=1).findings[0].edits
    assert edits == ({"code": f"{side}-reshaped", "asked": "NHWC", "obtained": "NCHW"},)


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_in_and_out_exchanged_inside_each_group(groups: int, transposed: bool) -> None:
    x, w = normal(1, 8, 6, 6), normal(8, 8 // groups, 3, 3)
    used = w.reshape(groups, 8 // groups, 8 // groups, 3, 3).swapaxes(1, 2).reshape(w.shape)
    made = conv(x, used, ONE, groups=groups, transposed=transposed)
    asked, obtained = ("IOHW", "OIHW") if transposed else ("OIHW", "IOHW")
    options = {
        "padding": 1,
        "groups": groups,
        "transposed": transposed,
        "input_layout": "NCHW",
        "kernel_layout": asked,
    }
    finding = convdiff.diff(x, w, made, **options).findings[0]  # type: ignore[arg-type]
    assert finding.edits == (
        {"code": "kernel-axes-permuted", "asked": asked, "obtained": obtained},
    )
    assert "inside each group" in finding.summary
