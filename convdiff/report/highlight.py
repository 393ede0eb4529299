"""Python code in a few colors, with a regular expression.

Importing pygments would take longer than making the whole report.
"""

from __future__ import annotations

import keyword
import re

from rich.text import Text

from convdiff.report.page import Page

TOKEN = re.compile(
    r"(?P<comment>#[^\n]*)"
    r"|(?P<string>[rbfRBF]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'))"
    r"|(?P<number>(?<![\w.])\d[\w.]*)"
    rf"|(?P<keyword>\b(?:{'|'.join(keyword.kwlist)})\b)",
    re.DOTALL,
)


def python_lines(code: str, page: Page, indent: str = "") -> list[Text]:
    """The code as lines after `indent`; a line that is too wide is folded into valid Python."""
    text = page.text(code.strip("\n"), lines=True)
    for match in TOKEN.finditer(text.plain):
        text.stylize(page.styles[str(match.lastgroup)], *match.span())
    return [
        folded
        for line in text.split("\n", allow_blank=True)
        for folded in _fold(line, page.width - len(indent), indent)
    ]


def _fold(line: Text, width: int, indent: str) -> list[Text]:
    """The line in pieces of at most `width` cells, folded at spaces and indented further."""
    line.rstrip()
    folded = []
    lead = _leading_spaces(line)
    comment = next(
        (match.start() for match in TOKEN.finditer(line.plain) if match.lastgroup == "comment"),
        None,
    )
    if comment is not None and comment > lead and line.cell_len > width:
        # A comment after code gets a line of its own before the code is folded.
        return [
            *_fold(line[:comment], width, indent),
            *_fold(line[:lead] + line[comment:], width, indent),
        ]
    further = Text(" " * min(lead, width // 3)) + (
        Text("    ") if comment is None else line[lead : lead + 1] + Text(" ")
    )
    depth = 0
    while line.cell_len > width:
        at = line.plain.rfind(" ", lead + 1, width - 1)
        if at <= lead or line[:at].cell_len > width:
            at = next(n for n in range(min(len(line), width), 0, -1) if line[:n].cell_len <= width)
        head, rest = line[:at], line[at:]
        head.rstrip()
        depth += sum(head.plain.count(sign) for sign in "([{") - sum(
            head.plain.count(sign) for sign in ")]}"
        )
        # Outside brackets Python needs a backslash where a statement continues.
        folded.append(Text(indent) + head + Text(" \\" if depth <= 0 and comment is None else ""))
        line = further + rest[_leading_spaces(rest) :]
        lead = len(further)
    return [*folded, Text(indent) + line if line.plain else line]


def _leading_spaces(line: Text) -> int:
    return len(line.plain) - len(line.plain.lstrip())
