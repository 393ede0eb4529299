"""Python code in a few colours, by one regular expression: pygments takes longer to import than a
whole report takes.
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


def python(code: str, page: Page, indent: str = "") -> list[Text]:
    """The code as lines, each after `indent`; one too wide is folded at a space, its rest set in
    further.
    """
    text = page.text(code.strip("\n"), lines=True)
    for match in TOKEN.finditer(text.plain):
        text.stylize(page.styles[str(match.lastgroup)], *match.span())
    return [
        folded
        for line in text.split("\n", allow_blank=True)
        for folded in _fold(line, page.width - len(indent), indent)
    ]


def _fold(line: Text, width: int, indent: str) -> list[Text]:
    line.rstrip()
    made = []
    lead = _lead(line)
    comment = next(
        (match.start() for match in TOKEN.finditer(line.plain) if match.lastgroup == "comment"),
        None,
    )
    if comment is not None and comment > lead and line.cell_len > width:
        # A comment behind code gets a line of its own before anything is folded.
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
        # Outside brackets Python needs to be told that the line goes on.
        made.append(Text(indent) + head + Text(" \\" if depth <= 0 and comment is None else ""))
        line = further + rest[_lead(rest) :]
        lead = len(further)
    return [*made, Text(indent) + line if line.plain else line]


def _lead(line: Text) -> int:
    return len(line.plain) - len(line.plain.lstrip())
