"""A `Request`: what the user asked for, before any file has been opened."""

from __future__ import annotations

from dataclasses import dataclass

from convdiff.spec.settings import Settings

PATHS = ("default", "all")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of one run; the names are those of the command line.

    `backends` and `require` are names of backends, each with or without a path ("torch",
    "torch:cpu/native").  Without `backends` every usable backend runs, with ("none",) none does;
    those in `require` run in either case.  `paths` ("default" or "all") selects the paths of
    backends that were named without one.  `saved` are `[NAME=]FILE`, `calls` are `NAME=CODE`.
    With `infer`, saved outputs tell the padding and layouts that `settings` leave open.
    Without `align` each framework's own default call is run.  `pictures` asks for all that the HTML
    page shows, including kernels.  `command` is the command that repeats the run, and `notes` are
    sentences for the reader.
    """

    input: str
    kernel: str
    settings: Settings
    infer: bool = False
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
