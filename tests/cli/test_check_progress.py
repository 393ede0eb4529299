"""The progress of a check: one redrawn line on a terminal, some lines in a log."""

from __future__ import annotations

import io

import pytest

from convdiff.cli import check_progress
from convdiff.suite_result import CaseResult


def cases(*codes: int) -> list[CaseResult]:
    return [CaseResult(f"c{n}\x1b[2J", "m.toml:1", code) for n, code in enumerate(codes)]


def test_the_line_on_a_terminal_is_redrawn_and_finally_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_progress, "REDRAW_SECONDS", 0.0)
    stream = io.StringIO()
    progress = check_progress.CheckProgress(stream, redraws=True)
    progress.begin(3)
    for case in cases(0, 1, 2):
        progress.add(case)
    progress.clear()
    lines = stream.getvalue().split(check_progress.CLEAR_LINE)
    assert lines == [
        "",
        "0 of 3 checked  ",
        "1 of 3 checked  c0?[2J",
        "2 of 3 checked, 1 failed  c1?[2J",
        "3 of 3 checked, 2 failed  c2?[2J",
        "",
    ]


def test_a_log_gets_a_line_only_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(check_progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = check_progress.CheckProgress(stream, redraws=False)
    progress.begin(4)
    for case in cases(0, 1, 0, 0):
        now[0] += check_progress.LOG_SECONDS / 2 + 1
        progress.add(case)
    progress.clear()
    assert (
        stream.getvalue()
        == "convdiff: 2 of 4 checked, 1 failed\nconvdiff: 4 of 4 checked, 1 failed\n"
    )
