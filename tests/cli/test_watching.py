"""The progress of a check: redrawn and gone on a terminal, a line now and then in a log."""

from __future__ import annotations

import io

import pytest

from convdiff.cli import check_progress
from convdiff.suite_result import CaseResult


def cases(*codes: int) -> list[CaseResult]:
    return [CaseResult(f"c{n}\x1b[2J", "m.toml:1", code) for n, code in enumerate(codes)]


def test_a_terminal_is_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_progress, "FRAME", 0.0)
    stream = io.StringIO()
    watcher = check_progress.Watcher(stream, redraws=True)
    watcher.begin(3)
    for case in cases(0, 1, 2):
        watcher.add(case)
    watcher.clear()
    drawn = stream.getvalue().split(check_progress.CLEAR)
    assert drawn == [
        "",
        "0 of 3 checked  ",
        "1 of 3 checked  c0?[2J",
        "2 of 3 checked, 1 failed  c1?[2J",
        "3 of 3 checked, 2 failed  c2?[2J",
        "",
    ]


def test_a_log_gets_lines_of_a_long_check_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(check_progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    watcher = check_progress.Watcher(stream, redraws=False)
    watcher.begin(4)
    for case in cases(0, 1, 0, 0):
        now[0] += check_progress.PAUSE / 2 + 1
        watcher.add(case)
    watcher.clear()
    assert (
        stream.getvalue()
        == "convdiff: 2 of 4 checked, 1 failed\nconvdiff: 4 of 4 checked, 1 failed\n"
    )
