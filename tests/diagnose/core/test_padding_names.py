"""A finding names the padding that a framework uses, or the slip that led to the pads."""

from __future__ import annotations

import numpy as np
import pytest

from tests.diagnose.findings import Pads, conv, normal, summary
from tests.diagnose.naive import Array

X, W = normal(2, 3, 8, 9), normal(4, 3, 3, 3)


def test_causal_padding_is_named() -> None:
    x, w = normal(1, 2, 12), normal(3, 2, 3)
    assert "causal padding pads (2,0)" in summary(x, w, conv(x, w, ((2, 0),)), padding=1)


def test_same_and_torchs_padding_are_named_at_stride_2() -> None:
    x = normal(1, 3, 8, 8)
    obtained = conv(x, W, ((0, 1), (0, 1)), stride=2)
    words = "torch's padding=1 pads (1,1), TensorFlow's SAME pads (0,1) here"
    assert words in summary(x, W, obtained, padding=1, stride=2)


def test_torchs_padding_of_unequal_axes_is_named() -> None:
    obtained = conv(X, W, ((2, 2), (1, 1)))
    words = "torch's padding=(2, 1) pads (2,2),(1,1) here"
    assert words in summary(X, W, obtained, padding="same")


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
def test_pads_in_another_order_are_a_slip(asked: str, obtained: Pads, words: str) -> None:
    assert words in summary(X, W, conv(X, W, obtained), padding=asked)


@pytest.mark.parametrize(
    ("obtained", "words"),
    [
        (((0, 0), (1, 1), (1, 2)), "they were read as one pair per axis"),
        (((0, 1), (1, 1), (0, 2)), "one pair per axis was read as ONNX's pads"),
    ],
)
def test_onnx_pads_of_three_axes_are_a_slip_both_ways(obtained: Pads, words: str) -> None:
    x, w = normal(1, 1, 5, 6, 7), normal(2, 1, 3, 3, 3)
    asked = [[0, 1], [0, 1], [1, 2]]
    layouts = {"input_layout": "NCDHW", "kernel_layout": "OIDHW"}
    assert words in summary(x, w, conv(x, w, obtained), padding=asked, **layouts)


def test_padding_of_the_undilated_kernel_is_a_slip() -> None:
    x = normal(1, 3, 14, 13)
    obtained = conv(x, W, 1, dilation=2)
    words = "computed from the kernel without its dilation"
    assert words in summary(x, W, obtained, padding="same", dilation=2)


@pytest.mark.parametrize(("size", "taps"), [(2, 5), (3, 5), (3, 4), (4, 7)])
@pytest.mark.parametrize("flip", [True, False])
def test_numpys_same_keeps_the_size_of_the_longer_array(size: int, taps: int, flip: bool) -> None:
    x, w = normal(size), normal(taps, seed=1)
    obtained = (np.convolve if flip else np.correlate)(x, w, "same")
    words = "gives as many values as the longer array has, here the kernel"
    assert words in summary(x, w, obtained, flip=flip, padding="same")


@pytest.mark.parametrize(("n", "k"), [(8, 10), (8, 13), (8, 20), (10, 13), (10, 20)])
def test_numpys_same_with_a_longer_kernel_is_named_beside_a_flip(n: int, k: int) -> None:
    x, w = normal(n), normal(k)
    layouts = {"input_layout": "W", "kernel_layout": "W"}
    text = summary(x, w, np.convolve(x, w, "same"), padding="same", **layouts)
    assert text.startswith("the kernel was flipped along W; and the padding was")
    assert "as many values as the longer array has" in text


def test_the_other_side_of_a_transposed_convolution_cropped_is_named() -> None:
    x, w = normal(1, 4, 5, 6), normal(4, 2, 3, 3)
    obtained = conv(x, w, 1, stride=2, transposed=True, output_padding=(1, 1))
    words = (
        "TensorFlow's SAME crops (0,1) here, torch's padding with output_padding the other side, "
        "(1,0)"
    )
    assert words in summary(x, w, obtained, transposed=True, stride=2, padding="same")


def jax_conv_transpose(x: Array, w: Array, padding: Pads, *, transpose_kernel: bool) -> Array:
    """jax.lax.conv_transpose at stride 2, as documented: it pads the dilated input.

    The kernel (C, O, H, W) is slid without a flip unless `transpose_kernel`.
    """
    dilated = np.zeros((*x.shape[:2], *((n - 1) * 2 + 1 for n in x.shape[2:])))
    dilated[:, :, ::2, ::2] = x
    kernel = w[:, :, ::-1, ::-1] if transpose_kernel else w
    return conv(dilated, kernel.swapaxes(0, 1), padding)


def test_the_pairs_of_jaxs_conv_transpose_are_named() -> None:
    x, w = normal(1, 4, 5, 6), normal(4, 2, 3, 3)
    obtained = jax_conv_transpose(x, w, ((0, 0), (0, 0)), transpose_kernel=True)
    words = "jax.lax.conv_transpose takes pairs as padding of the dilated input"
    assert words in summary(x, w, obtained, transposed=True, stride=2, padding=0)


def test_the_flip_of_jaxs_conv_transpose_is_named() -> None:
    x, w = normal(1, 4, 5, 6), normal(4, 2, 3, 3)
    obtained = jax_conv_transpose(x, w, ((2, 1), (2, 1)), transpose_kernel=False)
    text = summary(x, w, obtained, transposed=True, stride=2, padding="same")
    assert "flipped" in text
    assert "unless transpose_kernel=True" in text
