"""The progress line of a run on stderr."""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import Any, cast

import pytest

from convdiff.cli.run_progress import CLEAR_LINE, RunProgress
from convdiff.records import Answer, Row


class TableStub:
    def __init__(self, stream: io.StringIO) -> None:
        self.rows: list[str] = []
        self.stream = stream

    def add(self, row: Row) -> None:
        self.rows.append(row.answer.name)

    def finish(self, report: object) -> None:
        self.stream.write("the table")


def test_the_line_gets_shorter_and_is_removed_before_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream = io.StringIO()
    inner = TableStub(stream)
    with RunProgress(cast(Any, nullcontext(inner)), ["torch", "tensorflow", "jax"], stream) as view:
        for name in ("jax", "tensorflow", "torch"):
            view.add(Row(Answer(name, "backend", "ok")))
        view.finish(cast(Any, None))
    assert inner.rows == ["jax", "tensorflow", "torch"]
    lines = stream.getvalue().split(CLEAR_LINE)
    assert lines[1:] == [
        "waiting for torch, tensorf...",
        "waiting for torch, tensorflow"[:29],
        "waiting for torch",
        "",
        "the table",
        "",
    ]
    assert all(len(line) < 30 for line in lines)
