"""What a user asked for: whose function, and what of it is known already."""

from __future__ import annotations

from dataclasses import dataclass

from convdiff.spec.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ProbeRequest:
    """One probe, in the words of its options.

    `target` is `NAME=CODE`.  What `settings` say is checked.  The shapes are "2,3,8,8" where the
    function takes no others. `command` is how to ask again.
    """

    target: str
    settings: Settings
    input_shape: str | None = None
    kernel_shape: str | None = None
    timeout: float = 60.0
    command: str = "convdiff probe"
