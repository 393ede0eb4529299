"""Scripts run where users run them: in a framework's worker, one process a framework for the whole
session.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from convdiff.backends.environments import Environment, find
from convdiff.backends.fleet import Fleet, Job
from convdiff.records import Answer, Stored
from convdiff.spec.layout import Array

Ask = Callable[[str, str, Mapping[str, Array]], Answer]


def environment(name: str) -> Environment:
    """Where that framework is; a skip, or a failure if CONVDIFF_REQUIRE names it, where it is not.

    CONVDIFF_THEANO_PYTHON names an interpreter that has Theano, for a machine where none is
    registered.
    """
    found = find(name)
    python = os.environ.get(f"CONVDIFF_{name.upper()}_PYTHON")
    if not found.usable and python:
        return Environment(name, name, Path(python), "registered")
    if not found.usable:
        (pytest.fail if name in os.environ.get("CONVDIFF_REQUIRE", "").split(",") else pytest.skip)(
            str(found.reason)
        )
    return found


@pytest.fixture(scope="session")
def ask() -> Iterator[Ask]:
    """What a framework answers to a script on these arrays."""
    fleets: dict[str, Fleet] = {}

    def ask(name: str, body: str, arrays: Mapping[str, Array]) -> Answer:
        if name not in fleets:
            fleets[name] = Fleet([environment(name)], timeout=120)
            fleets[name].start()
        stored = {role: Stored(array, array.dtype.name) for role, array in arrays.items()}
        (answer,) = fleets[name].run([Job(name, "backend", name, body, "body")], stored)
        return answer

    yield ask
    for fleet in fleets.values():
        fleet.close()
