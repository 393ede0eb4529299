"""The report of a run while its rows come: on an emulated terminal, and in a pipe."""

from __future__ import annotations

import io
import random
import re

import pytest
from rich.console import Console

from convdiff.report import run_report
from tests.report.reports import REPORTS

CONTROL = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|(\r|\n)|([^\x1b\r\n]+)")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(stream: str, height: int) -> list[str]:
    """The lines of a terminal after `stream`, with those that have scrolled off the top.

    The cursor cannot move back to lines that have scrolled off.
    """
    lines, row, column = [""], 0, 0
    for code, what, move, text in CONTROL.findall(stream):
        if text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif move == "\n":
            row, column = row + 1, 0
            if row == len(lines):
                lines.append("")
        elif move == "\r":
            column = 0
        elif what == "A":
            row = max(row - int(code or 1), len(lines) - height, 0)
        elif what == "K":
            lines[row] = ""
        else:
            assert what in "mhl", f"unexpected control sequence: {code}{what}"
    return lines


def play(name: str, expected: list[str], height: int = 30) -> str:
    report = REPORTS[name]
    terminal = Terminal()
    console = Console(
        file=terminal,
        force_terminal=True,
        color_system="256",
        width=80,
        height=height,
        _environ={"TERM": "xterm-256color"},
    )
    rows = list(report.rows)
    random.Random(5).shuffle(rows)
    with run_report.open_view(report.case, console, expected) as view:
        for row in rows:
            view.add(row)
        view.finish(report)
    return terminal.getvalue()


@pytest.mark.parametrize("name", ["overlap", "flipped", "awkward"])
@pytest.mark.parametrize("height", [8, 30, 300])
def test_only_the_final_table_stays_on_a_terminal(name: str, height: int) -> None:
    stream = play(name, [row.answer.name for row in REPORTS[name].rows], height)
    assert stream.endswith(run_report.render(REPORTS[name], 80, color=True))
    lines = [line.rstrip() for line in screen(stream, height)]
    assert "\n".join(lines).strip("\n") == run_report.render(REPORTS[name], 80, color=False).strip(
        "\n"
    )


def test_awaited_rows_are_shown_in_their_final_places() -> None:
    report = REPORTS["awkward"]
    terminal = Terminal()
    console = Console(
        file=terminal,
        force_terminal=True,
        color_system=None,
        width=80,
        height=100,
        _environ={"TERM": "xterm"},
    )
    expected = ["numpy", "torch:cpu/native", "torch:cpu/onednn", "noise", "other"]
    with run_report.open_view(report.case, console, expected) as view:
        first = screen(terminal.getvalue(), 100)
        view.add(report.rows[10])
        view.add(report.rows[2])
        view.add(report.rows[1])
        second = screen(terminal.getvalue(), 100)
        view.finish(report)
    assert [line.split()[0] for line in first if "running" in line] == expected
    names = [
        line.split()[0] for line in second if re.search(r"running|rounding +\d|✗ different", line)
    ]
    assert names == expected
    assert any("no known cause" in line for line in second), (
        "the details of a row are shown as soon as it has come"
    )


@pytest.mark.parametrize(("error", "kept"), [(ValueError, False), (KeyboardInterrupt, True)])
def test_an_error_leaves_the_terminal_clean_and_ctrl_c_leaves_the_rows_that_have_come(
    error: type[BaseException], kept: bool
) -> None:
    report = REPORTS["flipped"]
    terminal = Terminal()
    console = Console(
        file=terminal,
        force_terminal=True,
        color_system="256",
        width=80,
        height=30,
        _environ={"TERM": "xterm-256color"},
    )
    with pytest.raises(error), run_report.open_view(report.case, console, ["numpy"]) as view:
        view.add(report.rows[0])
        raise error
    shown = "".join(screen(terminal.getvalue(), 30))
    assert (
        ("interrupted" in shown and report.rows[0].answer.name in shown)
        if kept
        else shown.strip() == ""
    )
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l"), (
        "the cursor must be visible again"
    )


def test_a_pipe_gets_only_the_final_table_without_control_codes() -> None:
    report = REPORTS["overlap"]
    pipe = io.StringIO()
    with run_report.open_view(
        report.case, Console(file=pipe, width=80, _environ={}), ["numpy", "torch"]
    ) as view:
        for row in report.rows:
            view.add(row)
        assert pipe.getvalue() == ""
        view.finish(report)
    assert pipe.getvalue() == run_report.render(report, 80, color=False)


def test_forced_color_in_a_pipe_adds_only_color() -> None:
    report = REPORTS["overlap"]
    pipe = io.StringIO()
    console = Console(file=pipe, width=80, force_terminal=True, color_system="256", _environ={})
    with run_report.open_view(report.case, console, ["numpy"]) as view:
        view.add(report.rows[0])
        view.finish(report)
    assert pipe.getvalue() == run_report.render(report, 80, color=True)
