"""The activations an output may have gone through, and from what a value of theirs may have come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from convdiff.spec.layout import Array

Function = Callable[[Array], Array]


class Activation(NamedTuple):
    """An elementwise function, the inverse of what rises of it, and its range.

    `least` is its lowest value, taken at `turn`, up to which it falls; minus infinity where it
    rises all along.
    """

    function: Function
    inverse: Function
    least: float = -np.inf
    most: float = np.inf
    turn: float = -np.inf


def _sigmoid(values: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-values)))


def _erf(values: Array) -> Array:
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(values)).astype(np.float64)


def _gelu_tanh(values: Array) -> Array:
    inner = np.clip(values, -1e3, 1e3)
    return np.asarray(
        values * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3))) / 2
    )


def _turning(function: Function, least: float, turn: float) -> Activation:
    """A function that falls to its least value and is about its argument soon after: what rises is
    halved until it is found.
    """

    def inverse(values: Array) -> Array:
        low, high = np.full_like(values, turn), 2 * np.abs(values) + 10
        for _ in range(60):
            middle = (low + high) / 2
            under = function(middle) < values
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return low

    return Activation(function, inverse, least, np.inf, turn)


def _leaky(slope: float) -> Activation:
    return Activation(
        lambda v: np.where(v < 0, slope * v, v), lambda v: np.where(v < 0, v / slope, v)
    )


def _exponential(alpha: float, scale: float) -> Activation:
    return Activation(
        lambda v: scale * np.where(v < 0, alpha * np.expm1(np.minimum(v, 0)), v),
        lambda v: np.where(v < 0, np.log1p(np.minimum(v, 0) / (alpha * scale)), v / scale),
        -alpha * scale,
    )


def _line(values: Array, slope: float) -> Array:
    return np.clip(slope * values + 0.5, 0, 1)


def _cut_line(slope: float) -> Activation:
    return Activation(partial(_line, slope=slope), lambda v: (v - 0.5) / slope, 0, 1)


SLOPES = (0.01, 0.1, 0.2, 0.25, 0.3)
ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(_sigmoid, lambda v: np.log(v) - np.log1p(-v), 0, 1),
    "tanh": Activation(np.tanh, np.arctanh, -1, 1),
    "softplus": Activation(lambda v: np.logaddexp(v, 0.0), lambda v: v + np.log(-np.expm1(-v)), 0),
    "exp": Activation(np.exp, np.log, 0),
    "softsign": Activation(lambda v: v / (1 + np.abs(v)), lambda v: v / (1 - np.abs(v)), -1, 1),
    "hardsigmoid": _cut_line(1 / 6),
    "hardsigmoid 0.2": _cut_line(0.2),
    "elu": _exponential(1.0, 1.0),
    "selu": _exponential(1.6732632423543772, 1.0507009873554805),
    "gelu": _turning(lambda v: v * (1 + _erf(v / np.sqrt(2))) / 2, -0.16997120747, -0.75179152469),
    "gelu tanh": _turning(_gelu_tanh, -0.17004075057, -0.75246142317),
    "silu": _turning(lambda v: v * _sigmoid(v), -0.27846454276, -1.27846454276),
    "mish": _turning(lambda v: v * np.tanh(np.logaddexp(v, 0.0)), -0.30884341154, -1.19240619738),
    "hardswish": _turning(lambda v: v * _line(v, 1 / 6), -0.375, -1.5),
    **{f"leaky_relu {slope}": _leaky(slope) for slope in SLOPES},
}
# Those that cut values off, as limits.
LIMITS = {"relu": (0.0, np.inf), "relu6": (0.0, 6.0)}
# How far the sizes of negative and positive values may be from a leaky slope.
ABOUT = 2.5
# Values enough to tell their sizes by.
SAMPLED = 4096


def fields(name: str) -> dict[str, Any]:
    """What an edit says of the activation: its own name, and its slope or its approximation."""
    own, _, detail = name.partition(" ")
    if not detail:
        return {"obtained": own}
    return (
        {"obtained": own, "approximate": detail}
        if own == "gelu"
        else {"obtained": own, "slope": float(detail)}
    )


def likely(values: Array, low: float, high: float) -> Iterator[str]:
    """The activations, other than those that cut off, that the look of the values speaks for: they
    lie between `low` and `high`.
    """
    if low >= 0 and high <= 1:
        yield from ("sigmoid", "hardsigmoid", "hardsigmoid 0.2")
    if low > 0:
        yield from ("softplus", "exp")
    if low >= -1 and high <= 1:
        yield from ("tanh", "softsign")
    if not -np.inf < low < 0 < -low < high < np.inf:
        return
    # Their values below 0 stay above their least, those above 0 go on.
    for name in ("gelu", "gelu tanh", "silu", "mish", "hardswish", "elu", "selu"):
        if low >= ACTIVATIONS[name].least * (1 + 1e-5):
            yield name
    values = values.reshape(-1)[:: max(1, values.size // SAMPLED)]
    below, above = (
        math.sqrt(np.square(side, dtype=float).sum() / max(side.size, 1))
        for side in (values[values < 0], values[values > 0])
    )
    yield from (
        f"leaky_relu {slope}"
        for slope in SLOPES
        if above * slope / ABOUT <= below <= above * slope * ABOUT
    )


def limits_of(name: str) -> tuple[float, float] | None:
    """Between what the activation cuts values off: "relu", or "clip LOW HIGH" for any two; None for
    others.
    """
    if name.startswith("clip "):
        low, high = map(float, name.split()[1:])
        return low, high
    return LIMITS.get(name)


def activation_of(name: str) -> Function | None:
    """The function of that name, elementwise; None if it names none."""
    limits = limits_of(name)
    if limits is not None:
        return lambda values: np.clip(values, *limits)
    return ACTIVATIONS[name].function if name in ACTIVATIONS else None


def undone(name: str, value: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Between what a value must have been before the activation, or "times FACTOR", if it is
    between `low` and `high` now.
    """
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
    activation = ACTIVATIONS[name]
    before = [
        activation.inverse(np.clip(end, activation.least, activation.most)) for end in (low, high)
    ]
    before = [
        np.where(end >= activation.most, np.inf, each)
        for end, each in zip((low, high), before, strict=True)
    ]
    # What falls before it rises may have come from either side of its turn, wherever it is below 0.
    either = low < 0 if activation.turn > -np.inf else low <= activation.least
    return np.where(either, -np.inf, before[0]), np.where(
        high < activation.least, -np.inf, before[1]
    )
