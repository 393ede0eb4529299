"""What arrays cannot show, each pinned with the rivals it must name."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Geometry, convolve

RNG = np.random.default_rng(5)


def conv(x: np.ndarray, w: np.ndarray, pad: int = 1) -> np.ndarray:
    return convolve(x, w, Geometry((1, 1), ((pad, pad), (pad, pad)), (1, 1))).astype(np.float32)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def all_codes(result: convdiff.Result) -> set[str]:
    first = result.findings[0]
    return {edit["code"] for edits in (first.edits, *first.rivals) for edit in edits}


def test_a_symmetric_kernel_hides_its_flip() -> None:
    x, half = normal(1, 2, 6, 6), normal(2, 2, 3, 3)
    w = half + half[:, :, ::-1, ::-1]
    result = convdiff.diff(x, w, conv(x, w[:, :, ::-1, ::-1]), padding=1)
    assert result.agrees
    assert any("symmetric" in note for note in result.case.notes)


def test_a_1x1_kernel_in_and_out_exchanged_is_not_a_flip() -> None:
    x, w = normal(2, 3, 5, 5), normal(3, 3, 1, 1)
    result = convdiff.diff(x, w, conv(x, w.swapaxes(0, 1), 0))
    assert result.findings[0].codes == ("kernel-axes-permuted",)


def test_all_ones_leave_groups_and_a_factor_as_rivals() -> None:
    x, w = np.ones((1, 4, 6, 6), np.float32), np.ones((4, 4, 3, 3), np.float32)
    obtained = convolve(x, w[:, :2], Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), groups=2)).astype(
        np.float32
    )
    result = convdiff.diff(x, w, obtained, padding=1)
    assert {"wrong-groups", "scaled"} <= all_codes(result)
    assert any("all equal" in note for note in result.case.notes)


def test_one_output_element_leaves_the_reversed_input_as_a_rival() -> None:
    x, w = normal(1, 1, 4, 4), normal(1, 1, 4, 4)
    result = convdiff.diff(
        x, w, conv(x, w[:, :, ::-1, ::-1], 0), input_layout="NCHW", kernel_layout="OIHW"
    )
    assert result.findings[0].codes == ("kernel-flipped",)
    assert "input-reversed" in all_codes(result)


def test_input_and_kernel_channels_reversed_cannot_be_told_apart() -> None:
    x, w = normal(1, 3, 6, 6), normal(4, 3, 3, 3)
    result = convdiff.diff(x, w, conv(x[:, ::-1], w), padding=1)
    assert {"input-channels-reversed", "kernel-channels-reversed"} <= all_codes(result)


@pytest.mark.parametrize("channels", [1, 2])
def test_one_channel_has_no_order(channels: int) -> None:
    x, w = normal(1, channels, 6, 6), normal(1, channels, 3, 3)
    result = convdiff.diff(
        x, w, conv(x, w[:, ::-1, ::-1]), padding=1, input_layout="NCHW", kernel_layout="OIHW"
    )
    assert ("kernel-channels-reversed" in all_codes(result)) == (channels > 1)


@pytest.mark.parametrize(
    ("twin", "other"),
    [
        (lambda x, w: conv(x[:, ::-1], w), {"input-channels-reversed", "kernel-channels-reversed"}),
        (
            lambda x, w: conv(x, w)[:, ::-1],
            {"output-channels-reversed", "kernel-channels-reversed"},
        ),
        (lambda x, w: conv(x[[2, 0, 1]], w), {"input-batch-permuted", "output-batch-permuted"}),
    ],
)
def test_what_is_the_same_by_algebra_is_always_a_rival(twin, other: set[str]) -> None:
    x, w = normal(3, 3, 6, 6), normal(4, 3, 3, 3)
    result = convdiff.diff(x, w, twin(x, w), padding=1)
    assert other <= all_codes(result)
    assert any("either name is right" in note for note in result.findings[0].notes)


def test_an_end_padding_that_no_window_reaches_is_a_rival() -> None:
    x, w = normal(1, 2, 8, 8), normal(2, 2, 3, 3)
    obtained = convolve(x, w, Geometry((2, 2), ((0, 1), (0, 1)), (1, 1))).astype(np.float32)
    first = convdiff.diff(x, w, obtained, padding=1, stride=2).findings[0]
    told = [edits[0]["obtained"] for edits in (first.edits, *first.rivals)]
    assert [[0, 1], [0, 1]] in told
    assert [[0, 2], [0, 2]] in told


@pytest.mark.parametrize("asked", [False, True])
def test_channels_reversed_beside_a_bias_not_asked_for_are_the_kernels_or_the_outputs(
    asked: bool,
) -> None:
    x, w, bias, added = normal(1, 3, 8, 8), normal(4, 3, 3, 3), normal(4), normal(4)
    made = conv(x, w) + (bias if asked else 0 * bias)[:, None, None] + added[:, None, None]
    first = convdiff.diff(x, w, made[:, ::-1], bias=bias if asked else None, padding=1).findings[0]
    values = {
        tuple(edit["code"] for edit in edits): edits[1]["values"]
        for edits in (first.edits, *first.rivals)
    }
    np.testing.assert_allclose(
        values["output-channels-reversed", "bias-added"], added, rtol=1e-4, atol=1e-5
    )
    kernels = (bias + added)[::-1] - bias if asked else added[::-1]
    np.testing.assert_allclose(
        values["kernel-channels-reversed", "bias-added"], kernels, rtol=1e-4, atol=1e-5
    )


def test_another_size_speaks_for_another_padding_where_few_whole_numbers_do_not() -> None:
    x, w = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 0, -1, 2])
    made = np.convolve(np.pad(x, 2), w, "valid")
    edits = convdiff.diff(x, w, made, padding="same").findings[0].edits
    assert [edit["code"] for edit in edits] == ["kernel-flipped", "wrong-padding"]
    rng = np.random.default_rng(0)
    for size in (3, 6, 7, 8):
        noise = rng.integers(0, 5, size).astype(float)
        assert not convdiff.diff(x, w, noise, padding="same").findings
