"""scipy in a worker: its arrays are numpy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

IMPORT = "scipy"


def names(scipy: Any) -> dict[str, Any]:
    """scipy, signal and ndimage."""
    import importlib

    return {
        "scipy": scipy,
        **{name: importlib.import_module(f"scipy.{name}") for name in ("signal", "ndimage")},
    }


def devices(scipy: Any) -> list[str]:
    """Where it computes."""
    return ["cpu"]


def path(scipy: Any) -> str:
    """The method that the code names."""
    return "signal/direct"


def missing(scipy: Any) -> dict[str, str]:
    """All of it comes together."""
    return {}


def to_numpy(scipy: Any, value: Any) -> Any:
    """Nothing is scipy's own here, but sparse matrices."""
    return value.toarray() if hasattr(value, "toarray") else None


def settings(scipy: Any) -> Callable[[], object]:
    """It has none that change numbers."""
    return lambda: None
