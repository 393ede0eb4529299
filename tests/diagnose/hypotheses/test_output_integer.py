"""Outputs that were stored as whole numbers, alone, beside other faults, and what looks like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.records import Edit
from tests.diagnose.findings import conv, explanations, normal
from tests.diagnose.naive import Array

BLUR = np.array([[0.04, 0.11, 0.05], [0.13, 0.33, 0.13], [0.06, 0.1, 0.05]], np.float32)
SHARPEN = np.array([[0, -0.9, 0], [-0.9, 4.6, -0.9], [0, -0.9, 0]], np.float32)


def picture() -> Array:
    return np.random.default_rng(4).integers(0, 256, (1, 1, 15, 17)).astype(np.uint8)


def filtered(kernel: Array, **options: Any) -> Array:
    """The picture under a filter, in float64."""
    padding = options.pop("padding", 1)
    return conv(picture().astype(float), kernel[None, None], padding, **options).astype(float)


def stored(integer_type: str, rounding: str, *, saturated: bool = False) -> Edit:
    edit = {"code": "stored-as-integer", "type": integer_type, "rounding": rounding}
    return edit | ({"saturated": True} if saturated else {})


def diff(kernel: Array, obtained: Array) -> convdiff.Result:
    return convdiff.diff(picture(), kernel[None, None], obtained, padding=1)


def edits_of(kernel: Array, obtained: Array) -> list[Edit]:
    return list(diff(kernel, obtained).findings[0].edits)


@pytest.mark.parametrize("held_as", [np.uint8, np.float32])
def test_pixels_that_were_rounded_do_not_differ(held_as: type) -> None:
    result = diff(BLUR, np.rint(filtered(BLUR)).astype(held_as))
    assert result.row.verdict == "reduced-precision"
    assert result.findings[0].edits == (stored("uint8", "nearest"),)


@pytest.mark.parametrize("flipped", [False, True])
def test_floats_that_were_rounded_may_have_been_printed(*, flipped: bool) -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    obtained = np.rint(conv(x, w[:, :, ::-1, ::-1] if flipped else w, 1))
    found = explanations(x, w, obtained, padding=1)
    beside = ["kernel-flipped"] * flipped
    codes = [[edit["code"] for edit in edits] for edits in found]
    assert codes[0] == [*beside, "reduced-precision"]
    assert [*beside, "stored-as-integer"] in codes


@pytest.mark.parametrize(("rounding", "cut"), [("toward-zero", np.trunc), ("down", np.floor)])
@pytest.mark.parametrize("held_as", [np.int64, np.float32])
def test_sums_that_were_cut_off_are_no_constant(rounding: str, cut: Any, held_as: type) -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    obtained = cut(conv(x, w, 1)).astype(held_as)
    result = convdiff.diff(x, w, obtained, padding=1)
    assert result.row.verdict == "reduced-precision"
    assert result.findings[0].edits == (stored("int64", rounding),)


def test_of_positive_sums_both_ways_to_cut_off_are_named() -> None:
    found = diff(BLUR, filtered(BLUR).astype(np.uint8)).findings[0]
    assert found.edits == (stored("uint8", "toward-zero"),)
    assert found.rivals == ((stored("uint8", "down"),),)


@pytest.mark.parametrize(("rounding", "cut"), [("nearest", np.rint), ("toward-zero", np.trunc)])
def test_a_type_that_saturates_differs(rounding: str, cut: Any) -> None:
    result = diff(SHARPEN, np.clip(cut(filtered(SHARPEN)), 0, 255).astype(np.uint8))
    assert result.row.verdict == "different"
    assert result.findings[0].edits == (stored("uint8", rounding, saturated=True),)
    assert "those beyond 0 and 255 set to these limits" in result.findings[0].summary


@pytest.mark.parametrize(("rounding", "cut"), [("nearest", np.rint), ("toward-zero", np.trunc)])
@pytest.mark.parametrize("beside", ["kernel-flipped", "wrong-pad-mode", "wrong-padding"])
def test_it_is_found_beside_another_fault(rounding: str, cut: Any, beside: str) -> None:
    kernel = BLUR[::-1, ::-1] if beside == "kernel-flipped" else BLUR
    options: dict[str, Any] = {
        "wrong-pad-mode": {"pad_mode": "reflect"},
        "wrong-padding": {"padding": ((0, 2), (0, 2))},
    }.get(beside, {})
    edits = edits_of(BLUR, cut(filtered(kernel, **options)).astype(np.uint8))
    assert [edit["code"] for edit in edits] == [beside, "stored-as-integer"]
    assert edits[1] == stored("uint8", rounding)


def test_a_relu_before_it_is_found_too() -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    obtained = np.maximum(conv(x, w, 1), 0).astype(np.int32)
    edits = explanations(x, w, obtained, padding=1)[0]
    assert [edit["code"] for edit in edits] == ["activation-applied", "stored-as-integer"]


EDGES = np.array([[1, 0.1, -1.3], [2, 0, -2], [1, 0, -0.7]], np.float32)


@pytest.mark.parametrize(("rounding", "cut"), [("nearest", np.rint), ("toward-zero", np.trunc)])
@pytest.mark.parametrize(("integer_type", "most"), [("uint8", 255), ("int32", 2**15)])
def test_magnitudes_before_it_are_found_too(
    rounding: str, cut: Any, integer_type: str, most: int
) -> None:
    obtained = np.minimum(cut(np.abs(filtered(EDGES))), most).astype(integer_type)
    edits = edits_of(EDGES, obtained)
    assert [edit["code"] for edit in edits] == ["activation-applied", "stored-as-integer"]
    assert edits[1] == stored(integer_type, rounding, saturated=most == 255)


def test_rounded_magnitudes_are_found_beside_another_fault() -> None:
    obtained = np.rint(np.abs(filtered(EDGES[::-1, ::-1]))).astype(np.int32)
    codes = {edit["code"] for edit in edits_of(EDGES, obtained)}
    assert codes == {"kernel-flipped", "activation-applied", "stored-as-integer"}


@pytest.mark.parametrize(("rounding", "cut"), [("nearest", np.rint), ("toward-zero", np.trunc)])
def test_whole_numbers_that_then_wrapped_are_found(rounding: str, cut: Any) -> None:
    obtained = cut(filtered(SHARPEN)).astype(np.int64).astype(np.uint8)
    edits = edits_of(SHARPEN, obtained)
    wrapped = {"code": "integer-wrapped", "obtained": "uint8"}
    assert edits == [wrapped, stored("uint8", rounding)]


def test_a_filter_in_fixed_point_is_rounded() -> None:
    near = filtered(BLUR) + np.random.default_rng(1).uniform(-0.1, 0.1, (1, 1, 15, 17))
    assert edits_of(BLUR, np.rint(near).astype(np.uint8)) == [stored("uint8", "nearest")]


def test_whole_sums_were_not_rounded() -> None:
    ones = np.ones((3, 3), np.float32)
    assert diff(ones, filtered(ones).astype(np.int64)).row.verdict == "identical"


def test_errors_of_more_than_a_unit_are_not_explained() -> None:
    obtained = np.rint(filtered(BLUR))
    obtained[0, 0, 4, 5] += 2
    result = diff(BLUR, obtained.astype(np.uint8))
    assert result.row.verdict == "different"
    assert not result.findings


@pytest.mark.parametrize("most", [2, 256])
def test_noise_of_whole_numbers_is_not_explained(most: int) -> None:
    noise = np.random.default_rng(9).integers(0, most, (1, 1, 15, 17)).astype(np.uint8)
    assert not diff(BLUR, noise).findings


def test_a_constant_of_half_a_unit_stays_a_bias() -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    edits = explanations(x, w, conv(x, w, 1) - np.float32(0.5), padding=1)[0]
    assert [edit["code"] for edit in edits] == ["bias-added"]
