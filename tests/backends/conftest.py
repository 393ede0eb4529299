"""A fleet of one numpy worker, shared by a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backends_support import ARRAYS, Run, gone, job

from convdiff.backends.environments import find
from convdiff.backends.fleet import Fleet, Job
from convdiff.records import Answer, Stored


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet([find("numpy")], timeout=20) as fleet:
        fleet.start()
        yield fleet
        pids = fleet.pids
    assert gone(pids)


@pytest.fixture
def run(fleet: Fleet) -> Run:
    """Run codes in a numpy worker, one answer each, in the order of the codes."""

    def run(*jobs: Job | str, arrays: dict[str, Stored] = ARRAYS) -> list[Answer]:
        named = [
            job(code, name=str(i)) if isinstance(code, str) else code for i, code in enumerate(jobs)
        ]
        answers = {answer.name: answer for answer in fleet.run(named, arrays)}
        assert len(answers) == len(jobs)
        return [answers[one.name] for one in named]

    return run
