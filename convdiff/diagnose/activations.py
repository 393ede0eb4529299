"""The activations an output may have gone through, and from what a value of theirs may have come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convdiff.layout import Array


def _sigmoid(values: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-values)))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"sigmoid": _sigmoid, "tanh": np.tanh}
# Those that cut values off, as limits.
LIMITS = {"relu": (0.0, np.inf), "relu6": (0.0, 6.0)}


def limits_of(name: str) -> tuple[float, float] | None:
    """Between what the activation cuts values off: "relu", or "clip LOW HIGH" for any two; None for others."""
    if name.startswith("clip "):
        low, high = map(float, name.split()[1:])
        return low, high
    return LIMITS.get(name)


def activation_of(name: str) -> Callable[[Array], Array] | None:
    """The function of that name, elementwise; None if it names none."""
    limits = limits_of(name)
    return ACTIVATIONS.get(name) if limits is None else lambda values: np.clip(values, *limits)


def undone(name: str, value: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Between what a value must have been before the activation, or "times FACTOR", if it is between `low` and `high` now."""
    limits = limits_of(name)
    if limits is not None:
        below, above = limits
        nowhere = (high < below) | (low > above)
        low, high = np.where(value <= below, -np.inf, low), np.where(value >= above, np.inf, high)
        return np.where(nowhere, np.inf, low), np.where(nowhere, -np.inf, high)
    if name.startswith("times "):
        factor = float(name.split()[1])
        ends = np.sort(np.stack([low, high]) / factor, axis=0)
        return ends[0], ends[1]
    if name == "sigmoid":
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
        return np.log(low) - np.log1p(-low), np.log(high) - np.log1p(-high)
    return np.arctanh(np.clip(low, -1, 1)), np.arctanh(np.clip(high, -1, 1))
