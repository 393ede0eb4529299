"""numpy in a worker: its arrays are what answers are made of, so there is nothing to convert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

IMPORT = "numpy"


def names(numpy: Any) -> dict[str, Any]:
    """np alone, which every worker offers."""
    return {}


def devices(numpy: Any) -> list[str]:
    """Where it computes."""
    return ["cpu"]


def path(numpy: Any) -> str:
    """Where it computes."""
    return "cpu"


def missing(numpy: Any) -> dict[str, str]:
    """It has no other path."""
    return {}


def to_numpy(numpy: Any, value: Any) -> Any:
    """Nothing is numpy's own here."""
    return None


def settings(numpy: Any) -> Callable[[], object]:
    """Floating-point error handling is the one setting there is."""
    kept = numpy.geterr()
    return lambda: numpy.seterr(**kept)
