"""JUnit XML: golden files, the schema, and what CI servers read from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from convdiff.report import junit_report
from convdiff.suite_result import single_case_suite
from tests.report.reports import REPORTS
from tests.report.suites import SUITE, SUITES

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))


@pytest.mark.parametrize("name", SUITES)
def test_the_xml_matches_the_golden_file(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.xml", junit_report.render(SUITES[name]))


@pytest.mark.parametrize("name", SUITES)
def test_the_xml_is_valid(name: str) -> None:
    SCHEMA.validate(junit_report.render(SUITES[name], began=1.5e9, host="builder"))


@pytest.mark.parametrize(
    "change",
    [
        ('id="0"', 'id="first"'),
        ("<system-err />", ""),
        ("<testcase ", '<testcase line="3" '),
        ('type="trouble"', ""),
    ],
)
def test_the_schema_rejects_invalid_xml(change: tuple[str, str]) -> None:
    text = junit_report.render(SUITE)
    assert change[0] in text
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        SCHEMA.validate(text.replace(*change))


def test_the_counts_match_the_contents() -> None:
    """The structure is testsuites > testsuite > testcase, with one failure or error at most."""
    root = ElementTree.fromstring(junit_report.render(SUITE).encode())
    cases = root.findall("./testsuite/testcase")
    assert root.tag == "testsuites"
    assert [case.get("name") for case in cases][:2] == ["encoder/conv1", "encoder/conv2"]
    for testsuite in root.findall("testsuite"):
        assert int(testsuite.get("tests", "-1")) == len(testsuite.findall(".//testcase"))
        assert int(testsuite.get("failures", "-1")) == len(testsuite.findall(".//failure"))
        assert int(testsuite.get("errors", "-1")) == len(testsuite.findall(".//error"))
        assert float(testsuite.get("time", "-1")) >= 0
    for case in cases:
        assert {"classname", "name", "time"} == set(case.keys())
        assert [child.tag for child in case] in ([], ["failure"], ["error"])
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.get("type") == "overlap-accumulated"
    assert "overlapping windows were added up" in str(failure.text)


def test_allowed_codes_are_in_the_output() -> None:
    assert "allowed: wrong-groups" in junit_report.render(SUITE)


def test_names_with_control_characters_are_escaped() -> None:
    """XML cannot contain most control characters, not even escaped, so they are shown as text."""
    names = [
        case.get("name")
        for case in ElementTree.fromstring(junit_report.render(SUITE).encode()).iter("testcase")
    ]
    assert any(name and "\\x00\\x1b[2J" in name and "<script>" in name for name in names)


def test_a_single_run_is_a_suite_of_one_case() -> None:
    assert 'tests="1" failures="1"' in junit_report.render(single_case_suite(REPORTS["flipped"]))
