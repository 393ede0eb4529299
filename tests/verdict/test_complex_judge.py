"""Complex arrays: verdicts, figures, regions, shapes, and all reports of them."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import numpy as np
import pytest

import convdiff
from convdiff.errors import ConvdiffError
from convdiff.make_picture import with_picture
from convdiff.pipeline.judge_rows import RowJudge
from convdiff.records import Answer, Report
from convdiff.report import html_report, json_report, junit_report
from convdiff.report.run_report import render
from convdiff.spec.layout import Array
from convdiff.suite_result import single_case_suite
from convdiff.verdict.judge import Judge

RNG = np.random.default_rng(0)


def draw(*shape: int) -> Array:
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64)


X, W, BIAS = draw(2, 3, 9, 8), draw(4, 3, 3, 3), draw(4)


def convolve(x: Array, w: Array) -> Array:
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]).astype(np.complex128)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwrs,ocrs->nohw", windows, w.astype(np.complex128))


RIGHT = convolve(X, W)


def diff(output: Any, x: Array = X, w: Array = W, **options: Any) -> convdiff.Result:
    return convdiff.diff(x, w, output, padding=1, **options)


def test_the_correctly_rounded_reference_is_identical() -> None:
    result = diff(RIGHT.astype(np.complex64))
    assert result.verdict in ("identical", "rounding")
    whole = np.rint(3 * X), np.rint(3 * W)
    result = diff(convolve(*whole).astype(np.complex64), *whole)
    assert result.verdict == "identical"
    error = result.row.error
    assert error is not None and error.max_abs == error.units == 0


def test_figures_are_those_of_complex_elements() -> None:
    output = RIGHT.astype(np.complex64)
    output[1, 2, 3, 4] += 3 - 4j
    result = diff(output)
    error = result.row.error
    assert error is not None
    assert error.worst == (1, 2, 3, 4) and error.elements == output.size and error.differing == 1
    assert error.max_abs == pytest.approx(5, rel=1e-5)
    assert error.obtained == complex(output[1, 2, 3, 4])
    assert error.reference == pytest.approx(complex(RIGHT[1, 2, 3, 4]))
    assert result.row.where == "in one element, N 1, C 2, H 3, W 4"


def test_a_region_names_the_part_that_differs_and_counts_nan_once() -> None:
    output = RIGHT.astype(np.complex64)
    output[:, 1] += RNG.standard_normal(output[:, 1].shape).astype(np.float32) * np.complex64(1j)
    assert diff(output).row.where == "in output channel 1 only, the imaginary parts only"
    output = RIGHT.astype(np.complex64)
    output[0, 0, 0, 5] = complex(np.nan, 1)
    assert diff(output).row.where == "in one element, N 0, C 0, H 0, W 5: it is NaN"


@pytest.mark.parametrize("bad", [complex(np.nan, 0), complex(1, np.inf), complex(-np.inf, np.nan)])
def test_nonfinite_elements_agree_by_place(bad: complex) -> None:
    x = X.copy()
    x[0, 0, 2, 2] = bad
    with np.errstate(all="ignore"):
        result = diff(convolve(x, W).astype(np.complex64), x)
    assert result.agrees
    assert any("input: 1 " in note for note in result.case.notes)


def test_real_arrays_with_a_complex_output_are_compared_and_told() -> None:
    x, w = X[0, 0, 0].real, W[0, 0, 0].real
    size = x.size + w.size - 1
    by_fft = np.fft.ifft(np.fft.fft(x, size) * np.fft.fft(w, size))
    result = convdiff.diff(x, w, by_fft, padding="full", flip=True)
    assert result.verdict == "rounding" and "complex" in str(result.row.message)
    result = convdiff.diff(x, w, np.convolve(x, w).astype(complex), padding="full", flip=True)
    assert result.agrees and "imaginary parts are zero" in str(result.row.message)


def test_a_real_output_of_complex_arrays_agrees_where_the_imaginary_parts_are_zero() -> None:
    x, w = X.real.astype(np.complex64), W.real.astype(np.complex64)
    result = diff(convolve(x, w).real.astype(np.float32), x, w)
    assert result.agrees and "the output is real" in str(result.row.message)
    assert [edit["code"] for edit in diff(RIGHT.real).findings[0].edits] == ["part-kept"]


@pytest.mark.parametrize("real", ["input", "kernel"])
def test_one_of_the_operands_may_be_real(real: str) -> None:
    x, w = (X.real, W) if real == "input" else (X, W.real)
    assert diff(convolve(x, w).astype(np.complex64), x, w).agrees
    conjugated = diff(convolve(x, w).conj().astype(np.complex64), x, w)
    code = "kernel-conjugated" if real == "input" else "input-conjugated"
    finding = conjugated.findings[0]
    assert finding.codes == (code,) and ({"code": "output-conjugated"},) in finding.rivals


def test_parts_along_a_last_axis_are_read_as_complex_numbers() -> None:
    parts = np.stack((RIGHT.real, RIGHT.imag), axis=-1).astype(np.float32)
    result = diff(parts)
    assert result.agrees and "its last axis" in str(result.row.message)
    assert diff(parts * [1, -1]).findings[0].codes == ("output-conjugated",)


def test_a_bias_may_be_complex() -> None:
    output = RIGHT + BIAS[:, None, None]
    assert diff(output.astype(np.complex64), bias=BIAS).agrees
    assert convdiff.diff(
        X.real,
        W.real,
        (convolve(X.real, W.real) + BIAS[:, None, None]).astype(np.complex64),
        bias=BIAS,
        padding=1,
    ).agrees
    added = diff(output.astype(np.complex64)).findings[0]
    np.testing.assert_allclose(added.edits[0]["values"], BIAS, rtol=1e-4)
    assert np.shape(added.to_dict()["edits"][0]["values"]) == (4, 2)  # type: ignore[index]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (RIGHT[:1], "1 of 2 batch items, which agree"),
        (RIGHT[:, :2], "2 of 4 output channels, which agree"),
        (RIGHT[0, 0], "another number of axes"),
        (RIGHT[:, :3, :7], "its shape is 2x3x7x8 instead of 2x4x9x8"),
        (RIGHT[:0], "it holds no elements"),
        (RIGHT.ravel(), "flattened"),
    ],
)
def test_other_shapes_are_told_in_complex_terms(output: Array, message: str) -> None:
    assert message in str(diff(output.astype(np.complex64)).row.message)


def test_a_real_type_cannot_be_asked_of_complex_arrays() -> None:
    with pytest.raises(ConvdiffError, match="--dtype float32: found a complex kernel"):
        diff(RIGHT, X.real, W, dtype="float32")


@pytest.mark.parametrize("value", [np.nan, 0, 1 + 1j, complex(np.nan, np.inf)])
def test_constant_outputs_are_judged_without_an_error(value: complex) -> None:
    assert diff(np.full(RIGHT.shape, value, np.complex64)).verdict == "different"


def wrong_and_right_rows() -> Report:
    wrong = convolve(X, W.conj()).astype(np.complex64)
    wrong[0, 0, 0, 0] = complex(np.nan, np.inf)
    case = diff(wrong).case
    answers = [
        Answer("port", "saved", "ok", output=wrong),
        Answer("conjugated", "saved", "ok", output=convolve(X, W.conj()).astype(np.complex64)),
        Answer("right", "saved", "ok", output=RIGHT.astype(np.complex64)),
    ]
    rows = tuple(RowJudge(case, pictures=True).rows(answers))
    return Report(case, rows, 1, "convdiff run")


def test_every_report_shows_complex_rows() -> None:
    report = wrong_and_right_rows()
    assert "the complex conjugate of the kernel was used" in render(report, width=80, color=False)
    data = json.loads(json_report.render(report))
    schema = files("convdiff.report").joinpath("schema.json").read_text(encoding="utf-8")
    jsonschema.validate(data, json.loads(schema))
    assert data["rows"][0]["error"]["obtained"] == ["NaN", "Infinity"]
    suite = single_case_suite(report)
    for text in (html_report.render(suite), junit_report.render(suite)):
        assert "complex conjugate of the kernel" in text


def test_the_map_shows_an_element_where_either_part_differs() -> None:
    output = RIGHT.astype(np.complex64)
    output[1, 2, 3, 4] += 3j
    result = diff(output)
    picture = with_picture(result.row, Judge(result.case), kernels=True).picture
    assert picture is not None and picture.channel_count == 4
    assert [bool(share) for share in picture.channels] == [False, False, True, False]
    wrong = np.argwhere(np.array(picture.levels) > 0).tolist()
    assert wrong == [[3, 4]]
    assert sum(count for _, count in picture.histogram) + picture.exact == output.size
