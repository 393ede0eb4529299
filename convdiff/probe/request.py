"""What a user asks of a probe: which function, and what is known of it already."""

from __future__ import annotations

from dataclasses import dataclass

from convdiff.spec.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ProbeRequest:
    """One probe, in the words of its options.

    `target` is `NAME=CODE`, `settings` are the options to check the function against. The shapes
    are texts such as "2,3,8,8", given for a function that takes no others. `timeout` is in seconds,
    for one call. `command` is the command line that repeats the probe.
    """

    target: str
    settings: Settings
    input_shape: str | None = None
    kernel_shape: str | None = None
    timeout: float = 60.0
    command: str = "convdiff probe"
