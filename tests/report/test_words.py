"""Numbers, words, colours and code, each by a table of cases."""

from __future__ import annotations

import numpy as np
import pytest
from rich.color import Color
from rich.console import Console
from rich.style import Style

from convdiff.report import figures, words
from convdiff.report.highlight import python
from convdiff.report.identical_rows import same_bits
from convdiff.report.page import Page
from convdiff.report.palette import CUBE, STATES, UNICODE
from tests.report.reports import REPORTS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (2.38e-7, "2.38e-07"),
        (2.4e-7, "2.4e-07"),
        (1e-6, "1e-06"),
        (0.0123, "0.0123"),
        (3.1, "3.1"),
        (9.9999, "10"),
        (99.96, "100"),
        (950, "950"),
        (999.9, "1,000"),
        (43210, "43,200"),
        (999499, "999,000"),
        (999999, "1e+06"),
        (1.34e6, "1.34e+06"),
        (-12.34, "-12.3"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (-float("inf"), "-inf"),
        (np.float32(0.1), "0.1"),
    ],
)
def test_short(value: float, text: str) -> None:
    assert figures.short(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0"),
        (0, 0, "0"),
        (1, 1000, "<1%"),
        (1, 8, "12%"),
        (999, 1000, ">99%"),
        (10, 10, "all"),
    ],
)
def test_share(part: int, whole: int, text: str) -> None:
    assert figures.share(part, whole) == text


@pytest.mark.parametrize(
    ("spent", "text"),
    [
        (0.00001, "1 ms"),
        (0.0031, "3 ms"),
        (0.1, "0.1 s"),
        (1.44, "1.4 s"),
        (9.97, "10 s"),
        (60, "1 min"),
        (64.2, "1 min 4 s"),
    ],
)
def test_seconds(spent: float, text: str) -> None:
    assert figures.seconds(spent) == text


@pytest.mark.parametrize(
    ("name", "conclusion", "meaning"),
    [
        ("agreeing", "both agree", "all agree"),
        (
            "overlap",
            "4 of 7 agree; 2 differ: overlap accumulated; 1 is unavailable",
            "at least one differs",
        ),
        (
            "transposed",
            "2 of 3 agree; 1 differs: kernel flipped and kernel channels reversed",
            "at least one differs",
        ),
        ("empty", "nothing was compared", "nothing was compared"),
        (
            "awkward",
            "3 of 12 agree; 3 differ: wrong padding and bias missing, unexplained; 1 cannot be "
            "compared; 1 has reduced precision: "
            "tf32; 1 is unsupported; 1 failed; 1 crashed; 1 timed out",
            "a backend or call that is required could not run",
        ),
    ],
)
def test_the_conclusion(name: str, conclusion: str, meaning: str) -> None:
    assert words.conclusion(REPORTS[name].rows) == conclusion
    assert words.exit_words(REPORTS[name]) == meaning


@pytest.mark.parametrize(
    ("name", "row", "conclusion"),
    [
        ("agreeing", 0, "it agrees"),
        ("groups", -1, "it differs: wrong groups"),
        ("awkward", 3, "it has reduced precision: tf32"),
        ("awkward", 4, "it crashed"),
        ("awkward", 10, "it differs: unexplained"),
        ("overlap", 4, "it is unavailable"),
    ],
)
def test_the_conclusion_of_one_row(name: str, row: int, conclusion: str) -> None:
    assert words.conclusion([REPORTS[name].rows[row]]) == conclusion


def test_more_rivals_than_anyone_reads_are_counted() -> None:
    rivals = [[{"code": "scaled", "factor": float(n)}] for n in range(7)]
    said = "; or ".join(f"everything was multiplied by {n}" for n in range(4))
    assert words.rivals_words(rivals) == f"{said}; and 3 more"


def luminance(color: str) -> float:
    channels = [part / 255 for part in Color.parse(color).get_truecolor()]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", [name for name, style in CUBE.items() if "color" in style])
def test_no_colour_vanishes_on_white_or_black(name: str) -> None:
    color = Style.parse(CUBE[name]).color
    assert color is not None
    at = luminance(color.name)
    assert min(1.05 / (at + 0.05), (at + 0.05) / 0.05) >= 3.5


def test_every_verdict_and_status_has_a_sign_of_its_group() -> None:
    assert set(UNICODE.states) == set(STATES) - {"running"}
    verdicts = [
        UNICODE.states[verdict]
        for verdict in ("identical", "rounding", "reduced-precision", "different", "incomparable")
    ]
    assert len(set(verdicts)) == 5


def coloured(code: str, width: int = 60) -> list[str]:
    """Each line with its coloured pieces in braces."""
    lines = []
    for line in python(code, Page(Console(width=width, _environ={}))):
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
def test_code_is_coloured_by_its_tokens(code: str, lines: list[str]) -> None:
    assert coloured(code) == lines


def test_wide_code_is_folded_and_a_comment_stays_one() -> None:
    code = (
        "    y = "
        + "call(a, b) + " * 5
        + "1\n# "
        + "word " * 12
        + "\nz = call(a, b)  # which is why it is so, and not otherwise"
    )
    folded = [line.plain for line in python(code, Page(Console(width=40, _environ={})))]
    assert folded == [
        "    y = call(a, b) + call(a, b) + \\",
        "        call(a, b) + call(a, b) + \\",
        "        call(a, b) + 1",
        "# word word word word word word word",
        "# word word word word word",
        "z = call(a, b)",
        "# which is why it is so, and not",
        "# otherwise",
    ]


def test_bits_are_the_same_or_not() -> None:
    from dataclasses import replace

    row = REPORTS["agreeing"].rows[0]
    outputs = {
        "nan": [np.nan, 1],
        "nan again": [np.nan, 1],
        "zero": [0.0, 1],
        "minus zero": [-0.0, 1],
        "end": [np.nan, 2],
        "shape": [[np.nan, 1]],
    }
    rows = [
        replace(row, answer=replace(row.answer, name=name, output=np.array(made, np.float32)))
        for name, made in outputs.items()
    ]
    rows.append(replace(row, answer=replace(row.answer, name="none")))
    rows.append(replace(row, answer=replace(row.answer, name="wide", output=np.array([np.nan, 1]))))
    assert same_bits(rows) == [["nan", "nan again"]]


def test_folded_code_is_still_python() -> None:
    import ast
    import io

    from rich.console import Console

    from convdiff.dialects import DIALECTS, Unsupported, write
    from convdiff.report.highlight import python
    from convdiff.report.page import Page
    from tests.specs import SPECS

    page = Page(Console(file=io.StringIO(), width=80, _environ={}))
    parsed = 0
    for spec in SPECS.values():
        for name in DIALECTS:
            try:
                body = write(name, spec).body
            except Unsupported:
                continue
            ast.parse("\n".join(line.plain.removeprefix("  ") for line in python(body, page, "  ")))
            parsed += 1
    assert parsed > 400
