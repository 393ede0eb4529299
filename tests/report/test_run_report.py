"""The report of a run as text: golden files, and what must hold for every report."""

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

from convdiff.records import Finding, OutputGroup, Report
from convdiff.report import run_report
from convdiff.report.escape import printable
from tests.report.reports import HOSTILE, LONG, REPORTS

SGR = re.compile(r"\x1b\[[0-9;]*m")


def without_spaces(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("name", REPORTS)
def test_report_at_80_columns_matches_the_golden_file(
    name: str, golden: Callable[[str, str], None]
) -> None:
    golden(f"{name}-80.txt", run_report.render(REPORTS[name], 80, color=False))


@pytest.mark.parametrize("width", [48, 120])
def test_awkward_report_at_other_widths_matches_the_golden_file(
    width: int, golden: Callable[[str, str], None]
) -> None:
    golden(f"awkward-{width}.txt", run_report.render(REPORTS["awkward"], width, color=False))


@pytest.mark.parametrize("width", [40, 80, 100, 120, 200])
@pytest.mark.parametrize("name", REPORTS)
def test_no_line_is_wider_than_the_terminal_or_120_columns(name: str, width: int) -> None:
    lines = run_report.render(REPORTS[name], width, color=False).splitlines()
    assert max(map(cell_len, lines)) <= min(width, 120)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", REPORTS)
def test_every_row_is_shown_with_its_verdict_and_finding(name: str, width: int) -> None:
    text = without_spaces(run_report.render(REPORTS[name], width, color=False))
    for row in REPORTS[name].rows:
        assert without_spaces(printable(row.answer.name)) in text
        assert (row.verdict or row.answer.status) in text
        expected = [finding.summary for finding in row.findings[:1]] or (
            row.message or row.answer.message or ""
        ).splitlines()
        for line in expected:
            assert without_spaces(printable(line.strip())) in text


def test_markup_and_control_characters_are_shown_as_text() -> None:
    text = run_report.render(REPORTS["awkward"], 80, color=False)
    assert r"[red]evil[/red]\x1b[2J\u202e" in text
    assert r"[red]this[/red] \x1b[31mis\x07 hostile" in text
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert HOSTILE not in text


@pytest.mark.parametrize("name", REPORTS)
def test_color_does_not_change_the_text(name: str) -> None:
    plain, colored = (run_report.render(REPORTS[name], 80, color=color) for color in (False, True))
    assert "\x1b" not in plain
    assert SGR.sub("", colored) == plain
    assert SGR.search(colored)


def test_rows_with_the_same_cause_are_explained_once() -> None:
    text = run_report.render(REPORTS["overlap"], 80, color=False)
    assert "✗ loop.npy, loop.py:conv" in text
    assert text.count("overlapping windows were added up") == 1


def test_groups_of_outputs_are_listed() -> None:
    assert "the same bit for bit: torch:cpu/native, torch:cpu/onednn\n" in run_report.render(
        REPORTS["awkward"], 80, color=False
    )
    other = OutputGroup("different", ("a", "b"))
    both = replace(REPORTS["awkward"], groups=(OutputGroup("rounding", ("c", "d")), other))
    text = run_report.render(both, 80, color=False)
    assert "the same up to rounding: c, d\ndifferent from each other: a, b\n" in text


def test_a_long_fix_is_cut_and_the_lines_left_out_are_counted() -> None:
    text = run_report.render(REPORTS["awkward"], 80, color=False)
    assert "step 4 of" in text
    assert "step 39 of" not in text
    assert re.search(r"# \d+ more lines: --json has all of it", text)


def test_an_ascii_terminal_gets_only_ascii() -> None:
    sink = io.BytesIO()
    console = Console(file=io.TextIOWrapper(sink, encoding="ascii"), width=80, _environ={})
    report = REPORTS["awkward"]
    with run_report.open_view(report.case, console, []) as view:
        view.finish(report)
    console.file.flush()
    text = sink.getvalue().decode("ascii")
    assert "x noise" in text
    assert r"\u540d\u5b57" in text


def test_a_long_name_is_shown_whole() -> None:
    text = run_report.render(REPORTS["awkward"], 80, color=False)
    assert without_spaces(LONG) in without_spaces(text)


@settings(max_examples=60, deadline=None)
@given(
    name=st.text(min_size=1, max_size=90),
    summary=st.text(max_size=200),
    fix=st.text(max_size=200),
    message=st.text(max_size=200),
    width=st.integers(32, 130),
)
def test_any_text_is_printable_and_fits_any_width(
    name: str, summary: str, fix: str, message: str, width: int
) -> None:
    report = REPORTS["groups"]
    different, failed = report.rows[-1], REPORTS["awkward"].rows[7]
    finding = Finding(({"code": "wrong-groups"},), summary, {"torch": fix})
    rows = (
        replace(
            different,
            answer=replace(different.answer, name=name),
            findings=(finding,),
            where=message,
        ),
        replace(failed, answer=replace(failed.answer, message=message)),
        replace(different, findings=(), message=message),
    )
    text = run_report.render(Report(report.case, rows, 1, "x"), width, color=False)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert max(map(cell_len, text.split("\n"))) <= width


def test_without_the_exit_line_the_report_ends_with_the_conclusion() -> None:
    whole = run_report.render(REPORTS["groups"], 80, color=False).splitlines()
    without = run_report.render(REPORTS["groups"], 80, color=False, exit_line=False).splitlines()
    assert without == whole[:-1]
    assert "exit code" in whole[-1]


def test_neither_pygments_nor_rich_live_is_imported(run_python: Callable[[str], str]) -> None:
    code = (
        "import sys, convdiff.report.run_report; print([m for m in sys.modules if "
        "m.startswith(('pygments', 'rich.live', 'rich.syntax'))])"
    )
    assert run_python(code) == "[]"
