"""The suite for GitHub Actions: workflow commands that annotate manifests, and a job summary.

The commands are described at docs.github.com, "Workflow commands for GitHub Actions".  GitHub shows
at most ten errors of a step as annotations; the summary (in Markdown) lists all of them.
"""

from __future__ import annotations

import re
from html import escape

from convdiff.report.escape import printable, shorten
from convdiff.report.suite_report import render_case
from convdiff.report.suite_words import (
    conclusion,
    stale_words,
    state_words,
    suite_state,
    summary,
    units_words,
)
from convdiff.suite_result import CaseResult, Suite

# A summary may have a megabyte; a case in full has a few thousand characters.
MAX_SUMMARY_CASES = 60
STATE_ICONS = {
    "agrees": "✅",
    "allowed": "☑️",
    "differs": "❌",
    "fed wrong": "❌",
    "lost": "❌",
    "trouble": "⚠️",
}


def commands(suite: Suite) -> str:
    """A workflow command for each case that fails or allows too much, then the conclusion."""
    lines = []
    for case in suite.cases:
        if case.exit_code:
            command = case.report.command if case.report else ""
            lines.append(_command("error", case, f"{summary(case)}\n{command}".strip()))
        lines += [_command("warning", case, words) for words in stale_words(case)]
    lines += [f"::warning title=convdiff::{_data(note)}" for note in suite.notes]
    return "\n".join([*lines, conclusion(suite)]) + "\n"


def _command(kind: str, case: CaseResult, message: str) -> str:
    """A workflow command that annotates the case's line of the manifest."""
    file, _, line = case.place.rpartition(":")
    # A case in trouble begins with the file and the line of the key at fault.
    trouble = re.match(rf"{re.escape(file)}:(\d+): ", case.trouble or "")
    if file and trouble:
        line = trouble[1]
    where = f"file={_property(file)},line={line}," if file else ""
    return f"::{kind} {where}title={_property(f'convdiff: {case.name}')}::{_data(message)}"


def _data(text: str) -> str:
    """`text` escaped as the data of a command."""
    escaped = printable(text, lines=True).replace("%", "%25")
    return escaped.replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """`text` escaped as a property of a command."""
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")


def summary_text(suite: Suite) -> str:
    """The job summary in Markdown: a table of what does not agree, then failing cases in full."""
    lines = [f"### {STATE_ICONS[suite_state(suite)]} convdiff: {conclusion(suite)}", ""]
    lines += [*(f"- {_cell(note)}" for note in suite.notes), ""] if suite.notes else []
    listed = [case for case in suite.cases if case.state != "agrees" or case.stale]
    if listed:
        lines += ["| case | result | rounding units | |", "|---|---|--:|---|"]
        lines += [
            f"| {_cell(case.name)} | {STATE_ICONS[case.state]} {state_words(case)} | "
            f"{units_words(case) if case.failing else ''} | {_cell(summary(case))} |"
            for case in listed
        ]
        lines.append("")
    failing = [case for case in suite.cases if case.exit_code and case.report]
    for case in failing[:MAX_SUMMARY_CASES]:
        lines += [
            f"<details><summary>{_html(case.name)}</summary>",
            "",
            f"<pre>{escape(render_case(case))}</pre>",
            "",
            "</details>",
            "",
        ]
    left = len(failing) - MAX_SUMMARY_CASES
    if left > 0:
        lines.append(f"and {left:,} more that fail: see the JSON or HTML report")
    return "\n".join(lines) + "\n"


def _html(text: str) -> str:
    # Quotes outside tags need no escape, and the # of their entities would be read as Markdown.
    return escape(printable(shorten(text)), quote=False)


def _cell(text: str) -> str:
    """Text from outside as a cell of a table: no HTML, no Markdown, no end of the cell."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]#|~" else char for char in _html(text))
