"""Watching processes from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def child_processes(pid: int) -> list[int]:
    """The living children of a process."""
    children = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            children.append(int(folder.name))
    return children


def wait_until(condition: Callable[[], object]) -> None:
    """Waits for the condition to come true; fails after 5 minutes."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in 5 minutes"
        time.sleep(0.02)
