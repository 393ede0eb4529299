"""Of paddings that the arrays cannot tell apart, the one that the port has: it says so itself, or its frame does."""

from __future__ import annotations

from dataclasses import replace

from convdiff.case import Edit, Finding, Report
from convdiff.check.framing import Pairs
from convdiff.spec import ConvSpec


def as_written(report: Report, padding: Pairs) -> Report:
    """The report with its findings told by the port's whole padding, where that is among their rivals."""
    told = [[_told(finding, report.case.spec, padding) for finding in row.findings] for row in report.rows]
    if all(one is finding for row, made in zip(report.rows, told, strict=True) for one, finding in zip(made, row.findings, strict=True)):
        return report
    # Not at the top of the module: it loads the diagnosis, which the comparing processes do beside.
    from convdiff.advice import with_fixes

    rows = (with_fixes(replace(row, findings=tuple(made)), report.case.spec) for row, made in zip(report.rows, told, strict=True))
    return replace(report, rows=tuple(rows))


def _told(finding: Finding, spec: ConvSpec, padding: Pairs) -> Finding:
    if any(_obtains(edit, padding) for edit in finding.edits):
        return finding
    first = next((rival for rival in finding.rivals if any(_obtains(edit, padding) for edit in rival)), None)
    if first is None:
        return finding
    from convdiff.diagnose import Explanation

    made = Explanation((first, finding.edits, *(rival for rival in finding.rivals if rival is not first))).finding(spec)
    before = Explanation((finding.edits,)).finding(spec).summary
    # What is said of the weights stays before it.
    said = finding.summary.removesuffix(before) if finding.summary.endswith(before) else ""
    return replace(made, summary=said + made.summary, notes=finding.notes)


def _obtains(edit: Edit, padding: Pairs) -> bool:
    return edit["code"] == "wrong-padding" and [tuple(pair) for pair in edit["obtained"]] == list(padding)
