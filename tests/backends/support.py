"""Shared by the tests of backends: arrays, jobs, fleets, and waiting for processes.

No test depends on how fast the machine is: each waits for an event, and a bound on the waiting only
ends a test that would never end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.backends.environments import Environment, find_environment
from convdiff.backends.fleet import Fleet, Job, call_job
from convdiff.records import Answer, Call, Stored

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 300.0  # seconds; an event that has not happened by then will not happen
MEMORY_RETRIES = 5
# What frameworks, compilers and the supervisor say where the machine is short of memory.
MEMORY_SHORTAGE = re.compile(r"out of memory|Killed|Cannot allocate memory|memory exhausted")
MIN_FREE_MEMORY = 2 << 30  # bytes that a job with a compiler needs


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


def call(code: str) -> Job:
    """The job of `--call numpy=CODE`."""
    return call_job(Call("numpy", code, "mine"))


def pids(fleet: Fleet) -> list[int]:
    """The process ids of the fleet's running workers."""
    supervisors = fleet._supervisors.values()
    return [supervisor.process.pid for supervisor in supervisors if supervisor.process is not None]


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], object], event: str) -> None:
    """Wait until the condition is true; fail, naming the event, where it never becomes true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"{event}: has not happened within {PATIENCE:g} s")
        time.sleep(0.02)


def wait_until_dead(processes: list[int]) -> None:
    wait_for(lambda: not any(map(is_alive, processes)), f"the end of the processes {processes}")


def environment(name: str) -> Environment:
    """The environment, or a skip; a failure where CONVDIFF_REQUIRE names it."""
    found = find_environment(name)
    if not found.usable:
        required = name in os.environ.get("CONVDIFF_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)(str(found.reason))
    return found


def free_memory() -> int:
    """Bytes that are available on this machine, 0 where the system does not report them."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


def run_with_memory(fleet: Fleet, job: Job, arrays: Mapping[str, Stored]) -> Answer:
    """The job's answer; asked again where a compiler or worker was killed for lack of memory.

    Fails the test, and says what was lacking, where the machine stays short of memory.
    """
    for _ in range(MEMORY_RETRIES):
        (answer,) = fleet.run([job], arrays)
        if answer.status == "ok" or not MEMORY_SHORTAGE.search(answer.message or ""):
            return answer
        end = time.monotonic() + PATIENCE / MEMORY_RETRIES
        while free_memory() < MIN_FREE_MEMORY and time.monotonic() < end:
            time.sleep(0.5)
    pytest.fail(
        f"this machine is short of memory ({free_memory() >> 20} MiB are free): {answer.message}"
    )


HOST = """
import sys
import numpy as np
from convdiff.backends.environments import find_environment
from convdiff.backends.fleet import Fleet, Job
from convdiff.records import Stored
from tests.backends.support import pids

array = Stored(np.zeros((2, 2)), "float64")
arrays = {"input": array, "kernel": array}
with Fleet([find_environment("numpy")], timeout=10_000) as fleet:
    fleet.wait()
    answers = fleet.run([Job("x", "backend", "numpy", sys.argv[1], "body")], arrays)
    print(*pids(fleet), fleet._open(), flush=True)
    if len(sys.argv) > 2:
        exec(sys.argv[2])
    print("unexpected", list(answers), flush=True)
"""


def start_host(*arguments: str, folder: Path) -> tuple[subprocess.Popen[str], int, Path]:
    """A host that runs the code in its first argument; its worker's id, and the fleet's folder.

    The second argument, if any, is code that the host itself runs meanwhile.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    pid, path = process.stdout.readline().split()
    return process, int(pid), Path(path)


Run = Callable[..., list[Answer]]
