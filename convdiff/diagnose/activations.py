"""The activations an output may have gone through, and how much they stretch an error at most."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convdiff.layout import Array


def _sigmoid(values: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-values)))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda values: np.maximum(values, 0),
    "relu6": lambda values: np.clip(values, 0, 6),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
}
