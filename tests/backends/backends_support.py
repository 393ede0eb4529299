"""What the tests of backends share: arrays, jobs, and whether processes are alive."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.backends.environments import Environment, find
from convdiff.backends.fleet import Job
from convdiff.records import Answer, Stored


def stored(array: Any) -> Stored:
    return Stored(array, array.dtype.name)


ARRAYS = {
    "input": stored(np.arange(12, dtype=np.float32).reshape(3, 4)),
    "kernel": stored(np.ones((2, 2), np.float32)),
}


def job(code: str, name: str = "numpy", **options: Any) -> Job:
    return Job(
        name,
        options.pop("kind", "backend"),
        options.pop("backend", "numpy"),
        code,
        options.pop("mode", "body"),
        **options,
    )


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids: list[int], within: float = 5.0) -> bool:
    end = time.monotonic() + within
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(alive, pids))


def environment(name: str) -> Environment:
    """The environment, or a skip; a failure where CONVDIFF_REQUIRE names it."""
    found = find(name)
    if not found.usable:
        (pytest.fail if name in os.environ.get("CONVDIFF_REQUIRE", "").split(",") else pytest.skip)(
            str(found.reason)
        )
    return found


Run = Callable[..., list[Answer]]
