"""What `convdiff backends` lists: every environment, and what its worker says when it is started."""

from __future__ import annotations

from typing import NamedTuple

from convdiff.backends.environments import Environment, all_environments
from convdiff.backends.fleet import Fleet
from convdiff.backends.station import Hello


class Description(NamedTuple):
    """An environment, and either its worker's hello (versions, devices, seconds to start) or why it cannot run."""

    environment: Environment
    hello: Hello | None
    reason: str | None


def describe() -> list[Description]:
    """Start the workers of all environments together and ask each."""
    environments = all_environments()
    with Fleet(environments) as fleet:
        said = fleet.wait()
    return [
        Description(e, None, answer) if isinstance(answer := said[e.name], str) else Description(e, answer, None) for e in environments
    ]
