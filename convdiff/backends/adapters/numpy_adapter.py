"""Adapter for numpy, whose arrays need no conversion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

IMPORT = "numpy"


def names(numpy: Any) -> dict[str, Any]:
    """Nothing: every worker defines np."""
    return {}


def devices(numpy: Any) -> list[str]:
    """The processor."""
    return ["cpu"]


def path(numpy: Any) -> str:
    """The only path."""
    return "cpu"


def missing(numpy: Any) -> dict[str, str]:
    """There is no other path that could lack something."""
    return {}


def to_numpy(numpy: Any, value: Any) -> Any:
    """None: the worker takes numpy arrays as they are."""
    return None


def settings(numpy: Any) -> Callable[[], object]:
    """Restores the handling of floating-point errors, the only setting."""
    kept = numpy.geterr()
    return lambda: numpy.seterr(**kept)
