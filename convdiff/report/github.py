"""For GitHub Actions: workflow commands that annotate the manifest's lines, and a job summary in
Markdown.

Commands: docs.github.com, "Workflow commands for GitHub Actions"; GitHub shows ten errors of a
step, all of them are in the summary.
"""

from __future__ import annotations

import re
from html import escape

from convdiff.report import figures
from convdiff.report.suite_table import conclusion, render_case, summary
from convdiff.report.words import elide, literal
from convdiff.suite_result import CaseResult, Suite

# A summary holds a megabyte; each of these is a few thousand characters.
TOLD = 60
SIGNS = {
    "agrees": "✅",
    "allowed": "☑️",
    "differs": "❌",
    "fed wrong": "❌",
    "lost": "❌",
    "trouble": "⚠️",
}


def commands(suite: Suite) -> str:
    """A line for each case that fails or allows what no longer occurs, then the conclusion."""
    lines = []
    for case in suite.cases:
        if case.exit_code:
            lines.append(
                _command(
                    "error",
                    case,
                    f"convdiff: {case.name}",
                    f"{summary(case)}\n{_again(case)}".strip(),
                )
            )
        gone = (f"allows {code}, which no longer occurs; take it out" for code in case.stale)
        lines += [_command("warning", case, f"convdiff: {case.name}", said) for said in gone]
    lines += [f"::warning title=convdiff::{_data(note)}" for note in suite.notes]
    return "\n".join([*lines, conclusion(suite)]) + "\n"


def _again(case: CaseResult) -> str:
    return case.report.command if case.report else ""


def _command(kind: str, case: CaseResult, title: str, message: str) -> str:
    file, _, line = case.place.rpartition(":")
    # Trouble names the line of the key that it is about, which is nearer than the case's own.
    nearer = re.match(rf"{re.escape(file)}:(\d+): ", case.trouble or "")
    line = nearer[1] if file and nearer else line
    where = f"file={_property(file)},line={line}," if file else ""
    return f"::{kind} {where}title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return literal(text, lines=True).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(literal(text)).replace(":", "%3A").replace(",", "%2C")


def summary_lines(suite: Suite) -> list[str]:
    """The Markdown's lines."""
    lines = [
        f"### {SIGNS[{0: 'agrees', 1: 'differs'}.get(suite.exit_code, 'trouble')]} convdiff: "
        f"{conclusion(suite)}",
        "",
    ]
    lines += [*(f"- {_cell(note)}" for note in suite.notes), ""] if suite.notes else []
    shown = [case for case in suite.cases if case.state != "agrees" or case.stale]
    if shown:
        lines += ["| case | result | rounding units | |", "|---|---|--:|---|"]
        for case in shown:
            worst = max(
                (row.error for row in case.failing if row.error),
                key=lambda error: error.units,
                default=None,
            )
            units = figures.units(worst.units, worst.terms) if worst else ""
            lines.append(
                f"| {_cell(case.name)} | {SIGNS[case.state]} {case.state} | {units} | "
                f"{_cell(summary(case))} |"
            )
        lines.append("")
    failing = [case for case in suite.cases if case.exit_code and case.report]
    for case in failing[:TOLD]:
        told = escape(render_case(case))
        lines += [
            f"<details><summary>{_html(case.name)}</summary>",
            "",
            f"<pre>{told}</pre>",
            "",
            "</details>",
            "",
        ]
    if len(failing) > TOLD:
        lines.append(f"and {len(failing) - TOLD:,} more that fail: see the JSON or HTML report")
    return lines


def summary_text(suite: Suite) -> str:
    """The job's summary."""
    return "\n".join(summary_lines(suite)) + "\n"


def _html(text: str) -> str:
    # Quotes may stand outside of tags; an entity's # would be taken for Markdown.
    return escape(literal(elide(text)), quote=False)


def _cell(text: str) -> str:
    """A stranger's text as a table's cell: no HTML, no Markdown, no end of the cell."""
    made = _html(text)
    return "".join(f"\\{char}" if char in "\\`*_{}[]#|~" else char for char in made)
