"""The JSON: golden files, the schema that ships, strictness, and the exact keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convdiff.records import ErrorStats
from convdiff.report import json_report
from convdiff.suite_result import CaseResult, Suite
from tests.report.reports import REPORTS
from tests.report.suites import SUITE, SUITES

SCHEMA = json.loads(files("convdiff.report").joinpath("schema.json").read_text())
NUMBER = (int, float, "NaN", "Infinity", "-Infinity")
TEXT = (str, None)
EDITS = [{"code": str, ...: ...}]
SHAPE: Any = {
    "schema": "convdiff/1",
    "spec": {"line": str, ...: ...},
    "notes": [str],
    "exit_code": (0, 1, 2),
    "command": str,
    "groups": [{"relation": ("identical", "rounding", "different"), "rows": [str]}],
    "rows": [
        {
            "name": str,
            "kind": ("backend", "saved", "call"),
            "backend": TEXT,
            "version": TEXT,
            "path": TEXT,
            "status": ("ok", "unavailable", "unsupported", "failed", "crashed", "timeout"),
            "message": TEXT,
            "seconds": (int, float, None),
            "code": TEXT,
            "aligned": [str],
            "where": TEXT,
            "verdict": (
                "identical",
                "rounding",
                "reduced-precision",
                "different",
                "incomparable",
                None,
            ),
            "error": (
                {
                    "max_abs": NUMBER,
                    "units": NUMBER,
                    "terms": int,
                    "differing": int,
                    "elements": int,
                    "worst": [int],
                    "obtained": NUMBER,
                    "reference": NUMBER,
                },
                None,
            ),
            "findings": [
                {
                    "edits": EDITS,
                    "summary": str,
                    "fix": {...: ...},
                    "rivals": [EDITS],
                    "notes": [str],
                    "options": {...: ...},
                }
            ],
        }
    ],
}


def fits(value: object, shape: Any) -> bool:
    """Whether parsed JSON has a shape.

    A shape is a type, a literal, a tuple of alternatives, [shape of the items] or {key: shape}; the
    key ... permits other keys.
    """
    if isinstance(shape, tuple):
        return any(fits(value, alternative) for alternative in shape)
    if isinstance(shape, type):
        return isinstance(value, shape) and not isinstance(value, bool)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        named = {key: inner for key, inner in shape.items() if key is not ...}
        return (
            isinstance(value, dict)
            and all(key in value and fits(value[key], inner) for key, inner in named.items())
            and (... in shape or set(value) == set(named))
        )
    return value == shape


def strict(text: str) -> Any:
    """Parses `text`; fails on NaN and Infinity, which Python's parser takes and JSON has not."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", ["overlap", "groups", "awkward"])
def test_a_report_matches_the_golden_file(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.json", json_report.render(REPORTS[name]))


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_matches_the_golden_file(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.json", json_report.render_suite(SUITES[name]))


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [*map(json_report.render, REPORTS.values()), *map(json_report.render_suite, SUITES.values())],
)
def test_the_json_conforms_to_the_schema(text: str) -> None:
    jsonschema.validate(json.loads(text), SCHEMA)


@pytest.mark.parametrize(
    "break_suite",
    [
        lambda suite: suite.pop("exit_code"),
        lambda suite: suite["cases"][1]["rows"][0].update(status="fine"),
        lambda suite: suite["cases"][1]["rows"][-1]["error"].update(units=None),
        lambda suite: suite["cases"][0].pop("name"),
        lambda suite: suite["cases"][1]["rows"][-1]["findings"][0]["edits"][0].pop("code"),
        lambda suite: suite.update(schema="convdiff/2"),
    ],
)
def test_the_schema_rejects_invalid_json(
    break_suite: Callable[[dict[str, object]], object],
) -> None:
    suite = json.loads(json_report.render_suite(SUITE))
    break_suite(suite)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(suite, SCHEMA)


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_strict_json_with_exactly_the_documented_keys(name: str) -> None:
    written = strict(json_report.render(REPORTS[name]))
    for row in written["rows"]:
        assert fits(row, SHAPE["rows"][0]), row
    assert fits(written, SHAPE)


def test_the_shape_rejects_an_unknown_verdict() -> None:
    written = strict(json_report.render(REPORTS["overlap"]))
    written["rows"][0]["verdict"] = "fine"
    assert not fits(written, SHAPE)


def test_nan_and_infinity_are_strings_that_read_back() -> None:
    error = ErrorStats(float("nan"), float("inf"), 3, 1, 4, (0, 1), float("-inf"), 0.5)
    report = REPORTS["flipped"]
    rows = (replace(report.rows[0], error=error),)
    written = strict(json_report.render(replace(report, rows=rows)))["rows"][0]["error"]
    assert (written["max_abs"], written["units"], written["obtained"]) == (
        "NaN",
        "Infinity",
        "-Infinity",
    )
    assert float(written["units"]) == float("inf")


def test_numpy_scalars_arrays_tuples_and_paths_are_converted() -> None:
    value = {
        "f": np.float32(0.5),
        "i": np.int64(3),
        "b": np.bool_(True),
        "a": np.array([[1.0, np.nan]]),
        "t": (np.uint8(7),),
        "p": Path("a/b"),
        np.int64(2): None,
    }
    assert strict(json_report.dumps(value)) == {
        "f": 0.5,
        "i": 3,
        "b": True,
        "a": [[1.0, "NaN"]],
        "t": [7],
        "p": str(Path("a/b")),
        "2": None,
    }


def test_a_file_name_that_is_not_unicode_is_written() -> None:
    text = json_report.dumps({"name": "port\udcff.npy"})
    assert strict(text) == {"name": "port?.npy"}
    assert text.isascii()


def test_a_suite_has_its_cases_with_their_names() -> None:
    reports = {name: REPORTS[name] for name in ("awkward", "agreeing")}
    cases = [
        CaseResult(report.case.name, "m.toml:1", report.exit_code, report)
        for report in reports.values()
    ]
    written = strict(
        json_report.render_suite(
            Suite(
                (*cases, CaseResult("lost", "m.toml:9", 2, None, "no such file")),
                2,
                "convdiff check",
            )
        )
    )
    assert written["schema"] == "convdiff/1"
    assert written["exit_code"] == 2
    assert [case["name"] for case in written["cases"]] == ["encoder/layer_12/conv", "run", "lost"]
    own = {"name": str, "message": TEXT, "place": str, "allowed": [str], "stale": [str]}
    assert all(fits(case, {**SHAPE, **own}) for case in written["cases"][:2])
    assert (
        written["cases"][2]["message"],
        written["cases"][2]["spec"],
        written["cases"][2]["rows"],
    ) == ("no such file", None, [])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(JSON)
def test_json_reads_back_as_written(value: object) -> None:
    assert strict(json_report.dumps(value)) == value


def test_rich_is_not_imported(run_python: Callable[[str], str]) -> None:
    assert (
        run_python("import sys, convdiff.report.json_report; print('rich' in sys.modules)")
        == "False"
    )
