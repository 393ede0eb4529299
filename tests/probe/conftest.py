"""Functions questioned where users run them: in a framework's worker, one process a framework for
the whole session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from convdiff.backends.fleet import Fleet
from convdiff.probe import ProbeRequest
from convdiff.probe.outcome import ProbeOutcome
from convdiff.probe.session import question
from convdiff.spec.settings import Settings
from tests.dialects.conftest import environment

Ask = Callable[..., ProbeOutcome]


@pytest.fixture(scope="session")
def ask() -> Iterator[Ask]:
    """What a probe of some code in some framework finds; options are those of the convolution, and
    the shapes.
    """
    fleets: dict[str, Fleet] = {}

    def ask(
        name: str,
        code: str,
        *,
        input_shape: str | None = None,
        kernel_shape: str | None = None,
        **options: Any,
    ) -> ProbeOutcome:
        where = environment(name)
        if name not in fleets:
            fleets[name] = Fleet([where], timeout=120)
            fleets[name].start()
        settings = Settings.from_mapping(options)
        request = ProbeRequest(
            target=f"{name}={code}",
            settings=settings,
            input_shape=input_shape,
            kernel_shape=kernel_shape,
        )
        return question(request, fleets[name], where, code)

    yield ask
    for fleet in fleets.values():
        fleet.close()
