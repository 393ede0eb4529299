"""The suite as JUnit XML, with one testcase for each case.

A case that differs is a failure, one that could not be checked is an error, so that dashboards show
them apart.  Only what the schemas (of Ant's JUnit reports and of Jenkins' xUnit plugin) and the
readers of GitHub, GitLab and Jenkins have in common is written; a testcase has no file and no line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree

from convdiff.report.escape import printable
from convdiff.report.suite_report import render_case
from convdiff.report.suite_words import summary
from convdiff.suite_result import CaseResult, Suite

# Characters that XML 1.0 cannot contain, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(suite: Suite, began: float = 0.0, host: str = "localhost") -> str:
    """The XML in UTF-8; `began` is when the suite was started, in seconds since 1970."""
    root = ElementTree.Element("testsuites")
    for number, (manifest, cases) in enumerate(_cases_by_manifest(suite).items()):
        attributes = {
            "name": _xml_text(manifest),
            "package": "convdiff",
            "id": str(number),
            "hostname": _xml_text(host),
            "timestamp": datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "tests": str(len(cases)),
            "failures": str(sum(case.exit_code == 1 for case in cases)),
            "errors": str(sum(case.exit_code == 2 for case in cases)),
            "skipped": "0",
            "time": _seconds(sum(case.seconds or 0 for case in cases)),
        }
        testsuite = ElementTree.SubElement(root, "testsuite", attributes)
        properties = ElementTree.SubElement(testsuite, "properties")
        ElementTree.SubElement(
            properties, "property", {"name": "command", "value": _xml_text(suite.command)}
        )
        for case in cases:
            _add_testcase(testsuite, case, manifest)
        ElementTree.SubElement(testsuite, "system-out").text = "\n".join(
            _xml_text(line) for case in cases for line in _output_lines(case)
        )
        ElementTree.SubElement(testsuite, "system-err")
    ElementTree.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        + ElementTree.tostring(root, encoding="unicode")
        + "\n"
    )


def _cases_by_manifest(suite: Suite) -> dict[str, list[CaseResult]]:
    manifests: dict[str, list[CaseResult]] = {}
    for case in suite.cases:
        manifest, _, _ = case.place.rpartition(":")
        manifests.setdefault(manifest or "convdiff", []).append(case)
    return manifests


def _add_testcase(testsuite: ElementTree.Element, case: CaseResult, manifest: str) -> None:
    testcase = ElementTree.SubElement(
        testsuite,
        "testcase",
        {
            "classname": _xml_text(manifest),
            "name": _xml_text(case.name),
            "time": _seconds(case.seconds or 0),
        },
    )
    if case.exit_code:
        codes = sorted(
            {code for row in case.failing for finding in row.findings[:1] for code in finding.codes}
        )
        failure = ElementTree.SubElement(
            testcase,
            "failure" if case.exit_code == 1 else "error",
            {"message": _xml_text(summary(case)), "type": " ".join(codes) or case.state},
        )
        failure.text = _xml_text(render_case(case))


def _output_lines(case: CaseResult) -> Iterator[str]:
    """The codes that a passing case allows, and whether they occur."""
    if not case.exit_code:
        yield from (f"{case.name}: allowed: {code}" for code in case.allowed)
        yield from (f"{case.name}: allowed, but no longer occurs: {code}" for code in case.stale)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"


def _xml_text(text: str) -> str:
    return _FORBIDDEN.sub("?", printable(text, lines=True))
