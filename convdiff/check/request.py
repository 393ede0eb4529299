"""What a user asked of `convdiff check`, before any file has been opened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """`patterns` are shell patterns on cases' names; none means all.  `backends`, `timeout` and
    `fail_on` overrule the manifests where they are given; `require` is added to each case.  `jobs`
    is how many processes compare; None: one a core.
    """

    manifests: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    timeout: float | None = None
    fail_on: str | None = None
    fail_fast: bool = False
    jobs: int | None = None
    scheduler: str | None = None
    pictures: bool = False
    command: str = "convdiff check"
