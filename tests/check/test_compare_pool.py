"""The comparing processes: one that dies is replaced."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from convdiff.check.compare_pool import ComparePool
from tests.check.conftest import GOOD, Manifest
from tests.check.suites import check_manifests


def test_a_comparing_process_that_dies_loses_its_own_case_alone(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is killed while it has the second case."""
    submitted: list[Any] = []
    submit = ComparePool.submit

    def submit_and_kill(self: ComparePool, task: Any) -> Any:
        submitted.append(task)
        if len(submitted) == 2:
            pids = [process.pid for process in self._processes.values()]
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            future = submit(self, task)
            time.sleep(0.2)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            return future
        return submit(self, task)

    monkeypatch.setattr(ComparePool, "submit", submit_and_kill)
    suite = check_manifests(manifest(*({**GOOD, "name": f"c{n}"} for n in range(8))), jobs=1)
    codes = [case.exit_code for case in suite.cases]
    assert codes.count(2) in (1, 2)
    assert codes[2:] == [0] * 6
    trouble = next(case.trouble for case in suite.cases if case.exit_code == 2)
    assert "was killed by SIGKILL (out of memory?)" in str(trouble)
