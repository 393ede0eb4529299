"""A complex convolution is the real one of its parts, within a bound that holds for both parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convdiff.numerics.agreement import is_output_of
from convdiff.numerics.complex_parts import (
    EXTRA_ROUNDINGS,
    channel_parts,
    joined_parts,
    kernel_parts,
    real_parts,
    with_common_scale,
    with_whole_nonfinite,
)
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import compute_reference
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from tests.specs import SPECS, conv


def draw(shape: tuple[int, ...], seed: int, dtype: type = np.complex128) -> Array:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)


def complex_arrays(spec: ConvSpec, dtype: type = np.complex128) -> tuple[Array, Array]:
    return draw(spec.shape("input"), 0, dtype), draw(spec.shape("kernel"), 1, dtype)


def test_parts_and_their_join_are_inverse() -> None:
    array = draw((2, 3, 4, 5), 0)
    assert np.array_equal(joined_parts(channel_parts(array)), array)
    assert channel_parts(array.real).shape == (2, 6, 4, 5)
    assert not channel_parts(array.real)[:, 1::2].any()


@pytest.mark.parametrize("title", SPECS)
def test_the_parts_sum_to_the_complex_convolution(title: str) -> None:
    spec = replace(SPECS[title], dtype="complex128", bias=False)
    real = replace(spec, dtype="float64")
    x, w = complex_arrays(spec)
    parts = real_parts(spec, x, w, None)
    obtained = joined_parts(compute_reference(parts.spec, parts.input, parts.kernel).output)

    # A real number in the padding has no imaginary part.
    imaginary = replace(real, pad_value=0)

    def of(spec: ConvSpec, a: Array, b: Array) -> Array:
        return compute_reference(spec, a, b).output

    expected = of(real, x.real, w.real) - of(imaginary, x.imag, w.imag)
    expected = expected + 1j * (of(real, x.real, w.imag) + of(imaginary, x.imag, w.real))
    np.testing.assert_allclose(obtained, expected, atol=1e-12)


def test_a_real_kernel_has_blocks_without_imaginary_parts() -> None:
    blocks = kernel_parts(np.ones((1, 1, 3)))
    assert np.array_equal(blocks[:, :, 0], np.eye(2))


@pytest.mark.parametrize("products", [3, 4])
@pytest.mark.parametrize("channels", [1, 2, 64])
@pytest.mark.parametrize("imaginary", [1.0, 1e-6, 0.0])
def test_both_ways_to_multiply_stay_within_the_bound(
    products: int, channels: int, imaginary: float
) -> None:
    spec = conv(n=30, k=1, c=channels, o=4, dtype="complex64")
    x, w = complex_arrays(spec, np.complex64)
    x, w = (a.real + np.complex64(1j * imaginary) * a.imag for a in (x, w))
    real = replace(spec, dtype="float32")

    def of(a: Array, b: Array) -> Array:
        a, b = a.astype(np.float32), b.astype(np.float32)
        return np.einsum("nchw,oc->nohw", a, b[:, :, 0, 0])

    first, second = of(x.real, w.real), of(x.imag, w.imag)
    if products == 3:
        cross = of(x.real + x.imag, w.real + w.imag) - first - second
    else:
        cross = of(x.real, w.imag) + of(x.imag, w.real)
    output = (first - second + 1j * cross).astype(np.complex64)
    parts = real_parts(spec, x, w, None)
    expected = with_common_scale(compute_reference(parts.spec, parts.input, parts.kernel))
    rounding = Rounding("float32", "float32", parts.spec.terms + EXTRA_ROUNDINGS)
    units = rounding.excess_units(channel_parts(output), *expected)
    assert units.max() <= rounding.bound_units
    assert is_output_of(spec, x, w, None, output)
    assert not is_output_of(real, x.real, w.real, None, output + np.complex64(1))


def test_an_element_with_a_nonfinite_part_is_nonfinite_as_a_whole() -> None:
    array = np.array([[1 + 2j, complex(np.inf, 1), complex(3, np.nan)]])
    whole = joined_parts(with_whole_nonfinite(channel_parts(array)))
    assert np.array_equal(np.isfinite(whole), [[True, False, False]])
    assert np.isnan(whole.real[0, 1]) and np.isnan(whole.imag[0, 1])
