"""Jobs of several environments: their order, how many run at once, and dropped iterators."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from convdiff.backends import fleet as fleet_module
from convdiff.backends.environments import Environment, find_environment
from convdiff.backends.fleet import Fleet, Job
from tests.backends.support import (
    ARRAYS,
    PATIENCE,
    call,
    is_alive,
    job,
    pids,
    wait_until_dead,
)

GOOD = "output = input + 1"
# Both times are those of the machine, which all processes share.
TIMED = "import time\nbegin = time.monotonic()\ntime.sleep(0.1)\noutput = [begin, time.monotonic()]"


def test_a_path_and_a_name_is_a_function_anything_else_an_expression() -> None:
    for code in ("port.py:conv", "a b/port.py:conv_2", "/x/port.py:f "):
        assert call(code).mode == "function"
    for code in (
        "f(input)",
        "input[1:2]",
        "np.sum(input, keepdims=True)",
        "{'a.py': input}['a.py'][0:3]",
    ):
        assert call(code).mode == "expression"


def test_calls_are_run_after_the_backends_own_job(fleet: Fleet) -> None:
    jobs = [call("input"), job("import os; os._exit(1)", "numpy"), call("kernel")]
    answers = list(fleet.run(jobs, ARRAYS))
    assert [(answer.kind, answer.status) for answer in answers] == [
        ("backend", "crashed"),
        ("call", "ok"),
        ("call", "ok"),
    ]


def test_iterators_may_be_interleaved_and_dropped(fleet: Fleet) -> None:
    slow = "import time; time.sleep(0.1)\n" + GOOD
    outer = fleet.run([job(slow, "a"), job(slow, "b")], ARRAYS)
    first = next(outer)
    inner = list(fleet.run([job(GOOD, "probe")], ARRAYS))
    assert [answer.name for answer in (first, *inner, *outer)] == ["a", "probe", "b"]
    dropped = fleet.run([job(slow, "c"), job("import time; time.sleep(10_000)", "d")], ARRAYS)
    assert next(dropped).name == "c"
    kept = fleet.run([job(GOOD, "e")], ARRAYS)
    dropped.close()  # type: ignore[attr-defined]
    assert [answer.status for answer in kept] == ["ok"]


def numpy_environments(count: int) -> list[Environment]:
    """numpy's environment several times, each with a process of its own because of a variable."""
    return [
        replace(find_environment("numpy"), variables=(("CONVDIFF_TEST", str(number)),))
        for number in range(count)
    ]


def jobs(environments: list[Environment], code: str) -> list[Job]:
    return [
        job(code, str(number), process=environment.process)
        for number, environment in enumerate(environments)
    ]


@pytest.mark.parametrize(("cores", "memory_slots"), [(1, 9), (9, 1), (1, 1)])
def test_workers_run_one_after_another_where_capacity_allows_one(
    cores: int, memory_slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "STALL_SECONDS", math.inf)
    environments = numpy_environments(3)
    with Fleet(environments, timeout=PATIENCE) as fleet:
        fleet._cores, fleet._memory_slots = cores, memory_slots
        fleet.start()
        answers = list(fleet.run(jobs(environments, TIMED), ARRAYS))
        assert [answer.status for answer in answers] == ["ok"] * 3
        assert len([pid for pid in pids(fleet) if is_alive(pid)]) <= memory_slots
    times = sorted(
        (float(begin), float(end)) for begin, end in (np.asarray(a.output) for a in answers)
    )
    assert all(end <= begin for (_, end), (begin, _) in pairwise(times))


def test_workers_are_started_together_where_capacity_allows_it() -> None:
    with Fleet(numpy_environments(3), timeout=PATIENCE) as fleet:
        fleet._cores, fleet._memory_slots = 3, 3
        fleet.start()
        assert len(pids(fleet)) == 3


def test_a_job_that_hangs_does_not_block_other_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "STALL_SECONDS", 0.5)
    environments = numpy_environments(2)
    with Fleet(environments, timeout=PATIENCE) as fleet:
        fleet._cores, fleet._memory_slots = 1, 9
        hanging, _ = jobs(environments, "import time; time.sleep(10_000)")
        _, working = jobs(environments, "output = input")
        first = next(fleet.run([hanging, working], ARRAYS))
    assert (first.name, first.status) == ("1", "ok")


def test_a_variable_is_set_in_one_process_only() -> None:
    environments = numpy_environments(2)
    with Fleet(environments, timeout=PATIENCE) as fleet:
        answers = fleet.run(
            jobs(environments, "import os\noutput = float(os.environ['CONVDIFF_TEST'])"), ARRAYS
        )
        assert {answer.name: float(np.asarray(answer.output)) for answer in answers} == {
            "0": 0.0,
            "1": 1.0,
        }


def test_waiting_ends_without_a_worker_that_sends_nothing(tmp_path: Path) -> None:
    """The interpreter of one environment never starts; the greeting of the other is returned."""
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 10000\n")
    sleeper.chmod(0o755)
    slow = Environment("numpy@slow", "numpy", sleeper, "configured")
    with Fleet([find_environment("numpy"), slow], timeout=PATIENCE) as fleet:
        fleet._cores = 2
        while fleet.hello("numpy") is None:
            fleet.wait(0.2)
        assert list(fleet.wait(0.2)) == ["numpy"]
        workers = pids(fleet)
    wait_until_dead(workers)
