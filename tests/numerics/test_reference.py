"""The reference is the convolution by its definition, with the scale of its rounding errors."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convdiff.errors import ConvdiffError
from convdiff.numerics import reference as module
from convdiff.numerics.precision import cast
from convdiff.numerics.reference import compute_reference
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from tests.diagnose.faults import draw
from tests.diagnose.naive import Array, convolve


def spec_of(x: Array, w: Array, options: dict[str, Any], bias: bool = False) -> ConvSpec:
    return read_spec(x.shape, w.shape, Settings.from_mapping(options), bias=bias, dtype="float64")[
        0
    ]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("block_bytes", [1, 4 << 20])
def test_any_geometry_gives_the_convolution_by_its_definition(
    seed: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    drawn = draw(np.random.default_rng(seed))
    spec = spec_of(drawn.x, drawn.w, drawn.options(), drawn.bias is not None)
    output, scale = compute_reference(spec, drawn.x, drawn.w, drawn.bias)
    expected, size = (
        convolve(x, w, drawn.geometry)
        for x, w in ((drawn.x, drawn.w), (np.abs(drawn.x), np.abs(drawn.w)))
    )
    if drawn.bias is not None:
        bias = drawn.bias.reshape(1, -1, *(1,) * spec.rank)
        expected, size = expected + bias, size + np.abs(bias)
    assert output.dtype == np.float64
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-12 * float(size.max()))
    np.testing.assert_allclose(scale, size, rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "dtype"), [(1.0, np.float32), (1e-20, np.float64), (1e25, np.float64)]
)
def test_the_scale_is_computed_in_float64_where_float32_would_over_or_underflow(
    size: float, dtype: type
) -> None:
    x, w = np.full((1, 1, 4, 4), size), np.full((1, 1, 2, 2), size)
    scale = compute_reference(spec_of(x, w, {}), x, w).scale
    assert scale.dtype == dtype
    np.testing.assert_allclose(scale, 4 * size**2)


def test_the_arrays_lie_in_the_layouts_of_the_spec() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 6, 7)), rng.standard_normal((4, 3, 3, 2))
    expected = compute_reference(spec_of(x, w, {}), x, w).output
    for input_layout, kernel_layout in itertools.product(("NCHW", "NHWC"), ("OIHW", "HWIO")):
        layouts = {"input_layout": input_layout, "kernel_layout": kernel_layout}
        given = (
            x if input_layout == "NCHW" else x.transpose(0, 2, 3, 1),
            w if kernel_layout == "OIHW" else w.transpose(2, 3, 1, 0),
        )
        output = compute_reference(spec_of(*given, layouts), *given).output
        np.testing.assert_allclose(output, expected, atol=1e-12)


def test_an_output_larger_than_the_memory_is_refused() -> None:
    x, w = np.ones((1, 1, 8, 8)), np.ones((1, 1, 3, 3))
    spec = spec_of(x, w, {"padding": 10_000_000})
    with pytest.raises(ConvdiffError, match=r"the output of 1x1x\d+x\d+ needs \d+ GiB"):
        compute_reference(spec, x, w)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("each", [False, True])
def test_numbers_in_the_padding_are_read_like_those_of_the_input(seed: int, each: bool) -> None:
    rng = np.random.default_rng(seed)
    drawn = next(d for d in (draw(rng) for _ in range(99)) if not d.geometry.transposed)
    numbers = rng.integers(-3, 4, drawn.x.shape[1]) + 0.25
    numbers = numbers if each else np.full(len(numbers), numbers[0])
    options = {**drawn.options(), "pad_mode": "constant", "pad_value": numbers}
    geometry = replace(drawn.geometry, pad_mode="constant", pad_values=tuple(numbers.tolist()))
    spec = spec_of(drawn.x, drawn.w, options)
    output, scale = compute_reference(spec, drawn.x, drawn.w)
    size = replace(geometry, pad_values=tuple(np.abs(numbers).tolist()))
    magnitudes = convolve(np.abs(drawn.x), np.abs(drawn.w), size)
    np.testing.assert_allclose(
        output, convolve(drawn.x, drawn.w, geometry), rtol=0, atol=1e-12 * magnitudes.max()
    )
    np.testing.assert_allclose(scale, magnitudes, rtol=1e-5)


def test_the_scale_counts_a_large_number_in_the_padding() -> None:
    x, w = np.ones((1, 1, 3)), np.ones((1, 1, 3))
    scale = compute_reference(spec_of(x, w, {"padding": 1, "pad_value": -1e38}), x, w).scale
    np.testing.assert_allclose(scale, [[[1e38, 3, 1e38]]])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float16", "float32"])
def test_the_inputs_type_need_not_hold_the_numbers(dtype: str) -> None:
    x, w = np.ones((1, 1, 2), dtype), np.ones((1, 1, 3))
    output = compute_reference(spec_of(x, w, {"padding": 1, "pad_value": -70000.1}), x, w).output
    np.testing.assert_allclose(output, [[[-69998.1, -69998.1]]], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_numbers_are_rounded_to_the_asked_type(dtype: str) -> None:
    x, w = np.zeros((1, 1, 1)), np.ones((1, 1, 3))
    options = {"padding": 1, "pad_value": 0.1, "input_layout": "NCW", "kernel_layout": "OIW"}
    spec = replace(spec_of(x, w, options), dtype=dtype)
    expected = 2 * float(cast(np.array([0.1]), dtype)[0])
    assert compute_reference(spec, x, w).output.item() == expected != 0.2
