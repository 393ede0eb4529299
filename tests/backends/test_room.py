"""Never more workers at once than there are cores and memory for; and one that hangs holds up
nobody.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from backends_support import ARRAYS, alive, gone, job

from convdiff.backends import capacity
from convdiff.backends import fleet as fleets
from convdiff.backends.environments import Environment, find
from convdiff.backends.fleet import Fleet, Job

ALONE = "import time\nbegan = time.time()\ntime.sleep(0.3)\noutput = [began, time.time()]"


def several(count: int) -> list[Environment]:
    """numpy's environment, in as many processes, told apart by a variable."""
    return [
        replace(find("numpy"), variables=(("CONVDIFF_TEST", str(number)),))
        for number in range(count)
    ]


def jobs(environments: list[Environment], code: str) -> list[Job]:
    return [
        job(code, str(number), process=place.process) for number, place in enumerate(environments)
    ]


def run(environments: list[Environment], *, cores: int, memory: int) -> list[tuple[float, float]]:
    with Fleet(environments, timeout=30) as fleet:
        fleet._cores, fleet._memory = cores, memory
        fleet.start()
        answers = list(fleet.run(jobs(environments, ALONE), ARRAYS))
        assert len(answers) == len(environments) and all(
            answer.status == "ok" for answer in answers
        )
        assert len([pid for pid in fleet.pids if alive(pid)]) <= memory
        return sorted(
            (float(a), float(b)) for a, b in (np.asarray(answer.output) for answer in answers)
        )


@pytest.mark.parametrize(("cores", "memory"), [(1, 9), (9, 1), (1, 1)])
def test_one_after_another_where_there_is_room_for_one(cores: int, memory: int) -> None:
    times = run(several(3), cores=cores, memory=memory)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(times))


def test_together_where_there_is_room() -> None:
    environments = several(3)
    with Fleet(environments, timeout=30) as fleet:
        fleet._cores, fleet._memory = 3, 3
        fleet.start()
        assert len(fleet.pids) == 3


def test_one_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleets, "STALLED", 0.5)
    environments = several(2)
    with Fleet(environments, timeout=8) as fleet:
        fleet._cores, fleet._memory = 1, 9
        hangs, works = (
            jobs(environments, "import time; time.sleep(60)")[0],
            jobs(environments, "output = input")[1],
        )
        assert [(answer.name, answer.status) for answer in fleet.run([hangs, works], ARRAYS)] == [
            ("1", "ok"),
            ("0", "timeout"),
        ]


def test_a_variable_is_set_in_that_process_only() -> None:
    environments = several(2)
    with Fleet(environments, timeout=30) as fleet:
        answers = fleet.run(
            jobs(environments, "import os\noutput = float(os.environ['CONVDIFF_TEST'])"), ARRAYS
        )
        assert {answer.name: float(np.asarray(answer.output)) for answer in answers} == {
            "0": 0.0,
            "1": 1.0,
        }


def test_this_machine_has_room() -> None:
    assert capacity.cores() >= 1 and capacity.workers() >= 1


def test_waiting_for_what_they_say_ends(tmp_path: Path) -> None:
    """An interpreter that never starts is left out; the others' words are there."""
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    slow = Environment("numpy@slow", "numpy", sleeper, "configured")
    with Fleet([find("numpy"), slow]) as fleet:
        fleet._cores = 2
        while fleet.hello("numpy") is None:
            fleet.wait(0.2)
        assert list(fleet.wait(0.2)) == ["numpy"]
        pids = fleet.pids
    assert gone(pids)
