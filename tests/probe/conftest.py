"""Functions probed where users run them: in one worker process per framework for the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from convdiff.backends.fleet import Fleet
from convdiff.probe import ProbeRequest
from convdiff.probe.outcome import ProbeOutcome
from convdiff.probe.session import run_probe
from convdiff.spec.settings import Settings
from tests.dialects.conftest import environment

Probe = Callable[..., ProbeOutcome]

# NumPy code whose functions are probed as `FUNCTIONS:name`.
FUNCTIONS = Path(__file__).with_name("functions.py")


@pytest.fixture(scope="session")
def probe() -> Iterator[Probe]:
    """Probes code in a framework; the keywords are the shapes and the options of a convolution."""
    fleets: dict[str, Fleet] = {}

    def run(
        name: str,
        code: str,
        *,
        input_shape: str | None = None,
        kernel_shape: str | None = None,
        **options: Any,
    ) -> ProbeOutcome:
        found = environment(name)
        if name not in fleets:
            fleets[name] = Fleet([found], timeout=120)
            fleets[name].start()
        request = ProbeRequest(
            target=f"{name}={code}",
            settings=Settings.from_mapping(options),
            input_shape=input_shape,
            kernel_shape=kernel_shape,
        )
        return run_probe(request, fleets[name], found, code)

    yield run
    for fleet in fleets.values():
        fleet.close()
