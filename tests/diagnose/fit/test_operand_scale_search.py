"""Factors and offsets of input and kernel are read off; what looks like them is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convdiff
from tests.diagnose.findings import conv, explanations, finding, first_edits, normal, summary
from tests.diagnose.naive import Array, Geometry, convolve

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def picture(*shape: int, seed: int = 0) -> Array:
    """Values of 0 to 1."""
    return np.random.default_rng([*shape, seed]).random(shape).astype(np.float32)


def scaled(x: Array, factors: Any, offsets: Any = 0.0) -> Array:
    """The input (N, C, *space) with a factor and an offset for each channel."""
    wide = (1, -1, *(1,) * (x.ndim - 2))
    factor, offset = (np.reshape(np.asarray(each), wide) for each in (factors, offsets))
    return np.asarray(x * factor + offset, np.float32)


def by_code(edits: Any) -> dict[str, Any]:
    return {edit["code"]: edit for edit in edits}


def close(found: Any, expected: Any) -> bool:
    return bool(np.allclose(found, expected, rtol=1e-4, atol=1e-6))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2}])
@pytest.mark.parametrize("each", [True, False])
def test_the_numbers_are_read_off(rank: int, options: dict[str, Any], each: bool) -> None:
    size = 12 if rank < 3 else 7
    x, w = picture(2, 3, *(size,) * rank), normal(4, 3, *(3,) * rank)
    factors, offsets = ([4.37, 4.46, 4.44], [-2.12, -2.04, -1.8]) if each else (2, -1)
    obtained = conv(scaled(x, factors, offsets), w, 2, **options)
    (edit,) = first_edits(x, w, obtained, padding=2, **options)
    assert edit == {"code": "input-scaled", "factors": factors, "offsets": offsets}


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("each", [True, False])
def test_the_numbers_are_read_off_beside_groups(groups: int, each: bool) -> None:
    x, w = picture(1, 4, 10, 11), normal(8, 4 // groups, 3, 3)
    factors, offsets = ([4.3, 2, 0.5, 1.25], [-2.1, 1, 0, 3]) if each else (0.5, 0.25)
    obtained = conv(scaled(x, factors, offsets), w, 1, groups=groups)
    (edit,) = first_edits(x, w, obtained, padding=1, groups=groups)
    assert edit == {"code": "input-scaled", "factors": factors, "offsets": offsets}


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_numbers_of_channels_last_are_read_off(dtype: str) -> None:
    x, w = picture(1, 3, 14, 15), normal(6, 3, 3, 3)
    obtained = np.moveaxis(conv(scaled(x, 1 / STD, -MEAN / STD), w, 1), 1, -1).astype(dtype)
    layouts = {"input_layout": "NHWC", "kernel_layout": "HWIO"}
    result = convdiff.diff(
        np.moveaxis(x, 1, -1), w.transpose(2, 3, 1, 0), obtained, padding=1, **layouts
    )
    edit = by_code(result.findings[0].edits)["input-scaled"]
    assert close(edit["factors"], 1 / STD)
    assert close(edit["offsets"], -MEAN / STD)


@pytest.mark.parametrize("each", [True, False])
def test_the_numbers_of_a_transposed_convolution_are_read_off(each: bool) -> None:
    x, w = picture(2, 3, 8, 8), normal(3, 4, 4, 4)
    factors, offsets = ([4.37, 4.46, 4.44], [-2.12, -2.04, -1.8]) if each else (2, -1)
    geometry = Geometry((2, 2), ((1, 1), (1, 1)), (1, 1), 1, "constant", True, (0, 0))
    obtained = convolve(scaled(x, factors, offsets), w, geometry).astype(np.float32)
    (edit,) = first_edits(x, w, obtained, padding=1, stride=2, transposed=True)
    assert edit == {"code": "input-scaled", "factors": factors, "offsets": offsets}


@pytest.mark.parametrize(
    ("factors", "offsets", "words"),
    [
        (1 / STD, -MEAN / STD, "ImageNet's mean and std, of values in [0, 1]"),
        (1 / STD[::-1], -(MEAN / STD)[::-1], "ImageNet's mean and std, in BGR order"),
        (STD, MEAN, "ImageNet's mean and std undone, to values in [0, 1]"),
        ([255] * 3, [-103.939, -116.779, -123.68], "Caffe's means"),
        (2, -1, "as from [0, 1] to [-1, 1]"),
        (0.5, 0.5, "as from [-1, 1] to [0, 1]"),
        (1 / 127.5, -1, "as from [0, 255] to [-1, 1]"),
        (2 * STD, 2 * MEAN - 1, "[-1, 1]"),
    ],
)
def test_usual_numbers_are_named(factors: Any, offsets: Any, words: str) -> None:
    x, w = picture(1, 3, 16, 15), normal(8, 3, 3, 3)
    obtained = conv(scaled(x, factors, offsets), w, 1)
    assert words in summary(x, w, obtained, padding=1)


def test_a_channel_that_counts_for_nothing_is_told() -> None:
    x, w = picture(1, 3, 16, 15), normal(8, 3, 3, 3)
    (edit,) = first_edits(x, w, conv(scaled(x, [1, 1, 0]), w, 1), padding=1)
    assert edit == {"code": "input-scaled", "factors": [1, 1, 0], "offsets": 0}
    text = summary(x, w, conv(scaled(x, [1, 1, 0]), w, 1), padding=1)
    assert "channel 2 counts for nothing" in text


def test_a_mean_is_read_off() -> None:
    x, w = picture(1, 3, 16, 15), normal(8, 3, 3, 3)
    (edit,) = first_edits(x, w, conv(scaled(x, 1, -MEAN), w, 1), padding=1)
    assert edit == {"code": "input-scaled", "factors": 1, "offsets": (-MEAN).tolist()}


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize(
    ("code", "change", "options"),
    [
        ("kernel-flipped", lambda x, w: (x, np.flip(w, (2, 3))), {}),
        ("input-channels-reversed", lambda x, w: (x[:, ::-1], w), {}),
        ("wrong-stride", lambda x, w: (x, w), {"stride": 2}),
        ("wrong-dilation", lambda x, w: (x, w), {"dilation": 2}),
        ("wrong-padding", lambda x, w: (x, w), {"padding": 2}),
        ("wrong-padding", lambda x, w: (x, w), {"padding": ((0, 2), (0, 2))}),
    ],
)
def test_the_numbers_are_read_off_beside_another_fault(
    each: bool, code: str, change: Callable[[Array, Array], tuple[Array, Array]], options: Any
) -> None:
    x, w = picture(1, 3, 14, 13), normal(6, 3, 3, 3)
    factors, offsets = ([4.37, 4.46, 4.44], [-2.12, -2.04, -1.8]) if each else (2, -1)
    x_read, w_read = change(x, w)
    obtained = conv(scaled(x_read, factors, offsets), w_read, **{"padding": 1, **options})
    edits = by_code(first_edits(x, w, obtained, padding=1))
    assert sorted(edits) == sorted([code, "input-scaled"])
    assert edits["input-scaled"]["factors"] == factors
    assert edits["input-scaled"]["offsets"] == offsets


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("bias-missing", lambda sums, bias: sums),
        ("bias-doubled", lambda sums, bias: sums + 2 * bias),
        ("activation-applied", lambda sums, bias: np.maximum(sums + bias, 0)),
        ("output-channels-reversed", lambda sums, bias: (sums + bias)[:, ::-1]),
        ("output-axes-permuted", lambda sums, bias: np.moveaxis(sums + bias, 1, -1)),
        ("clipped", lambda sums, bias: np.clip(sums + bias, 0, 6)),
    ],
)
def test_the_numbers_are_read_off_beside_a_change_of_the_output(
    code: str, change: Callable[[Array, Array], Array]
) -> None:
    x, w, bias = picture(1, 3, 14, 14), normal(6, 3, 3, 3), normal(6)
    sums = conv(scaled(x, 1 / STD, -MEAN / STD), w, 1)
    obtained = np.ascontiguousarray(change(sums, bias[:, None, None]))
    edits = by_code(first_edits(x, w, obtained, padding=1, bias=bias))
    assert {"input-scaled"} < set(edits) and (code in edits or "activation-applied" in edits)
    assert close(edits["input-scaled"]["factors"], 1 / STD)


def test_the_numbers_are_read_off_beside_two_faults() -> None:
    x, w = picture(1, 3, 14, 13), normal(6, 3, 3, 3)
    obtained = conv(scaled(x[:, ::-1], 2, -1), np.flip(w, (2, 3)), 1)
    edits = by_code(first_edits(x, w, obtained, padding=1))
    assert sorted(edits) == ["input-channels-reversed", "input-scaled", "kernel-flipped"]


# The kernel


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_factors_along_an_axis_of_space_are_read_off(rank: int, transposed: bool) -> None:
    size = 12 if rank < 3 else 7
    x, w = normal(1, 3, *(size,) * rank), normal(3, 4, *(3,) * rank)
    w = w if transposed else np.ascontiguousarray(w.swapaxes(0, 1))
    factors = np.array([0.5, 2, 1.25], np.float32)
    ones = (1,) * rank
    geometry = Geometry(ones, ((1, 1),) * rank, ones, 1, "constant", transposed, (0,) * rank)
    obtained = convolve(x, w * factors, geometry).astype(np.float32)
    options = {"transposed": True} if transposed else {}
    (edit,) = first_edits(x, w, obtained, padding=1, **options)
    assert edit == {"code": "kernel-scaled", "axis": "W", "factors": factors.tolist()}


def test_standardized_weights_are_a_factor_and_an_offset_along_o() -> None:
    x, w = normal(1, 3, 12, 12), normal(6, 3, 3, 3) + 0.5
    mean, std = (f(w, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
    (edit,) = first_edits(x, w, conv(x, (w - mean) / std, 1), padding=1)
    assert (edit["code"], edit["axis"]) == ("kernel-scaled", "O")
    assert close(edit["factors"], 1 / std.ravel())
    assert close(edit["offsets"], -(mean / std).ravel())


def test_factors_along_o_leave_the_bias() -> None:
    x, w, bias = normal(1, 3, 12, 12), normal(6, 3, 3, 3), normal(6)
    factors = np.linspace(0.5, 2.5, 6).astype(np.float32)
    obtained = conv(x, w * factors[:, None, None, None], 1) + bias[:, None, None]
    found = explanations(x, w, obtained, padding=1, bias=bias)
    codes = [[edit["code"] for edit in edits] for edits in found]
    assert codes == [["channels-scaled"], ["kernel-scaled"]]
    assert found[1][0]["axis"] == "O"
    assert close(found[1][0]["factors"], factors)


@pytest.mark.parametrize("channels", [3, 8])
def test_factors_along_i_are_as_well_the_inputs(channels: int) -> None:
    x, w = normal(1, channels, 12, 12), normal(8, channels, 3, 3)
    factors = np.linspace(0.5, 2.5, channels).astype(np.float32)
    found = explanations(x, w, conv(x, w * factors[:, None, None], 1), padding=1)
    codes = [[edit["code"] for edit in edits] for edits in found]
    assert sorted(codes) == [["input-scaled"], ["kernel-scaled"]]
    assert codes[0] == (["input-scaled"] if channels == 3 else ["kernel-scaled"])


@pytest.mark.parametrize("transposed", [False, True])
def test_a_norm_that_was_folded_along_i_is_two_lists_of_factors(transposed: bool) -> None:
    x, w, bias = normal(2, 6, 9, 9), normal(6, 6, 3, 3), normal(6)
    scale = np.array([0.5, 2, 1.25, 0.8, 1.5, 0.7], np.float32)
    along_o = scale[:, None, None] if transposed else scale[:, None, None, None]
    along_i = scale[:, None, None, None] if transposed else scale[:, None, None]
    ones = (1, 1)
    geometry = Geometry(ones, ((1, 1), (1, 1)), ones, 1, "constant", transposed, (0, 0))
    obtained = convolve(x, w * along_o, geometry) + bias[:, None, None]
    options = {"transposed": True} if transposed else {}
    edits = by_code(
        first_edits(x, w * along_i, obtained.astype(np.float32), bias=bias, padding=1, **options)
    )
    assert sorted(edits) == ["channels-scaled", "kernel-scaled"]
    ratio = np.outer(edits["channels-scaled"]["factors"], edits["kernel-scaled"]["factors"])
    assert close(ratio, np.outer(scale, 1 / scale))


def test_a_scale_that_broadcast_along_w_is_told() -> None:
    x, w, bias = normal(2, 4, 12, 12), normal(3, 4, 3, 3), normal(3)
    scale = np.array([0.5, 2, 1.25], np.float32)
    obtained = conv(x, w * scale, 1) + bias[:, None, None]
    asked = w * scale[:, None, None, None]
    found = finding(x, asked, obtained, bias=bias, padding=1)
    assert [(edit["code"], edit.get("axis")) for edit in found.edits] == [
        ("kernel-scaled", "W"),
        ("channels-scaled", None),
    ]
    assert "was applied along W instead of O" in found.summary


def test_a_norm_of_many_channels_that_was_folded_along_i_is_found() -> None:
    x, w = normal(1, 64, 14, 14), normal(64, 64, 3, 3)
    scale = np.linspace(0.5, 2, 64).astype(np.float32)
    obtained = conv(x, w * scale[:, None, None, None], 1)
    found = finding(x, w * scale[:, None, None], obtained, padding=1)
    assert [edit["code"] for edit in found.edits] == ["kernel-scaled", "channels-scaled"]
    assert "as of a BatchNorm, was applied along I instead of O" in found.summary


# What looks like it


def codes_of(x: Array, w: Array, obtained: Array, **options: Any) -> list[list[str]]:
    result = convdiff.diff(x, w, np.asarray(obtained, np.float32), **options)
    return [[edit["code"] for edit in each.edits] for each in result.findings]


def test_one_factor_is_no_scaled_input() -> None:
    x, w = picture(1, 3, 14, 13), normal(6, 3, 3, 3)
    assert codes_of(x, w, conv(x * np.float32(255), w, 1), padding=1) == [["scaled"]]


def test_an_offset_without_a_padding_is_a_bias() -> None:
    x, w = picture(1, 3, 14, 13), normal(6, 3, 3, 3)
    assert codes_of(x, w, conv(x - np.float32(0.5), w)) == [["bias-added"]]
    assert codes_of(x, w, conv(2 * x - 1, w)) == [["scaled", "bias-added"]]


def test_a_number_in_the_padding_is_no_offset() -> None:
    x, w = picture(1, 3, 14, 13), normal(6, 3, 3, 3)
    found = codes_of(x, w, conv(x, w, 1, pad_values=(0.5, 0.25, 1.0)), padding=1)
    assert found == [["wrong-pad-value"]]


def test_a_constant_per_output_channel_is_no_offset() -> None:
    x, w = picture(1, 3, 14, 13), normal(6, 3, 3, 3)
    obtained = conv(x, w, 1) + normal(6, 1, 1)
    assert codes_of(x, w, obtained, padding=1) == [["bias-added"]]


@pytest.mark.parametrize("shape", [(6, 3, 3, 3), (1, 3, 3, 3), (1, 3, 1, 1), (1, 1, 3, 3)])
def test_other_weights_are_no_factors(shape: tuple[int, ...]) -> None:
    x, w = picture(2, shape[1], 14, 13), normal(*shape)
    obtained = conv(x, normal(*shape, seed=1), shape[2] // 2)
    found = codes_of(x, w, obtained, padding=shape[2] // 2)
    assert not any("-scaled" in code for edits in found for code in edits)


@pytest.mark.parametrize("size", [4, 6, 14])
@pytest.mark.parametrize("integers", [False, True])
def test_noise_is_not_explained(size: int, integers: bool) -> None:
    x, w = normal(1, 3, size, size), normal(6, 3, 3, 3)
    noise = normal(1, 6, size, size, seed=3)
    if integers:
        x, w, noise = (np.rint(2 * each) for each in (x, w, noise))
    assert codes_of(x, w, noise, padding=1) == []


def test_few_elements_are_no_evidence() -> None:
    x, w = normal(1, 2, 2, 2), normal(1, 2, 3, 3)
    obtained = conv(scaled(x, [2, 3], [1, -1]), w, 1)
    assert not any("input-scaled" in edits for edits in codes_of(x, w, obtained, padding=1))


def test_a_constant_input_tells_no_factors() -> None:
    x, w = np.ones((1, 3, 9, 9), np.float32), normal(6, 3, 3, 3)
    obtained = conv(scaled(x, [2, 3, 1], [1, -1, 0.5]), w, 1)
    found = finding(x, w, obtained, padding=1)
    assert [edit["code"] for edit in found.edits] == ["input-scaled"]
    assert found.edits[0]["offsets"] == 0
