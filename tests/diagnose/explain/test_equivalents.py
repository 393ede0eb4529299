"""Explanations that the arrays cannot tell apart are rivals; those equal by algebra always are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(5)


def conv(x: Array, w: Array, pad: int = 1) -> Array:
    return convolve(x, w, Geometry((1, 1), ((pad, pad), (pad, pad)), (1, 1))).astype(np.float32)


def normal(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def all_codes(result: convdiff.Result) -> set[str]:
    """The codes of the first finding and of its rivals."""
    first = result.findings[0]
    return {edit["code"] for edits in (first.edits, *first.rivals) for edit in edits}


def test_a_symmetric_kernel_hides_its_flip() -> None:
    x, half = normal(1, 2, 6, 6), normal(2, 2, 3, 3)
    w = half + half[:, :, ::-1, ::-1]
    result = convdiff.diff(x, w, conv(x, w[:, :, ::-1, ::-1]), padding=1)
    assert result.agrees
    assert any("symmetric" in note for note in result.case.notes)


def test_with_all_ones_groups_and_a_factor_are_rivals() -> None:
    x, w = np.ones((1, 4, 6, 6), np.float32), np.ones((4, 4, 3, 3), np.float32)
    two_groups = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), groups=2)
    obtained = convolve(x, w[:, :2], two_groups).astype(np.float32)
    result = convdiff.diff(x, w, obtained, padding=1)
    assert {"wrong-groups", "scaled"} <= all_codes(result)
    assert any("all equal" in note for note in result.case.notes)


def test_with_one_output_element_a_reversed_input_is_a_rival_of_a_flip() -> None:
    x, w = normal(1, 1, 4, 4), normal(1, 1, 4, 4)
    result = convdiff.diff(
        x, w, conv(x, w[:, :, ::-1, ::-1], 0), input_layout="NCHW", kernel_layout="OIHW"
    )
    assert result.findings[0].codes == ("kernel-flipped",)
    assert "input-reversed" in all_codes(result)


@pytest.mark.parametrize("channels", [1, 2])
def test_channels_are_reversed_only_if_there_are_several(channels: int) -> None:
    x, w = normal(1, channels, 6, 6), normal(1, channels, 3, 3)
    result = convdiff.diff(
        x, w, conv(x, w[:, ::-1, ::-1]), padding=1, input_layout="NCHW", kernel_layout="OIHW"
    )
    assert ("kernel-channels-reversed" in all_codes(result)) == (channels > 1)


@pytest.mark.parametrize(
    ("output", "codes"),
    [
        (lambda x, w: conv(x[:, ::-1], w), {"input-channels-reversed", "kernel-channels-reversed"}),
        (
            lambda x, w: conv(x, w)[:, ::-1],
            {"output-channels-reversed", "kernel-channels-reversed"},
        ),
        (lambda x, w: conv(x[[2, 0, 1]], w), {"input-batch-permuted", "output-batch-permuted"}),
    ],
)
def test_explanations_that_are_equal_by_algebra_are_rivals(
    output: Callable[[Array, Array], Array], codes: set[str]
) -> None:
    x, w = normal(3, 3, 6, 6), normal(4, 3, 3, 3)
    result = convdiff.diff(x, w, output(x, w), padding=1)
    assert codes <= all_codes(result)
    assert any("either name is right" in note for note in result.findings[0].notes)


@pytest.mark.parametrize("with_bias", [False, True])
def test_beside_a_constant_reversed_channels_are_the_kernels_or_the_outputs(
    with_bias: bool,
) -> None:
    x, w, bias, added = normal(1, 3, 8, 8), normal(4, 3, 3, 3), normal(4), normal(4)
    output = conv(x, w) + (bias if with_bias else 0 * bias)[:, None, None] + added[:, None, None]
    asked_bias = bias if with_bias else None
    first = convdiff.diff(x, w, output[:, ::-1], bias=asked_bias, padding=1).findings[0]
    constants = {
        tuple(edit["code"] for edit in edits): edits[1]["values"]
        for edits in (first.edits, *first.rivals)
    }
    beside_the_kernels = (bias + added)[::-1] - bias if with_bias else added[::-1]
    for code, expected in (
        ("output-channels-reversed", added),
        ("kernel-channels-reversed", beside_the_kernels),
    ):
        np.testing.assert_allclose(constants[code, "bias-added"], expected, rtol=1e-4, atol=1e-5)
