"""What a user asked for, before any file has been opened."""

from __future__ import annotations

from dataclasses import dataclass

from convdiff.spec.settings import Settings

PATHS = ("default", "all")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One run, in the words of its options.

    `backends` may name a path of one, `torch:cpu/native`; empty means all that are usable,
    ("none",) none; those of `require` run in any case.  `paths` is "default" or "all", for those
    named without one.  `repeat` is how often each is asked.  `saved` are `[NAME=]FILE`, `calls`
    `NAME=CODE`.  Without `align` each framework's own default call is run.  `command` is how to ask
    again, `notes` are for the reader. `pictures` asks for all that a page shows of a row that
    differs.
    """

    input: str
    kernel: str
    settings: Settings
    bias: str | None = None
    saved: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    paths: str = "default"
    repeat: int = 1
    align: bool = True
    timeout: float = 60.0
    fail_on: str = "different"
    pictures: bool = False
    command: str = "convdiff run"
    notes: tuple[str, ...] = ()
