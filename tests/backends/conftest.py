"""A fleet of one numpy worker, shared by a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from convdiff.backends.environments import find_environment
from convdiff.backends.fleet import Fleet, Job
from convdiff.records import Answer, Stored
from tests.backends.support import ARRAYS, PATIENCE, Run, job, pids, wait_until_dead


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet([find_environment("numpy")], timeout=PATIENCE) as fleet:
        fleet.start()
        yield fleet
        workers = pids(fleet)
    wait_until_dead(workers)


@pytest.fixture
def run(fleet: Fleet) -> Run:
    """Run codes in a numpy worker; one answer each, in the order of the codes."""

    def run(*jobs: Job | str, arrays: dict[str, Stored] = ARRAYS) -> list[Answer]:
        named = [
            job(code, name=str(i)) if isinstance(code, str) else code for i, code in enumerate(jobs)
        ]
        answers = {answer.name: answer for answer in fleet.run(named, arrays)}
        assert len(answers) == len(jobs)
        return [answers[item.name] for item in named]

    return run
