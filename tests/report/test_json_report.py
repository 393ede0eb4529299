"""The JSON: golden files, strictness, and the contract's shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convdiff.records import ErrorStats
from convdiff.report import json_report
from convdiff.suite_result import CaseResult, Suite
from tests.report.reports import REPORTS

NUMBER = (int, float, "NaN", "Infinity", "-Infinity")
TEXT = (str, None)
EDITS = [{"code": str, ...: ...}]
SHAPE: Any = {
    "schema": "convdiff/1",
    "spec": {"line": str, ...: ...},
    "notes": [str],
    "exit_code": (0, 1, 2),
    "command": str,
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
                }
            ],
        }
    ],
}


def fits(value: object, shape: Any) -> bool:
    """Whether JSON has a shape: a type, a literal, several of these, [items], {key: shape}; ...
    lets other keys in.
    """
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, type):
        return isinstance(value, shape) and not isinstance(value, bool)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        named = {key: one for key, one in shape.items() if key is not ...}
        return (
            isinstance(value, dict)
            and all(key in value and fits(value[key], one) for key, one in named.items())
            and (... in shape or set(value) == set(named))
        )
    return value == shape


def strict(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", ["overlap", "groups", "awkward"])
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.json", json_report.render(REPORTS[name]))


@pytest.mark.parametrize("name", REPORTS)
def test_strict_and_of_the_contracts_shape(name: str) -> None:
    written = strict(json_report.render(REPORTS[name]))
    for row in written["rows"]:
        assert fits(row, SHAPE["rows"][0]), row
    assert fits(written, SHAPE)


def test_the_shape_is_not_satisfied_by_anything() -> None:
    written = strict(json_report.render(REPORTS["overlap"]))
    written["rows"][0]["verdict"] = "fine"
    assert not fits(written, SHAPE)


def test_what_json_has_no_number_for_is_a_word_that_reads_back() -> None:
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


def test_numpy_scalars_arrays_and_paths() -> None:
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


def test_a_file_name_that_is_no_unicode() -> None:
    text = json_report.dumps({"name": "port\udcff.npy"})
    assert strict(text) == {"name": "port?.npy"}
    assert text.isascii()


def test_several_cases_with_their_names() -> None:
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
def test_what_is_written_reads_back(value: object) -> None:
    assert strict(json_report.dumps(value)) == value


def test_rich_is_not_imported(run_python: Callable[[str], str]) -> None:
    assert (
        run_python("import sys, convdiff.report.json_report; print('rich' in sys.modules)")
        == "False"
    )


def test_the_table_does_without_pygments_and_live(run_python: Callable[[str], str]) -> None:
    code = (
        "import sys, convdiff.report.table; print([m for m in sys.modules if "
        "m.startswith(('pygments', 'rich.live', 'rich.syntax'))])"
    )
    assert run_python(code) == "[]"
