"""The process of a worker: more text than a pipe holds, and a log that must not grow forever."""

from __future__ import annotations

import pytest

from convdiff.backends.environments import find_environment
from convdiff.backends.fleet import Fleet
from tests.backends.support import ARRAYS, PATIENCE, Run, job


def test_many_jobs_with_more_text_than_a_pipe_holds(run: Run) -> None:
    text = "# " + "x" * 20_000 + "\noutput = input"
    assert all(answer.status == "ok" for answer in run(*[text] * 30))


LOG_LIMIT = 1 << 16
# Prints up to twice the limit, and ends once it sees that the host has emptied the log.
CHATTER = f"""
import os, time
largest = 0
while (size := os.fstat(1).st_size) >= largest:
    largest = size
    print("x" * 999) if size < {2 * LOG_LIMIT} else time.sleep(0.01)
output = input
"""


def test_a_long_log_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convdiff.backends.process.LOG_LIMIT", LOG_LIMIT)
    with Fleet([find_environment("numpy")], timeout=PATIENCE) as fleet:
        answers = list(fleet.run([job(CHATTER), job("output = input", "next")], ARRAYS))
        assert [answer.status for answer in answers] == ["ok", "ok"]
        assert (fleet._open() / "numpy.log").stat().st_size <= 2 * LOG_LIMIT + 1000
