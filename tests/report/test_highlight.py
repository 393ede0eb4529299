"""Colored Python code, folded to the width of the page."""

from __future__ import annotations

import ast
import io

import pytest
from rich.console import Console

from convdiff.dialects import DIALECTS, Unsupported, write
from convdiff.report.highlight import python_lines
from convdiff.report.page import Page
from tests.specs import SPECS


def colored(code: str, width: int = 60) -> list[str]:
    """Each line, with its colored pieces in braces."""
    lines = []
    for line in python_lines(code, Page(Console(width=width, _environ={}))):
        text = line.plain
        for span in sorted(line.spans, key=lambda span: -span.start):
            text = f"{text[: span.start]}{{{text[span.start : span.end]}}}{text[span.end :]}"
        lines.append(text)
    return lines


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("y = f(x1, 2.5e3, 'a # b')  # note", ["y = f(x1, {2.5e3}, {'a # b'})  {# note}"]),
        (
            "for i in (None, 'it\\'s'):\n    format = 1",
            ["{for} i {in} ({None}, {'it\\'s'}):", "    format = {1}"],
        ),
        ("", [""]),
    ],
)
def test_tokens_are_colored(code: str, lines: list[str]) -> None:
    assert colored(code) == lines


def test_wide_code_is_folded_and_comments_stay_comments() -> None:
    code = (
        "    y = "
        + "call(a, b) + " * 5
        + "1\n# "
        + "word " * 12
        + "\nz = call(a, b)  # a comment that is too long for this line"
    )
    folded = [line.plain for line in python_lines(code, Page(Console(width=40, _environ={})))]
    assert folded == [
        "    y = call(a, b) + call(a, b) + \\",
        "        call(a, b) + call(a, b) + \\",
        "        call(a, b) + 1",
        "# word word word word word word word",
        "# word word word word word",
        "z = call(a, b)",
        "# a comment that is too long for this",
        "# line",
    ]


def test_folded_code_of_every_dialect_is_valid_python() -> None:
    page = Page(Console(file=io.StringIO(), width=80, _environ={}))
    parsed = 0
    for spec in SPECS.values():
        for name in DIALECTS:
            try:
                body = write(name, spec).body
            except Unsupported:
                continue
            lines = python_lines(body, page, "  ")
            ast.parse("\n".join(line.plain.removeprefix("  ") for line in lines))
            parsed += 1
    assert parsed > 400
