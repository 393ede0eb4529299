"""What a user asked of `convdiff check`, before any file has been opened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """The options of one `convdiff check`.

    `patterns` are shell patterns that select cases by name; without any, every case is checked.
    `backends`, `timeout` (seconds) and `fail_on` replace the manifests' values where they are
    given; `require` is added to each case's own.  `jobs` is the number of comparing processes, None
    for one per core.
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
