"""What a bare question asks is told by the saved output; what was said stays as it was said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.arrays import from_memory
from convdiff.errors import ConvdiffError
from convdiff.spec.settings import Settings
from convdiff.verdict.infer_question import Question, infer_question
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(11)


def normal(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def correlated(
    x: Array, w: Array, lo: int, hi: int, mode: str = "constant", stride: int = 1
) -> Array:
    """The correlation of plain arrays, padded by (lo, hi) along every axis."""
    geometry = Geometry((stride,) * x.ndim, ((lo, hi),) * x.ndim, (1,) * x.ndim, 1, mode)
    return convolve(x[None, None], w[None, None], geometry)[0, 0].astype(np.float32)


def codes(result: convdiff.Result) -> list[str]:
    return [edit["code"] for finding in result.findings[:1] for edit in finding.edits]


def notes(result: convdiff.Result) -> str:
    return "; ".join(result.case.notes)


@pytest.mark.parametrize(
    ("k", "lo", "hi", "mode", "said", "expected"),
    [
        (3, 1, 1, "constant", "padding same", []),
        (3, 1, 1, "reflect", "padding same", ["wrong-pad-mode"]),
        (3, 2, 2, "constant", "padding full", []),
        (5, 1, 1, "constant", "padding 1", []),
        # The values tell on which side an even kernel's extra padding is, mirrored or not.
        (4, 1, 2, "constant", "padding same", []),
        (4, 2, 1, "constant", "padding same_lower", []),
        (4, 2, 1, "reflect", "padding same_lower", ["wrong-pad-mode"]),
    ],
)
def test_the_output_tells_the_padding(
    k: int, lo: int, hi: int, mode: str, said: str, expected: list[str]
) -> None:
    x, w = normal(14, 17), normal(k, k)
    result = convdiff.diff(x, w, correlated(x, w, lo, hi, mode))
    assert codes(result) == expected
    assert f"read as {said}: the saved output has that size; --padding picks another" in notes(
        result
    )


def test_a_flipped_kernel_under_same_is_a_flipped_kernel() -> None:
    x, w = normal(1, 1, 11, 13), normal(1, 1, 3, 3)
    y = correlated(x[0, 0], w[0, 0, ::-1, ::-1], 1, 1)
    assert codes(convdiff.diff(x, w, y)) == ["kernel-flipped"]


def test_a_strided_output_tells_whose_padding_it_has() -> None:
    x, w = normal(14, 18), normal(3, 3)
    for lo, hi, said in ((1, 1, "padding 1"), (0, 1, "padding same")):
        result = convdiff.diff(x, w, correlated(x, w, lo, hi, stride=2), stride=2)
        assert result.agrees
        assert said in notes(result)


@pytest.mark.parametrize("padding", [0, "valid"])
def test_a_padding_that_was_said_stays(padding: Any) -> None:
    x, w = normal(14, 17), normal(3, 3)
    result = convdiff.diff(x, w, correlated(x, w, 1, 1), padding=padding)
    assert codes(result) == ["wrong-padding"]
    assert "read as padding" not in notes(result)


def test_an_output_of_the_default_size_is_read_as_before() -> None:
    x, w = normal(14, 17), normal(3, 3)
    result = convdiff.diff(x, w, correlated(x, w[::-1, ::-1], 0, 0))
    assert codes(result) == ["kernel-flipped"]
    assert "read as padding" not in notes(result)


@pytest.mark.parametrize("shape", [(14, 17), (7, 9)])
def test_noise_stays_unexplained(shape: tuple[int, int]) -> None:
    result = convdiff.diff(normal(14, 17), normal(3, 3), normal(*shape))
    assert result.verdict == "different"
    assert not result.findings


def test_a_picture_and_rows_keep_their_items_apart() -> None:
    picture, w = RNG.integers(0, 256, (12, 15, 3)).astype(np.uint8), normal(3, 3)
    filtered = [
        correlated(picture[..., c].astype(np.float32), w, 1, 1, "reflect") for c in range(3)
    ]
    assert codes(convdiff.diff(picture, w, np.stack(filtered, -1))) == ["wrong-pad-mode"]
    finding = convdiff.diff(picture, w, np.stack(filtered[::-1], -1)).findings[0]
    assert "RGB/BGR" in finding.summary
    offered = [{edit["code"] for edit in edits} for edits in (finding.edits, *finding.rivals)]
    assert {"input-channels-reversed", "wrong-pad-mode"} in offered
    rows, k = normal(4, 30), normal(7)
    result = convdiff.diff(rows, k, np.stack([correlated(row, k, 3, 3) for row in rows]))
    assert result.agrees
    assert "each of the 4 items of the first axis alone" in notes(result)


def test_the_layouts_of_an_rgb_first_layer_in_two_frameworks() -> None:
    x, w = normal(1, 3, 20, 20), normal(3, 3, 3, 16)
    y = convolve(x, w.transpose(3, 2, 0, 1), Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 1))
    result = convdiff.diff(x, w, y.astype(np.float32))
    assert result.agrees
    assert "read as input NCHW, kernel HWIO, padding same" in notes(result)


def test_layouts_that_nobody_gave_are_told_beside_a_padding_that_was_said() -> None:
    x, w = normal(1, 3, 20, 20), normal(3, 3, 3, 16)
    geometry = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    y = convolve(x, w.transpose(3, 2, 0, 1), geometry).astype(np.float32)
    result = convdiff.diff(x, w, y, padding="same")
    assert result.agrees
    assert "read as input NCHW, kernel HWIO: " in notes(result)
    layouts = {"input_layout": "NCHW", "kernel_layout": "OIHW"}
    assert not convdiff.diff(x, w, y, padding="same", **layouts).agrees
    assert "kernel OIHW" in notes(convdiff.diff(x, w, normal(*y.shape), padding="same"))


def test_layouts_that_the_values_tell_apart() -> None:
    x, w = normal(1, 4, 4, 4), normal(4, 4, 4, 4)
    y = convolve(x, w, Geometry((1, 1), ((3, 3), (3, 3)), (1, 1), 1)).astype(np.float32)
    assert "kernel OIHW, padding full" in notes(convdiff.diff(x, w, y))
    with pytest.raises(ConvdiffError, match="can be read in 2 ways"):
        convdiff.diff(x, w, normal(1, 4, 1, 1))


def test_an_output_in_another_order_tells_the_padding_too() -> None:
    x, w = normal(1, 3, 9, 10), normal(4, 3, 3, 3)
    y = convolve(x, w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 1)).astype(np.float32)
    result = convdiff.diff(x, w, np.moveaxis(y, 1, -1))
    assert result.agrees
    assert "read as output NHWC, padding same" in notes(result)
    flat = convdiff.diff(x, w, y.reshape(1, -1))
    assert flat.agrees
    assert "read as padding same" in notes(flat)
    valid = convdiff.diff(x, w, np.moveaxis(y[..., 1:-1, 1:-1], 1, -1))
    assert valid.agrees
    assert "read as output NHWC: the saved output has its axes in that order" in notes(valid)


def test_a_layout_of_the_output_is_a_reading_only_where_none_was_said() -> None:
    x, w = normal(2, 3, 9, 10), normal(4, 3, 3, 3)
    y = convolve(x, w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 1)).astype(np.float32)
    last = np.moveaxis(y, 1, -1)
    assert convdiff.diff(x, w, last, padding=1).agrees
    assert convdiff.diff(x, w, last.reshape(2, 90, 4), padding=1).agrees
    for said in ({"input_layout": "NCHW"}, {"output_layout": "NCHW"}, {"as_": "torch"}):
        assert codes(convdiff.diff(x, w, last, padding=1, **said)) == ["output-axes-permuted"]
    # Rows and columns that changed places, channels among positions, a fault beside the layout.
    assert codes(convdiff.diff(x, w, np.swapaxes(y, 2, 3))) == ["output-axes-permuted"]
    assert not convdiff.diff(x, w, last.reshape(2, -1), padding=1).agrees
    assert "output-axes-permuted" in codes(convdiff.diff(x, w, 2 * last, padding=1))


def test_a_column_of_weights_runs_along_columns() -> None:
    x, w = RNG.integers(0, 256, (16, 16)).astype(np.float64), normal(5, 1).astype(np.float64)
    columns, rows = (np.apply_along_axis(np.correlate, axis, x, w[:, 0], "same") for axis in (0, 1))
    assert convdiff.diff(x, w, columns).agrees
    assert "kernel-axes-permuted" in codes(convdiff.diff(x, w, rows))
    # A row is a row however it is read.
    assert convdiff.diff(x, w.T, rows).agrees
    assert "kernel-axes-permuted" in codes(convdiff.diff(x, w.T, columns))


@pytest.mark.parametrize("pad", [0, 1])
def test_a_depthwise_kernel_of_tensorflow_is_told_by_the_channels(pad: int) -> None:
    x, w = normal(1, 10, 10, 4), normal(3, 3, 4, 2)
    oihw = w.transpose(2, 3, 0, 1).reshape(8, 1, 3, 3)
    geometry = Geometry((1, 1), ((pad, pad),) * 2, (1, 1), 4)
    y = np.moveaxis(convolve(np.moveaxis(x, -1, 1), oihw, geometry), 1, -1).astype(np.float32)
    result = convdiff.diff(x, w, y)
    assert result.agrees
    assert "kernel HWIM" in notes(result)
    layouts = {"input_layout": "NHWC", "kernel_layout": "HWIO"}
    assert not convdiff.diff(x, w, y, **layouts).agrees


@pytest.mark.parametrize("pad", [0, 1])
def test_forgotten_groups_are_told_by_the_output(pad: int) -> None:
    x, w = normal(2, 4, 9, 10), normal(6, 2, 3, 3)
    y = convolve(x, w, Geometry((1, 1), ((pad, pad),) * 2, (1, 1), 2)).astype(np.float32)
    result = convdiff.diff(x, w, y)
    assert result.agrees
    assert "groups 2" in notes(result)
    with pytest.raises(ConvdiffError, match="--groups 2 would fit"):
        convdiff.diff(x, w, normal(2, 5, 7, 7))


def test_a_forgotten_transposed_is_told_by_the_shape() -> None:
    x, w = normal(2, 4, 5, 6), normal(4, 3, 3, 3)
    g = Geometry((2, 2), ((0, 0), (0, 0)), (1, 1), 1, "constant", True, (0, 0))
    y = convolve(x, w, g).astype(np.float32)
    result = convdiff.diff(x, w, y, stride=2)
    assert result.agrees
    assert "read as transposed, input NCHW, kernel IOHW" in notes(result)
    with pytest.raises(ConvdiffError, match="no layout fits"):
        convdiff.diff(x, w, y[:, :2], stride=2)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_input_and_kernel_given_in_the_other_order(mode: Any) -> None:
    x, k = RNG.standard_normal(30), RNG.standard_normal(8)
    result = convdiff.diff(k, x, np.correlate(x, k, mode))
    assert result.agrees
    assert "read with input and kernel exchanged" in notes(result)


def test_a_kernel_longer_than_the_input_may_be_meant() -> None:
    x, k = RNG.standard_normal(8), RNG.standard_normal(30)
    result = convdiff.diff(x, k, np.correlate(x, k, "full"))
    assert result.agrees
    assert "exchanged" not in notes(result)
    with pytest.raises(ConvdiffError, match="the output would be empty"):
        convdiff.diff(x, k, RNG.standard_normal(5))


def question(x: Array, w: Array, *outputs: Array, **options: Any) -> Question:
    saved = [(f"y{n}", from_memory(y, "y")) for n, y in enumerate(outputs)]
    settings = Settings.from_mapping(options)
    return infer_question(
        from_memory(x, "x"), from_memory(w, "w"), None, settings, saved, "float32"
    )


def test_outputs_of_several_sizes_have_their_own_questions() -> None:
    x, w = normal(14, 17), normal(3, 3)
    valid, same, full = (correlated(x, w, pad, pad) for pad in range(3))
    asked = question(x, w, same, full)
    assert asked.spec.output_size == (14, 17)
    assert [(name, spec.output_size) for name, spec in asked.other_specs] == [("y1", (16, 19))]
    assert asked.notes[-1].startswith("y1 is read as padding full")
    asked = question(x, w, full, valid)
    assert asked.spec.output_size == (12, 15)
    assert [name for name, _ in asked.other_specs] == ["y0"]
    assert question(x, w, full, padding=1).other_specs == ()


def strided(x: Array, w: Array, stride: tuple[int, ...], *pads: tuple[int, int]) -> Array:
    pads = pads if len(pads) > 1 else pads * len(stride)
    geometry = Geometry(stride, pads, (1,) * len(stride), 1)
    return convolve(x, w, geometry).astype(np.float32)


@pytest.mark.parametrize(
    ("stride", "pads", "said"),
    [
        ((2, 2), (0, 0), "stride 2: the saved output has that size; --stride picks another"),
        ((2, 2), (1, 1), "stride 2, padding 1"),
        ((2, 2), (0, 1), "stride 2, padding same"),
        ((3, 3), (0, 0), "stride 3"),
        ((2, 1), (1, 1), "stride 2,1, padding"),
        ((1, 2), (0, 0), "stride 1,2"),
    ],
)
def test_the_output_tells_the_stride(
    stride: tuple[int, int], pads: tuple[int, int], said: str
) -> None:
    x, w = normal(2, 3, 14, 16), normal(4, 3, 3, 3)
    result = convdiff.diff(x, w, strided(x, w, stride, pads))
    assert result.agrees
    assert f"read as {said}" in notes(result)
    flipped = convdiff.diff(x, w, strided(x, w[..., ::-1, ::-1], stride, pads))
    assert codes(flipped) == ["kernel-flipped"]
    last = np.moveaxis(strided(x, w, stride, pads), 1, -1)
    result = convdiff.diff(np.moveaxis(x, 1, -1), np.moveaxis(w, (0, 1), (3, 2)), last)
    assert result.agrees


def test_a_stride_that_was_said_stays() -> None:
    x, w = normal(1, 3, 14, 16), normal(4, 3, 3, 3)
    y = strided(x, w, (2, 2), (1, 1))
    for options in ({"stride": 1}, {"padding": 1}):
        result = convdiff.diff(x, w, y, **options)
        assert "wrong-stride" in codes(result)
        assert result.findings[0].options == {"stride": "2", "padding": "1"}
        assert "read as stride" not in notes(result)


def test_the_only_stride_of_the_size_is_read_beside_a_fault() -> None:
    x, w = normal(1, 3, 15, 17), normal(4, 3, 3, 3)
    y = 2 * strided(x, w, (2, 2), (0, 0)) + 1
    result = convdiff.diff(x, w, y)
    assert "wrong-stride" not in codes(result)
    assert "read as stride 2" in notes(result)


def test_a_cropped_output_has_no_stride() -> None:
    x, w = normal(9, 9), normal(3, 3)
    y = correlated(x, w, 0, 0)[1:-1, 1:-1]
    result = convdiff.diff(x, w, y)
    assert codes(result) == ["wrong-padding"]
    assert "read as stride" not in notes(result)


def test_the_output_tells_a_dilation() -> None:
    x, w = normal(1, 3, 14, 16), normal(4, 3, 3, 3)
    geometry = Geometry((1, 1), ((0, 0), (0, 0)), (2, 2), 1)
    result = convdiff.diff(x, w, convolve(x, w, geometry).astype(np.float32))
    assert result.agrees
    assert "read as dilation 2: " in notes(result)


@pytest.mark.parametrize("options", [{}, {"stride": 2}])
@pytest.mark.parametrize(("pad", "tail"), [(0, 0), (1, 1), (1, 0)])
@pytest.mark.parametrize("size", [3, 4])
def test_a_larger_output_tells_a_transposed_convolution(
    options: dict[str, Any], pad: int, tail: int, size: int
) -> None:
    x, w = normal(1, 4, 7, 8), normal(4, 4, size, size)
    geometry = Geometry((2, 2), ((pad, pad),) * 2, (1, 1), 1, "constant", True, (tail, tail))
    y = convolve(x, w, geometry).astype(np.float32)
    result = convdiff.diff(x, w, y, **options)
    assert result.agrees
    assert "read as transposed" in notes(result)
    assert not convdiff.diff(x, w, normal(*y.shape), **options).findings


def each(x: Array, w: Array, axes: int, pad: int = 0) -> Array:
    """The correlation with `w` over the last axes, for every index of the first `axes`."""
    if axes == 0:
        return correlated(x, w, pad, pad)
    return np.stack([each(item, w, axes - 1, pad) for item in x])


PICTURE, PICTURES, SIGNALS = normal(3, 10, 12), normal(2, 3, 10, 12), normal(4, 30)
FILTERS, SIGNAL_FILTERS = normal(3, 3, 3), normal(6, 5)
FEW = normal(5, 3, 3)


def several(x: Array, filters: Array, axis: int = 0) -> Array:
    """The correlations with every filter, stacked along an axis."""
    return np.stack([each(x, w, x.ndim - w.ndim) for w in filters], axis=axis)


OWN, OWN_OF_TWO = (
    np.moveaxis(np.diagonal(several(x, FILTERS, axis=-3), axis1=-4, axis2=-3), -1, -3)
    for x in (PICTURE, PICTURES)
)


@pytest.mark.parametrize(
    ("x", "w", "y", "said"),
    [
        (PICTURES, FILTERS[0], each(PICTURES, FILTERS[0], 2), "filters each channel alone"),
        (
            np.moveaxis(PICTURES, 1, -1),
            FILTERS[0],
            np.moveaxis(each(PICTURES, FILTERS[0], 2, pad=1), 1, -1),
            "filters each channel alone; read as padding same",
        ),
        (PICTURE, FILTERS[0], each(PICTURE, FILTERS[0], 1).sum(axis=0), "sums over the channels"),
        (PICTURE, FILTERS, OWN, "kernel OHW"),
        (np.moveaxis(PICTURE, 0, -1), np.moveaxis(FILTERS, 0, -1), np.moveaxis(OWN, 0, -1), "HWO"),
        (PICTURE, FILTERS, OWN.sum(axis=0), "kernel DHW"),
        (PICTURES, FILTERS, OWN_OF_TWO, "input NCHW, kernel OHW"),
        (PICTURE[0], FEW, several(PICTURE[0], FEW), "input HW, kernel OHW"),
        (PICTURE[0], np.moveaxis(FEW, 0, -1), several(PICTURE[0], FEW, -1), "kernel HWO"),
        (PICTURE[0], np.moveaxis(FEW, 0, -1), several(PICTURE[0], FEW), "kernel HWO"),
        (SIGNALS, SIGNAL_FILTERS, several(SIGNALS, SIGNAL_FILTERS, 1), "input NW, kernel OW"),
        (SIGNALS[0], SIGNAL_FILTERS, several(SIGNALS[0], SIGNAL_FILTERS), "input W, kernel OW"),
        (PICTURE, FEW, several(PICTURE, FEW, 1), "input NHW, kernel OHW"),
        (PICTURE, FEW[:, None], several(PICTURE, FEW, 1), "input NHW, kernel OIHW"),
        (PICTURE, FEW[0, None, None], each(PICTURE, FEW[0], 1), "input NHW"),
    ],
)
def test_shapes_that_plainly_mean_one_thing(x: Array, w: Array, y: Array, said: str) -> None:
    result = convdiff.diff(x, w, y)
    assert result.agrees
    assert said in notes(result)


def test_a_plain_kernel_over_channels_is_read_with_a_fault_too() -> None:
    y = each(PICTURES, FILTERS[0, ::-1, ::-1], 2, pad=1)
    result = convdiff.diff(PICTURES, FILTERS[0], y)
    assert codes(result) == ["kernel-flipped"]
    with pytest.raises(ConvdiffError, match="found 4 and 2 axes"):
        convdiff.diff(PICTURES, FILTERS[0], normal(2, 4, 10, 12))


def test_an_output_in_the_layout_of_the_kernel() -> None:
    x, w = normal(10, 12, 3), normal(4, 3, 3, 3)
    y = convolve(np.moveaxis(x, -1, 0)[None], w, Geometry((1, 1), ((0, 0),) * 2, (1, 1), 1))[0]
    result = convdiff.diff(x, w, y.astype(np.float32))
    assert result.agrees
    assert "output CHW" in notes(result)
