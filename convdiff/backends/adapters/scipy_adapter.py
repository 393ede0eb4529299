"""Adapter for SciPy, whose arrays are numpy's."""

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
    """The processor."""
    return ["cpu"]


def path(scipy: Any) -> str:
    """The default method of scipy.signal for small arrays."""
    return "signal/direct"


def missing(scipy: Any) -> dict[str, str]:
    """Every path is part of SciPy."""
    return {}


def to_numpy(scipy: Any, value: Any) -> Any:
    """A sparse matrix as a dense array."""
    return value.toarray() if hasattr(value, "toarray") else None


def settings(scipy: Any) -> Callable[[], object]:
    """SciPy has no settings that change results."""
    return lambda: None
