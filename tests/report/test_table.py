"""The table as text: golden files, and what must hold of every table."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from convdiff.records import Answer, Finding, Report
from convdiff.report import table, words
from convdiff.report.details import fixes
from tests.report.reports import HOSTILE, LONG, REPORTS

SGR = re.compile(r"\x1b\[[0-9;]*m")


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("name", REPORTS)
def test_golden_at_80_columns(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}-80.txt", table.render(REPORTS[name], 80, color=False))


@pytest.mark.parametrize("width", [48, 120])
def test_golden_of_everything_awkward_at_other_widths(
    width: int, golden: Callable[[str, str], None]
) -> None:
    golden(f"awkward-{width}.txt", table.render(REPORTS["awkward"], width, color=False))


@pytest.mark.parametrize("width", [40, 80, 100, 120, 200])
@pytest.mark.parametrize("name", REPORTS)
def test_nothing_is_wider_than_the_width_and_nothing_sprawls(name: str, width: int) -> None:
    lines = table.render(REPORTS[name], width, color=False).splitlines()
    assert max(map(cell_len, lines)) <= min(width, 120)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", REPORTS)
def test_every_row_is_there_with_its_verdict_and_its_finding(name: str, width: int) -> None:
    text = squeezed(table.render(REPORTS[name], width, color=False))
    for row in REPORTS[name].rows:
        assert squeezed(words.literal(row.answer.name)) in text
        assert (row.verdict or row.answer.status) in text
        said = [finding.summary for finding in row.findings[:1]] or (
            row.message or row.answer.message or ""
        ).splitlines()
        for line in said:
            assert squeezed(words.literal(line.strip())) in text


def test_markup_and_control_characters_are_shown_and_not_obeyed() -> None:
    text = table.render(REPORTS["awkward"], 80, color=False)
    assert r"[red]evil[/red]\x1b[2J\u202e" in text
    assert r"[red]this[/red] \x1b[31mis\x07 hostile" in text
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert HOSTILE not in text


@pytest.mark.parametrize("name", REPORTS)
def test_colour_adds_nothing_but_colour(name: str) -> None:
    plain, coloured = (table.render(REPORTS[name], 80, color=color) for color in (False, True))
    assert "\x1b" not in plain
    assert SGR.sub("", coloured) == plain
    assert SGR.search(coloured)


def test_rows_of_one_cause_are_explained_once() -> None:
    text = table.render(REPORTS["overlap"], 80, color=False)
    assert "✗ loop.npy, loop.py:conv" in text
    assert text.count("overlapping windows were added up") == 1


def test_rows_of_the_same_bits_are_said_to_be() -> None:
    assert "the same bit for bit: torch:cpu/native, torch:cpu/onednn\n" in table.render(
        REPORTS["awkward"], 80, color=False
    )


def test_a_long_fix_is_cut_and_says_so() -> None:
    text = table.render(REPORTS["awkward"], 80, color=False)
    assert "step 4 of" in text
    assert "step 39 of" not in text
    assert re.search(r"# \d+ more lines: --json has all of it", text)


def test_an_output_that_carries_ascii_only_gets_ascii_only() -> None:
    sink = io.BytesIO()
    console = Console(file=io.TextIOWrapper(sink, encoding="ascii"), width=80, _environ={})
    report = REPORTS["awkward"]
    with table.open_view(report.case, console, []) as view:
        view.finish(report)
    console.file.flush()
    text = sink.getvalue().decode("ascii")
    assert "x noise" in text
    assert r"\u540d\u5b57" in text


@pytest.mark.parametrize(
    ("backend", "layout", "given", "shown"),
    [
        ("torch", "NHWC", ["tensorflow", "torch"], "torch"),
        ("torch@1.13", "NHWC", ["tensorflow", "torch"], "torch"),
        ("torch:cpu/native", "NHWC", ["tensorflow", "torch"], "torch"),
        (None, "NHWC", ["torch", "theano", "tensorflow"], "tensorflow"),
        (None, "NCHW", ["jax", "torch", "tensorflow"], "torch"),
        (None, "NCHW", ["onnx", "cudnn"], "cudnn"),
        ("cudnn", "NCHW", ["torch", "numpy"], "torch"),
    ],
)
def test_the_fix_shown_is_the_one_for_the_rows_own_framework(
    backend: str | None, layout: str, given: list[str], shown: str
) -> None:
    answer = Answer("x", "saved", "ok", backend)
    assert list(fixes(dict.fromkeys(given, "code"), answer, layout)) == [shown]
    assert list(fixes({}, answer, layout)) == []


def test_a_long_name_keeps_all_its_letters() -> None:
    assert squeezed(LONG) in squeezed(table.render(REPORTS["awkward"], 80, color=False))


@settings(max_examples=60, deadline=None)
@given(
    name=st.text(min_size=1, max_size=90),
    summary=st.text(max_size=200),
    fix=st.text(max_size=200),
    message=st.text(max_size=200),
    width=st.integers(32, 130),
)
def test_any_text_at_any_width(name: str, summary: str, fix: str, message: str, width: int) -> None:
    report = REPORTS["groups"]
    ported, failed = report.rows[-1], REPORTS["awkward"].rows[7]
    finding = Finding(({"code": "wrong-groups"},), summary, {"torch": fix})
    rows = (
        replace(
            ported, answer=replace(ported.answer, name=name), findings=(finding,), where=message
        ),
        replace(failed, answer=replace(failed.answer, message=message)),
        replace(ported, findings=(), message=message),
    )
    text = table.render(Report(report.case, rows, 1, "x"), width, color=False)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert max(map(cell_len, text.split("\n"))) <= width


def test_without_the_exit_line_it_ends_with_the_conclusion() -> None:
    whole = table.render(REPORTS["groups"], 80, color=False).splitlines()
    assert (
        table.render(REPORTS["groups"], 80, color=False, exit_line=False).splitlines() == whole[:-1]
    )
    assert "exit code" in whole[-1]
