"""Normalizations folded into kernels: the same model where what they feed agrees."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cli.conftest import Invoke
from tests.port.captures import (
    ALL_FOLDED,
    CHANNEL_FACTORS,
    PADDED,
    check_captures,
    codes,
    convolve,
    exit_codes,
    folded,
    network,
    notes,
    residual,
)


def failing(report: dict[str, list[dict[str, object]]]) -> list[object]:
    return [case["name"] for case in report["cases"] if case["exit_code"]]


@pytest.mark.parametrize("last", [False, True])
def test_a_normalization_folded_into_a_kernel_is_the_same_model(last: bool, invoke: Invoke) -> None:
    network("a", last=False, after={2: lambda y: y * CHANNEL_FACTORS[:, None, None]})
    network("b", last=last, names="node{}", faults={2: folded}, recorded=True)
    for source, port in ("ab", "ba"):
        report = check_captures(invoke, source=source, port=port)
        assert report["exit_code"] == 0, report["notes"]
        assert "a normalization is folded into the port's kernel" in report["cases"][2]["notes"]
        assert "by kernel, scaled by channel" in report["cases"][2]["notes"][0]


def test_a_fold_is_wrong_where_the_next_input_differs(invoke: Invoke) -> None:
    network("a", last=False, after={2: lambda y: y * CHANNEL_FACTORS[::-1, None, None]})
    network("b", last=True, faults={2: folded}, recorded=True)
    report = check_captures(invoke)
    assert exit_codes(report) == [0, 0, 1, 0, 0]
    expected = "may be folded into its kernel, but the input of conv3 after it differs"
    assert expected in notes(report["cases"][2])
    assert codes(report["cases"][2]) == ["channels-scaled"]


def test_a_fold_in_the_last_layer_is_judged_by_its_own_kernel(invoke: Invoke) -> None:
    factors = np.linspace(1, 2, 8, dtype=np.float32)
    network("a", last=False)
    network("b", last=True, recorded=True, faults={4: lambda x, w, o: (x, w * factors, o)})
    assert check_captures(invoke)["exit_code"] == 0
    shifted = {"padding": "0:2,0:2"}
    network(
        "c",
        last=True,
        recorded=True,
        faults={4: lambda x, w, o: (x, w * factors, {**o, **shifted})},
    )
    report = check_captures(invoke, port="c")
    assert codes(report["cases"][4]) == ["wrong-padding"]
    assert (
        "a normalization is folded into the port's kernel; and the padding was 0:2,0:2 instead of 1"
        in report["notes"][0]
    )


@pytest.mark.parametrize("output", [True, False])
def test_a_model_with_every_normalization_folded_is_the_same(output: bool, invoke: Invoke) -> None:
    residual("a", {}, output=output)
    residual("b", ALL_FOLDED, output=output)
    report = check_captures(invoke)
    assert report["exit_code"] == 0
    unconfirmed = (
        "last: nothing recorded after it shows whether the normalization is folded in correctly"
    )
    assert report["notes"] == ([] if output else [unconfirmed])


@pytest.mark.parametrize("name", ["stem", "one", "last"])
def test_a_single_suspect_fails(name: str, invoke: Invoke) -> None:
    residual("a", {})
    residual("b", {**ALL_FOLDED, name: 1.3})
    report = check_captures(invoke)
    assert failing(report) == [name]
    case = next(case for case in report["cases"] if case["exit_code"])
    assert "a normalization may be folded into its kernel, but" in notes(case)


@pytest.mark.parametrize("name", ["two", "down"])
def test_of_branches_that_meet_both_folds_are_named(name: str, invoke: Invoke) -> None:
    residual("a", {})
    residual("b", {**ALL_FOLDED, name: 1.3})
    report = check_captures(invoke)
    assert failing(report) == ["last"]
    assert "look for a normalization that is folded wrongly into two or down" in report["notes"][0]
    residual("c", {name: 1.3})
    assert failing(check_captures(invoke, port="c")) == [name], "the other has no fold"


def test_a_kernel_that_is_folded_and_flipped_is_reported_as_such(invoke: Invoke) -> None:
    residual("a", {})
    residual("b", {**ALL_FOLDED, "last": 1.0})
    w = np.ascontiguousarray(np.load("b/last.w.npy")[:, :, ::-1, ::-1])
    np.save("b/last.w.npy", w)
    np.save("b/last.y.npy", convolve(np.load("b/last.x.npy"), w, PADDED))
    report = check_captures(invoke)
    assert exit_codes(report) == [0, 0, 0, 0, 1]
    sentence = "a normalization is folded into the port's kernel, which is flipped"
    assert sentence in report["notes"][0]


def test_a_wrong_fold_comes_without_code_for_the_unfolded_layer(invoke: Invoke) -> None:
    residual("a", {})
    residual("b", {**ALL_FOLDED, "one": 1.3})
    rows = [row for case in check_captures(invoke)["cases"] for row in case["rows"]]
    findings = [finding for row in rows for finding in row["findings"]]
    assert findings
    assert not any(finding["fix"] for finding in findings)
