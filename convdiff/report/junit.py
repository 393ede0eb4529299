"""The suite as JUnit XML, in the part of it that GitHub's, GitLab's and Jenkins' readers share: a testcase a case.

A case that differs is a failure, one that could not be checked an error, so that a dashboard tells them apart.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from convdiff.checked import Checked, Suite
from convdiff.report.suite_table import render_case, summary
from convdiff.report.words import literal

# What XML 1.0 cannot hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(suite: Suite) -> str:
    """The XML, UTF-8."""
    counts = {
        "tests": str(len(suite.cases)), "failures": str(suite.counts["differs"]), "errors": str(suite.counts["trouble"]), "skipped": "0",
        "time": _seconds(suite.seconds or sum(case.seconds or 0 for case in suite.cases)),
    }
    root = ElementTree.Element("testsuites", {"name": "convdiff", **counts})
    for place, cases in _by_manifest(suite).items():
        own = {
            "tests": str(len(cases)), "failures": str(sum(case.state == "differs" for case in cases)),
            "errors": str(sum(case.state == "trouble" for case in cases)), "skipped": "0",
            "time": _seconds(sum(case.seconds or 0 for case in cases)),
        }
        under = ElementTree.SubElement(root, "testsuite", {"name": _safe(place), **own})
        for case in cases:
            _case(under, case, place)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _by_manifest(suite: Suite) -> dict[str, list[Checked]]:
    found: dict[str, list[Checked]] = {}
    for case in suite.cases:
        found.setdefault(case.place.rpartition(":")[0] or "convdiff", []).append(case)
    return found


def _case(under: ElementTree.Element, case: Checked, place: str) -> None:
    where = {"file": _safe(place), "line": case.place.rpartition(":")[2]} if case.place else {}
    made = ElementTree.SubElement(
        under, "testcase", {"classname": _safe(place), "name": _safe(case.name), "time": _seconds(case.seconds or 0), **where}
    )
    if case.exit_code:
        codes = sorted({code for row in case.failing for finding in row.findings[:1] for code in finding.codes})
        kind = "failure" if case.exit_code == 1 else "error"
        told = ElementTree.SubElement(made, kind, {"message": _safe(summary(case)), "type": " ".join(codes) or case.state})
        told.text = _safe(render_case(case))
    elif case.allowed or case.stale:
        said = [f"allowed: {code}" for code in case.allowed] + [f"allowed, but no longer occurs: {code}" for code in case.stale]
        ElementTree.SubElement(made, "system-out").text = "\n".join(said)


def _seconds(spent: float) -> str:
    return f"{spent:.3f}"


def _safe(text: str) -> str:
    return _FORBIDDEN.sub("?", literal(text, lines=True))
