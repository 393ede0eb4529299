"""Rounding explains what rounding does, and nothing larger."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import convdiff
from convdiff.numerics import error_bound
from convdiff.numerics.error_bound import (
    Rounding,
    compare,
    fast_algorithm_units,
    within_normwise_bound,
)
from convdiff.numerics.precision import to_bfloat16
from convdiff.numerics.reference import Reference
from tests.diagnose.naive import Array, Geometry, convolve

FLOAT32 = Rounding("float32", "float32", 27)
U = 2.0**-24


def units_of(obtained: float, expected: float, scale: float, rounding: Rounding = FLOAT32) -> float:
    arrays = (np.array([value], np.float64) for value in (obtained, expected, scale))
    with np.errstate(all="ignore"):
        return float(rounding.excess_units(*arrays)[0])


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_units_do_not_depend_on_the_scale_of_the_data(size: float) -> None:
    assert units_of((1 + 5 * U) * size, size, size) == pytest.approx(5)
    # An element whose terms nearly cancel is measured by the size of the terms.
    assert units_of(5 * U * size, 0.0, size) == pytest.approx(5)


@pytest.mark.parametrize("terms", [1, 27, 3456, 1 << 20])
def test_the_bound_grows_with_the_number_of_terms(terms: int) -> None:
    bound = replace(FLOAT32, terms=terms).bound_units
    assert terms + 1 <= bound <= 1.1 * terms + 2


def test_the_bound_stays_finite_where_sums_are_too_long_for_their_type() -> None:
    assert Rounding("bfloat16", "bfloat16", 10_000).bound_units == 20_001


def test_the_bound_of_float64_counts_the_rounding_of_the_reference_too() -> None:
    assert Rounding("float64", "float64", 27).bound_units == pytest.approx(2 * 27 + 1)


@pytest.mark.parametrize("order", ["forward", "backward", "pairwise"])
@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_float32_sums_in_any_order_are_within_the_bound(order: str, mean: float) -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((200, 1000)) + mean).astype(np.float32), np.float32(0.1)
    products = x * w
    if order == "pairwise":
        sums = products.sum(axis=1)
    else:
        sums = np.zeros(200, np.float32)
        for column in products.T[:: 1 if order == "forward" else -1]:
            sums += column
    exact = x.astype(np.float64) * np.float64(w)
    rounding = replace(FLOAT32, terms=1000)
    units = rounding.excess_units(sums, exact.sum(axis=1), np.abs(exact).sum(axis=1))
    assert (units <= rounding.bound_units).all()
    assert rounding.is_typical_max(float(units.max()))
    assert rounding.is_typical_rms(float(np.sqrt(np.square(units).mean())))


def test_a_fault_is_not_typical_of_rounding() -> None:
    assert FLOAT32.distinguishes_faults
    assert not FLOAT32.is_typical_max(FLOAT32.fault_units)
    assert not FLOAT32.is_typical_rms(FLOAT32.fault_units)
    assert not Rounding("bfloat16", "bfloat16", 1000).distinguishes_faults


def test_storing_in_a_narrower_type_costs_half_an_ulp() -> None:
    stored = replace(FLOAT32, stored_dtype="float16")
    values = np.array([1.0, 1000.0])
    assert not FLOAT32.stored_narrower
    assert FLOAT32.storage_error(values) == 0
    np.testing.assert_array_equal(stored.storage_error(values), [2.0**-11, 0.25])
    assert units_of(1 + 2.0**-11, 1.0, 1.0, stored) == 0
    assert units_of(1 + 2.0**-10, 1.0, 1.0, stored) > stored.bound_units


def test_storing_twice_costs_more() -> None:
    stored, ones = replace(FLOAT32, stored_dtype="float16"), np.ones(1)
    assert stored.with_second_storage.storage_error(ones) == 3 * stored.storage_error(ones)
    # Sums may have been stored without the bias, at up to their size and the bias'.
    biased = replace(stored, bias_size=100.0)
    assert biased.storage_error(ones) == pytest.approx(2.0**-11 + 2.0**-5)


def test_decimals_cost_half_a_unit_of_the_last_digit() -> None:
    printed = replace(FLOAT32, decimal_error=0.005)
    assert units_of(1.005, 1.0, 1.0, printed) < 1
    assert units_of(1.01, 1.0, 1.0, printed) > printed.bound_units


def test_subnormal_numbers_may_be_flushed_to_zero() -> None:
    tiny = 1e-39
    assert units_of(0.0, tiny, tiny) == 0
    # A subnormal result shows that nothing was flushed.
    assert units_of(0.5 * tiny, tiny, tiny) > FLOAT32.bound_units


@pytest.mark.parametrize(
    ("obtained", "expected", "scale", "explained"),
    [
        (np.nan, np.nan, np.nan, True),
        (np.inf, np.inf, np.inf, True),
        (-np.inf, np.inf, np.inf, False),
        (np.nan, 1.0, 1.0, False),
        (np.inf, 1.0, 1.0, False),
        (1.0, np.nan, np.nan, False),
        # The result overflows float32: to an infinity of its sign, or to NaN on the way.
        (np.inf, 1e39, 1e39, True),
        (-np.inf, 1e39, 1e39, False),
        (np.nan, 1e39, 1e39, True),
        # Only partial sums overflow.
        (-np.inf, 1.0, 1e39, True),
        (np.nan, 1.0, 1e39, True),
        (2.0, 1.0, np.inf, True),
    ],
)
def test_non_finite_values_are_compared_by_kind(
    obtained: float, expected: float, scale: float, explained: bool
) -> None:
    assert units_of(obtained, expected, scale) == (0 if explained else np.inf)


def test_no_element_beyond_the_bound_escapes_the_suspect_mask() -> None:
    rng = np.random.default_rng(2)
    expected = rng.standard_normal(2000) * 10.0 ** rng.integers(-45, 38, 2000)
    scale = np.abs(expected) * (1 + rng.random(2000))
    obtained = expected * (1 + U * rng.normal(0, 60, 2000))
    obtained[::50], obtained[1::50], scale[2::50] = np.nan, np.inf, np.inf
    for rounding in (FLOAT32, replace(FLOAT32, stored_dtype="bfloat16")):
        with np.errstate(all="ignore"):
            beyond = rounding.excess_units(obtained, expected, scale) > rounding.bound_units
            suspect = rounding.suspect_mask(obtained, expected, scale)
            explained = rounding.explains_all(obtained[~beyond], expected[~beyond], scale[~beyond])
        assert beyond.any() and not (beyond & ~suspect).any()
        assert explained


def channels() -> tuple[Array, Reference]:
    """A correct output (1, 4, 8, 8) and its reference."""
    rng = np.random.default_rng(3)
    output, scale = rng.standard_normal((1, 4, 8, 8)), 5 + rng.random((1, 4, 8, 8))
    return output.astype(np.float32), Reference(output, scale)


def test_errors_of_a_fast_algorithm_are_bounded_by_the_largest_scale_of_a_channel() -> None:
    obtained, reference = channels()
    scale = reference.scale.copy()
    scale[..., 0, :4] = 1e-3
    reference = Reference(reference.output, scale)
    # Small beside the channel's scale of 5, large beside the element's of 0.001.
    obtained[..., 0, 0] += 5 * U * fast_algorithm_units(64) / 2
    assert not compare(obtained, reference, FLOAT32).within_bound
    assert within_normwise_bound(obtained, reference, FLOAT32)
    assert FLOAT32.explains_all(obtained, reference.output, scale)
    obtained[..., 0, 0] += 5 * U * fast_algorithm_units(64)
    assert not within_normwise_bound(obtained, reference, FLOAT32)


def test_one_large_scale_hides_no_error_elsewhere() -> None:
    obtained, reference = channels()
    scale = reference.scale.copy()
    scale[..., 7, 7] = 1e6
    obtained[..., 0, 0] += 1000 * U * 5
    assert not within_normwise_bound(obtained, Reference(reference.output, scale), FLOAT32)


def test_a_comparison_gives_the_worst_element() -> None:
    obtained, reference = channels()
    obtained[0, 2, 3, 4] += 0.5
    comparison = compare(obtained, reference, FLOAT32)
    stats = comparison.stats
    assert not comparison.agrees
    assert (stats.worst, stats.differing, stats.elements) == ((0, 2, 3, 4), 1, 256)
    assert stats.max_abs == pytest.approx(0.5, rel=1e-6)
    assert stats.obtained == obtained[0, 2, 3, 4]
    assert stats.reference == reference.output[0, 2, 3, 4]
    assert stats.units == pytest.approx(0.5 / (U * reference.scale[0, 2, 3, 4]), rel=1e-6)


def test_of_elements_that_differ_the_largest_error_is_the_worst() -> None:
    obtained, reference = channels()
    scale = reference.scale.copy()
    scale[0, 0, 0, 0] = 0
    obtained[0, 0, 0, 0] = reference.output[0, 0, 0, 0] + 1e-5
    obtained[0, 2, 3, 4] += 0.5
    stats = compare(obtained, Reference(reference.output, scale), FLOAT32).stats
    assert (stats.worst, stats.differing) == ((0, 2, 3, 4), 2)
    assert stats.units == np.inf


def test_identical_means_the_reference_rounded_to_the_stored_type() -> None:
    _, reference = channels()
    bfloat16 = replace(FLOAT32, stored_dtype="bfloat16")
    rounded = to_bfloat16(reference.output)
    assert compare(reference.output.astype(np.float32), reference, FLOAT32).identical
    assert compare(rounded, reference, bfloat16).identical
    assert not compare(rounded, reference, FLOAT32).agrees


@pytest.mark.parametrize("chunk", [1, 7, 64, 100])
def test_chunks_do_not_change_a_comparison(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    obtained, reference = channels()
    obtained[0, 1, 5, 6] += 1
    whole = compare(obtained, reference, FLOAT32)
    monkeypatch.setattr(error_bound, "CHUNK_ELEMENTS", chunk)
    in_chunks = compare(obtained, reference, FLOAT32)
    assert in_chunks.stats == whole.stats
    assert in_chunks.mean_square_units == pytest.approx(whole.mean_square_units)


def normal(*shape: int) -> Array:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def test_large_terms_that_cancel_are_rounding() -> None:
    x = 1000 + normal(1, 8, 12, 12)
    w = normal(4, 8, 3, 3)
    w -= w.mean(axis=(1, 2, 3), keepdims=True)
    one_by_one = np.zeros((1, 4, 10, 10), np.float32)
    for i, j, c in np.ndindex(3, 3, 8):
        one_by_one += w[None, :, c, i, j, None, None] * x[:, c, None, i : i + 10, j : j + 10]
    assert convdiff.diff(x, w, one_by_one).verdict == "rounding"


def test_subnormal_inputs_flushed_to_zero_are_rounding() -> None:
    x, w = (normal(1, 2, 6, 6) * 1e-39).astype(np.float32), normal(2, 2, 3, 3)
    assert convdiff.diff(x, w, np.zeros((1, 2, 4, 4), np.float32)).agrees


def test_infinities_of_the_other_sign_differ() -> None:
    x, w = normal(1, 2, 6, 6), normal(2, 2, 3, 3)
    x[0, 0, 3, 3] = np.inf
    correct = convolve(x, w, Geometry((1, 1), ((0, 0), (0, 0)), (1, 1))).astype(np.float32)
    assert convdiff.diff(x, w, correct).agrees
    other = correct.copy()
    other[~np.isfinite(other)] *= -1
    assert convdiff.diff(x, w, other).verdict == "different"


@pytest.mark.parametrize("seed", range(6))
def test_a_float32_fft_is_rounding_and_shows_its_flip(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = (rng.standard_normal(n).astype(np.float32) for n in (int(rng.integers(8, 40)), 3))
    size = len(x) + len(w) - 1
    obtained = np.fft.irfft(
        np.fft.rfft(x, size).astype(np.complex64) * np.fft.rfft(w, size).astype(np.complex64), size
    ).astype(np.float32)
    assert convdiff.diff(x, w, obtained, padding="full", flip=True).agrees
    assert convdiff.diff(x, w, obtained, padding="full").findings[0].codes == ("kernel-flipped",)
    # No element is so large that rounding it would explain this error of another.
    obtained[3] += 1e-4
    assert convdiff.diff(x, w, obtained, padding="full", flip=True).verdict == "different"


def test_values_beyond_the_limits_were_set_to_them() -> None:
    limited = replace(FLOAT32, limits=(-1.0, 2.0))
    assert units_of(2.0, 7.0, 1.0, limited) == 0
    assert units_of(-1.0, -7.0, 1.0, limited) == 0
    assert units_of(1.9, 7.0, 1.0, limited) > limited.bound_units
    assert units_of(0.5, 0.6, 1.0, limited) > limited.bound_units
