"""Numbers in the padding, and averages at the border, beside other faults; what looks like them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.records import Edit
from tests.diagnose.findings import conv, explanations, first_edits, normal, summary
from tests.diagnose.naive import Array, Geometry, convolve

ONE, EACH = (1.85,) * 3, (0.75, -1.25, 0.5)
AVERAGED = [{"code": "averaged-by-count"}]


def arrays(rank: int, size: int = 11) -> tuple[Array, Array]:
    """An input of three channels and a kernel of four."""
    size = size if rank < 3 else 7
    return normal(2, 3, *(size,) * rank), normal(4, 3, *(3,) * rank)


def pad_value(obtained: object, asked: object = 0) -> Edit:
    return {"code": "wrong-pad-value", "asked": asked, "obtained": obtained}


def as_found(values: tuple[float, ...]) -> object:
    return values[0] if values == ONE else list(values)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("values", [ONE, EACH])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2}])
def test_the_numbers_are_read_off(
    rank: int, values: tuple[float, ...], options: dict[str, Any]
) -> None:
    x, w = arrays(rank)
    obtained = conv(x, w, 2, pad_values=values, **options)
    assert first_edits(x, w, obtained, padding=2, **options) == [pad_value(as_found(values))]


@pytest.mark.parametrize("values", [ONE, EACH])
@pytest.mark.parametrize("flipped", [False, True])
def test_the_numbers_are_read_off_where_one_axis_has_constant_padding(
    values: tuple[float, ...], flipped: bool
) -> None:
    x, w = arrays(2)
    kernel = np.flip(w, (2, 3)) if flipped else w
    wrapped = np.pad(x, ((0, 0), (0, 0), (0, 0), (2, 2)), mode="wrap")
    obtained = conv(wrapped, kernel, ((2, 2), (0, 0)), pad_values=values)
    modes = ["constant", "wrap"]
    edits = first_edits(x, w, obtained, padding=2, pad_mode=modes)
    assert [edit for edit in edits if edit["code"] != "kernel-flipped"] == [
        pad_value(as_found(values))
    ]
    right = convdiff.diff(x, kernel, obtained, padding=2, pad_mode=modes, pad_value=values)
    assert right.verdict in ("identical", "rounding")


@pytest.mark.parametrize("value", [-128.0, 255.0, 0.00784, 1 / 3])
def test_any_number_is_read_off(value: float) -> None:
    x, w = arrays(2)
    (edit,) = first_edits(x, w, conv(x, w, 1, pad_values=(value,) * 3), padding=1)
    assert edit["obtained"] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("values", [ONE, EACH])
@pytest.mark.parametrize("groups", [1, 3])
def test_the_numbers_are_read_off_beside_groups(groups: int, values: tuple[float, ...]) -> None:
    x, w = normal(1, 3, 9, 8), normal(6, 3 // groups, 3, 3)
    obtained = conv(x, w, 1, groups=groups, pad_values=values)
    assert first_edits(x, w, obtained, padding=1, groups=groups) == [pad_value(as_found(values))]


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("values", [ONE, EACH])
@pytest.mark.parametrize(
    ("code", "change", "options"),
    [
        ("kernel-flipped", lambda x, w: (x, np.flip(w, (*range(2, w.ndim),))), {}),
        ("input-channels-reversed", lambda x, w: (x[:, ::-1], w), {}),
        ("wrong-stride", lambda x, w: (x, w), {"stride": 2}),
        ("wrong-dilation", lambda x, w: (x, w), {"dilation": 2}),
        ("wrong-padding", lambda x, w: (x, w), {"padding": 2}),
    ],
)
def test_the_numbers_are_read_off_beside_another_fault(
    rank: int,
    values: tuple[float, ...],
    code: str,
    change: Callable[[Array, Array], tuple[Array, Array]],
    options: dict[str, Any],
) -> None:
    x, w = arrays(rank)
    obtained = conv(*change(x, w), **{"padding": 1, **options}, pad_values=values)
    edits = {edit["code"]: edit for edit in first_edits(x, w, obtained, padding=1)}
    assert sorted(edits) == sorted([code, "wrong-pad-value"]), edits
    assert edits["wrong-pad-value"] == pad_value(as_found(values))


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("bias-missing", lambda sums, bias: sums),
        ("bias-doubled", lambda sums, bias: sums + 2 * bias),
        ("bias-added", lambda sums, bias: sums + bias + normal(4, 1, 1, seed=2)),
        ("scaled", lambda sums, bias: (sums + bias) * np.float32(1.7)),
        ("activation-applied", lambda sums, bias: np.maximum(sums + bias, 0)),
        ("output-channels-reversed", lambda sums, bias: (sums + bias)[:, ::-1]),
    ],
)
def test_the_numbers_are_read_off_beside_a_change_of_the_output(
    code: str, change: Callable[[Array, Array], Array]
) -> None:
    (x, w), bias = arrays(2), normal(4)
    obtained = change(conv(x, w, 1, pad_values=EACH), bias[:, None, None])
    edits = {e["code"]: e for e in first_edits(x, w, obtained, padding=1, bias=bias)}
    assert sorted(edits) == sorted([code, "wrong-pad-value"]), edits
    assert edits["wrong-pad-value"] == pad_value(list(EACH))


@pytest.mark.parametrize("values", [ONE, EACH])
def test_the_numbers_are_read_off_beside_two_faults(values: tuple[float, ...]) -> None:
    x, w = arrays(2)
    obtained = conv(x[:, ::-1], np.flip(w, (2, 3)), 1, pad_values=values)
    edits = {edit["code"]: edit for edit in first_edits(x, w, obtained, padding=1)}
    assert sorted(edits) == ["input-channels-reversed", "kernel-flipped", "wrong-pad-value"]
    assert edits["wrong-pad-value"] == pad_value(as_found(values))


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap", "symmetric"])
@pytest.mark.parametrize("constant", [True, False])
def test_a_pad_mode_is_no_number(mode: str, constant: bool) -> None:
    x, w = arrays(2)
    x = np.full_like(x, 1.5) if constant else x
    (edit,) = first_edits(x, w, conv(x, w, 1, pad_mode=mode), padding=1)
    assert edit["code"] == "wrong-pad-mode"


def test_a_bias_is_no_number_in_the_padding() -> None:
    x, w = arrays(2)
    (edit,) = first_edits(x, w, conv(x, w, 1) + 2.5, padding=1)
    assert edit["code"] == "bias-added"


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("constant", [True, False])
def test_another_border_is_no_number_in_the_padding(rank: int, constant: bool) -> None:
    x, w = arrays(rank)
    x, w = (np.full_like(x, 1.5), np.ones_like(w)) if constant else (x, w)
    sums = conv(x, w, 1)
    inside = conv(np.ones_like(x), np.ones_like(w), 1)
    is_border = inside < inside.max()
    last = np.zeros_like(sums)
    last[..., -1] = 1
    borders = {
        "averaged by count": sums * inside.max() / inside,
        "never computed": np.where(is_border, 0, sums),
        "another constant": np.where(is_border, 7, sums),
        "noise": np.where(is_border, sums + normal(*sums.shape), sums),
        "a constant in the last column": sums + last * normal(4, *(1,) * rank),
    }
    for name, border in borders.items():
        result = convdiff.diff(x, w, border.astype(np.float32), padding=1)
        codes = [edit["code"] for finding in result.findings for edit in finding.edits]
        assert "wrong-pad-value" not in codes, name


def test_whole_numbers_padded_with_their_zero_point() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (1, 3, 8, 9)).astype(np.float32)
    w = rng.integers(-128, 128, (4, 3, 3, 3)).astype(np.float32)
    obtained = conv(x, w, 1, pad_values=(-7.0,) * 3)
    assert first_edits(x, w, obtained, padding=1) == [pad_value(-7)]


def test_two_whole_numbers_at_the_border_are_no_evidence() -> None:
    x = np.arange(1, 9, dtype=np.float32).reshape(1, 1, 8)
    w = np.ones((1, 1, 3), np.float32)
    obtained = conv(x, w, 1)
    obtained[..., 0] += 2
    obtained[..., -1] += 2
    assert not convdiff.diff(x, w, obtained, padding=1).findings


def inside(shape: tuple[int, ...], kernel: Array) -> Array:
    """The sum of the kernel's values, (O, 1, H, W), inside an input padded by 1."""
    return conv(np.ones((1, 1, *shape), np.float32), kernel, 1)


@pytest.mark.parametrize("total", [9, 1])
def test_an_average_leaves_the_padding_out(total: int) -> None:
    x, w = normal(2, 1, 8, 9), np.full((1, 1, 3, 3), total / 9, np.float32)
    obtained = conv(x, np.ones_like(w), 1) / inside((8, 9), np.ones_like(w))
    assert first_edits(x, w, obtained, padding=1) == AVERAGED


def test_a_normalized_filter_divides_by_the_weights_inside() -> None:
    x = normal(1, 1, 8, 9)
    w = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32)[None, None]
    obtained = conv(x, w, 1) / inside((8, 9), w)
    for asked in (w, w / 16):
        assert first_edits(x, asked, obtained, padding=1) == AVERAGED


def test_a_partial_convolution_adds_its_bias_afterwards() -> None:
    x, w, bias = normal(1, 2, 8, 9), normal(3, 2, 3, 3), normal(3)
    counts = inside((8, 9), np.ones((1, 1, 3, 3), np.float32))
    obtained = conv(x, w, 1) * 9 / counts + bias.reshape(1, -1, 1, 1)
    found = first_edits(x, w, obtained.astype(np.float32), bias=bias, padding=1)
    assert found == AVERAGED


def test_an_average_without_padding_is_right() -> None:
    x, w = normal(1, 1, 8, 9), np.full((1, 1, 3, 3), 1 / 9, np.float32)
    assert convdiff.diff(x, w, conv(x, w)).agrees
    scaled = explanations(x, w, conv(x, w) * 9)
    assert AVERAGED not in scaled and scaled[0][0]["code"] == "scaled"


def test_another_padding_or_other_numbers_are_no_average() -> None:
    x, w = normal(1, 1, 8, 9), np.full((1, 1, 3, 3), 1 / 9, np.float32)
    edge = conv(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "edge"), w)
    assert first_edits(x, w, edge, padding=1)[0]["code"] == "wrong-pad-mode"
    border = conv(x, w, 1)
    border[..., 0, :] *= 1.7
    assert not convdiff.diff(x, w, border, padding=1).findings


def test_known_counts_win_over_fitted_ones() -> None:
    x, w = normal(1, 2, 8, 9), normal(3, 2, 2, 2)
    counts = inside((8, 9), np.ones((1, 1, 2, 2), np.float32))
    obtained = conv(x, w, 1) * 4 / counts
    assert first_edits(x, w, obtained, padding=1) == AVERAGED


@pytest.mark.parametrize(
    ("code", "change", "options"),
    [
        ("kernel-flipped", lambda x, w: (x, np.flip(w, (2, 3))), {}),
        ("input-channels-reversed", lambda x, w: (x[:, ::-1], w), {}),
        ("wrong-stride", lambda x, w: (x, w), {"stride": 2}),
        ("wrong-padding", lambda x, w: (x, w), {"padding": 2}),
    ],
)
def test_an_average_is_found_beside_another_fault(
    code: str, change: Callable[[Array, Array], tuple[Array, Array]], options: dict[str, Any]
) -> None:
    x, w = arrays(2)
    asked = {"padding": 1, **options}
    counts = conv(np.ones_like(x[:1, :1]), np.ones((1, 1, 3, 3), np.float32), **asked)
    found = first_edits(x, w, conv(*change(x, w), **asked) * 9 / counts, padding=1)
    assert sorted(edit["code"] for edit in found) == sorted(["averaged-by-count", code])


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("bias-added", lambda averages: averages + normal(4, 1, 1)),
        ("activation-applied", lambda averages: np.maximum(averages, 0)),
        ("clipped", lambda averages: np.clip(averages, -2, 2.5)),
        ("stored-as-integer", np.floor),
        ("reduced-precision", np.rint),
    ],
)
def test_an_average_is_found_beside_a_change_of_the_output(
    code: str, change: Callable[[Array], Array]
) -> None:
    x, w = arrays(2)
    w = w * 10 if code in ("stored-as-integer", "reduced-precision") else w
    averages = conv(x, w, 1) * 9 / inside((11, 11), np.ones((1, 1, 3, 3), np.float32))
    found = first_edits(x, w, change(averages).astype(np.float32), padding=1)
    assert sorted(edit["code"] for edit in found) == sorted(["averaged-by-count", code])


def test_the_number_in_the_padding_of_a_picture_is_found_in_rounded_pixels() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (1, 1, 16, 18)).astype(np.float32)
    blur = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32)[None, None] / 256
    obtained = np.rint(conv(picture, blur, 2, pad_values=(99.0,))).astype(np.uint8)
    found = {edit["code"]: edit for edit in first_edits(picture, blur, obtained, padding=2)}
    assert found["wrong-pad-value"] == pad_value(99)
    assert found["stored-as-integer"]["rounding"] == "nearest"


def test_overlapping_patches_are_divided_by_how_many_cover_each_position() -> None:
    # torch's F.fold of patches, divided by F.fold of ones.
    patches = normal(1, 9, 4, 5)
    one_hot = np.eye(9, dtype=np.float32).reshape(9, 1, 3, 3)
    folded, counts = (
        convolve(
            each, one_hot, Geometry((2, 2), ((0, 0),) * 2, (1, 1), 1, "constant", True, (0, 0))
        )
        for each in (patches, np.ones_like(patches))
    )
    options = {"transposed": True, "stride": 2, "kernel_layout": "IOHW", "input_layout": "NCHW"}
    found = first_edits(patches, one_hot, (folded / counts).astype(np.float32), **options)
    assert found == AVERAGED


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("values", [ONE, EACH])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2}])
def test_numbers_that_were_asked_agree(
    rank: int, values: tuple[float, ...], options: dict[str, Any]
) -> None:
    x, w = arrays(rank)
    obtained = conv(x, w, 2, pad_values=values, **options)
    assert convdiff.diff(x, w, obtained, padding=2, pad_value=values, **options).agrees


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    ("asked", "obtained"),
    [
        (5, (0.0,)),
        (5, (7.25,)),
        (5, EACH),
        ([1, -2, 3], (0.0,)),
        ([1, -2, 3], (1.0,)),
        ([1, -2, 3], (3.0, -2.0, 1.0)),
        ([1, -2, 3], (1.0, -2.0, 4.0)),
    ],
)
def test_other_numbers_than_asked_are_read_off(
    rank: int, asked: Any, obtained: tuple[float, ...]
) -> None:
    x, w = arrays(rank)
    values = obtained * 3 if len(obtained) == 1 else obtained
    found = first_edits(x, w, conv(x, w, 1, pad_values=values), padding=1, pad_value=asked)
    assert found == [pad_value(obtained[0] if len(obtained) == 1 else list(obtained), asked)]


@pytest.mark.parametrize("asked", [5, [1, -2, 3]])
def test_zeros_where_numbers_were_asked_are_found_beside_another_fault(asked: Any) -> None:
    x, w = arrays(2)
    flipped = conv(x, np.flip(w, (2, 3)), 1)
    edits = {edit["code"]: edit for edit in first_edits(x, w, flipped, padding=1, pad_value=asked)}
    assert sorted(edits) == ["kernel-flipped", "wrong-pad-value"]
    assert edits["wrong-pad-value"] == pad_value(0.0, asked)


@pytest.mark.parametrize("asked", [5, [1, -2, 3]])
@pytest.mark.parametrize("groups", [1, 3])
def test_other_faults_are_found_where_numbers_were_asked(asked: Any, groups: int) -> None:
    x, w = normal(2, 3, 9, 8), normal(6, 3 // groups, 3, 3)
    values = tuple(map(float, asked if isinstance(asked, list) else [asked] * 3))
    options = {"groups": groups, "pad_values": values}
    outputs = {
        "kernel-flipped": conv(x, np.flip(w, (2, 3)), 1, **options),
        "input-channels-reversed": conv(x[:, ::-1], w, 1, **options),
        "wrong-padding": conv(x, w, 2, **options),
        "wrong-stride": conv(x, w, 1, stride=2, **options),
        "wrong-dilation": conv(x, w, 1, dilation=2, **options),
        "wrong-pad-mode": conv(x, w, 1, groups=groups, pad_mode="reflect"),
        "output-channels-reversed": conv(x, w, 1, **options)[:, ::-1],
        "scaled": 3 * conv(x, w, 1, **options),
        "bias-added": conv(x, w, 1, **options) + 1.5,
        "output-rolled": np.roll(conv(x, w, 1, **options), 2, -1),
    }
    for code, obtained in outputs.items():
        found = first_edits(x, w, obtained, padding=1, groups=groups, pad_value=asked)
        assert [edit["code"] for edit in found] == [code]


def test_a_constant_where_a_pad_mode_was_asked() -> None:
    x, w = arrays(2)
    obtained = conv(x, w, 1, pad_values=ONE)
    edits = {e["code"]: e for e in first_edits(x, w, obtained, padding=1, pad_mode="edge")}
    assert sorted(edits) == ["wrong-pad-mode", "wrong-pad-value"]


def test_the_words_name_both_numbers() -> None:
    x, w = arrays(2)
    assert summary(x, w, conv(x, w, 1), padding=1, pad_value=-0.5) == (
        "the padding held 0 instead of -0.5"
    )
    assert summary(x, w, conv(x, w, 1), padding=1, pad_value=EACH) == (
        "the padding held 0 instead of a number for each input channel (0.75, -1.25, 0.5)"
    )


def test_noise_at_the_border_stays_unexplained_where_numbers_were_asked() -> None:
    x, w = arrays(2)
    obtained = conv(x, w, 1, pad_values=EACH)
    obtained[..., 0] += normal(*obtained.shape[:-1])
    assert not convdiff.diff(x, w, obtained, padding=1, pad_value=EACH).findings


@pytest.mark.parametrize(("asked", "rivals"), [([1, -2, 3], 1), ([1, -2, 1], 2), (5, 2)])
def test_channels_reversed_are_told_apart_by_the_numbers_of_the_channels(
    asked: Any, rivals: int
) -> None:
    x, w = arrays(2)
    values = tuple(map(float, asked if isinstance(asked, list) else [asked] * 3))
    for code, obtained in (
        ("kernel-channels-reversed", conv(x, w[:, ::-1], 1, pad_values=values)),
        ("input-channels-reversed", conv(x[:, ::-1], w, 1, pad_values=values)),
    ):
        found = explanations(x, w, obtained, padding=1, pad_value=asked)
        assert len(found) == rivals
        assert code in [edit["code"] for edits in found for edit in edits]
