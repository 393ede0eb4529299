"""Scripts run as users run them: in a framework's worker, one process per framework and session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from convdiff.backends.environments import Environment, find_environment
from convdiff.backends.fleet import Fleet, Job
from convdiff.records import Answer, Stored
from convdiff.spec.layout import Array
from tests.backends.support import PATIENCE, run_with_memory

Ask = Callable[[str, str, Mapping[str, Array]], Answer]


def environment(name: str) -> Environment:
    """The environment of a framework; a skip where it is missing, a failure where it is required.

    CONVDIFF_REQUIRE names required frameworks.  CONVDIFF_THEANO_PYTHON (and the like for others)
    names an interpreter for a machine where none is registered.
    """
    found = find_environment(name)
    python = os.environ.get(f"CONVDIFF_{name.upper()}_PYTHON")
    if not found.usable and python:
        return Environment(name, name, Path(python), "registered")
    if not found.usable:
        required = name in os.environ.get("CONVDIFF_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)(str(found.reason))
    return found


@pytest.fixture(scope="session")
def ask() -> Iterator[Ask]:
    """The answer of a framework to a script on the given arrays."""
    fleets: dict[str, Fleet] = {}

    def ask(name: str, body: str, arrays: Mapping[str, Array]) -> Answer:
        if name not in fleets:
            fleets[name] = Fleet([environment(name)], timeout=PATIENCE)
            fleets[name].start()
        stored = {role: Stored(array, array.dtype.name) for role, array in arrays.items()}
        return run_with_memory(fleets[name], Job(name, "backend", name, body, "body"), stored)

    yield ask
    for fleet in fleets.values():
        fleet.close()
