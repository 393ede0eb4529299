"""The suite as JUnit XML, in the part of it that its schemas and GitHub's, GitLab's and Jenkins'
readers share: a testcase a case.

A case that differs is a failure, one that could not be checked an error, so that a dashboard tells
them apart.  Source: the schemas of Ant's JUnit reports and of Jenkins' xUnit plugin; what only one
of them has (a testcase's file and line) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree

from convdiff.report.suite_table import render_case, summary
from convdiff.report.words import literal
from convdiff.suite_result import CaseResult, Suite

# What XML 1.0 cannot hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(suite: Suite, began: float = 0.0, host: str = "localhost") -> str:
    """The XML, UTF-8.  `began` is when the suite did, in seconds since 1970, and `host` where it
    ran.
    """
    root = ElementTree.Element("testsuites")
    for number, (place, cases) in enumerate(_by_manifest(suite).items()):
        own = {
            "name": _safe(place),
            "package": "convdiff",
            "id": str(number),
            "hostname": _safe(host),
            "timestamp": datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "tests": str(len(cases)),
            "failures": str(sum(case.exit_code == 1 for case in cases)),
            "errors": str(sum(case.exit_code == 2 for case in cases)),
            "skipped": "0",
            "time": _seconds(sum(case.seconds or 0 for case in cases)),
        }
        under = ElementTree.SubElement(root, "testsuite", own)
        properties = ElementTree.SubElement(under, "properties")
        ElementTree.SubElement(
            properties, "property", {"name": "command", "value": _safe(suite.command)}
        )
        for case in cases:
            _case(under, case, place)
        ElementTree.SubElement(under, "system-out").text = "\n".join(
            _safe(line) for case in cases for line in _said(case)
        )
        ElementTree.SubElement(under, "system-err")
    ElementTree.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        + ElementTree.tostring(root, encoding="unicode")
        + "\n"
    )


def _by_manifest(suite: Suite) -> dict[str, list[CaseResult]]:
    found: dict[str, list[CaseResult]] = {}
    for case in suite.cases:
        found.setdefault(case.place.rpartition(":")[0] or "convdiff", []).append(case)
    return found


def _case(under: ElementTree.Element, case: CaseResult, place: str) -> None:
    made = ElementTree.SubElement(
        under,
        "testcase",
        {"classname": _safe(place), "name": _safe(case.name), "time": _seconds(case.seconds or 0)},
    )
    if case.exit_code:
        codes = sorted(
            {code for row in case.failing for finding in row.findings[:1] for code in finding.codes}
        )
        kind = "failure" if case.exit_code == 1 else "error"
        told = ElementTree.SubElement(
            made, kind, {"message": _safe(summary(case)), "type": " ".join(codes) or case.state}
        )
        told.text = _safe(render_case(case))


def _said(case: CaseResult) -> Iterator[str]:
    """What is to be known of a case that does not fail."""
    if not case.exit_code:
        yield from (f"{case.name}: allowed: {code}" for code in case.allowed)
        yield from (f"{case.name}: allowed, but no longer occurs: {code}" for code in case.stale)


def _seconds(spent: float) -> str:
    return f"{spent:.3f}"


def _safe(text: str) -> str:
    return _FORBIDDEN.sub("?", literal(text, lines=True))
