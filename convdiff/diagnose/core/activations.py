"""Activations that an output may have gone through, with their inverses and ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from convdiff.spec.layout import Array

Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Activation:
    """An elementwise function and the inverse of its rising part.

    A function with a `turn` falls down to `least`, its lowest value, which it takes there, and
    rises from there on; one without rises everywhere.  `most` is its upper limit.  `slope` and
    `approximate` say which variant of the function it is, where there are several of one name.
    """

    name: str
    function: Function
    inverse: Function
    least: float = -np.inf
    most: float = np.inf
    turn: float = -np.inf
    slope: float | None = None
    approximate: str | None = None

    @property
    def fields(self) -> dict[str, object]:
        """What an edit says of it: `obtained`, and the variant."""
        variant = {"slope": self.slope, "approximate": self.approximate}
        return {"obtained": self.name} | {k: v for k, v in variant.items() if v is not None}

    def argument_between(self, low: Array, high: Array) -> tuple[Array, Array]:
        """The interval of arguments that give values between `low` and `high`."""
        lower, upper = (
            np.where(end >= self.most, np.inf, self.inverse(np.clip(end, self.least, self.most)))
            for end in (low, high)
        )
        # Below 0 the argument of a function with a turn may lie on either side of it.
        either_side = low < 0 if self.turn > -np.inf else low <= self.least
        lower = np.where(either_side, -np.inf, lower)
        return lower, np.where(high < self.least, -np.inf, upper)


def clamp_argument_between(
    limits: tuple[float, float], value: Array, low: Array, high: Array
) -> tuple[Array, Array]:
    """The interval of arguments that np.clip maps to `value`, known to lie in `low` to `high`.

    An empty interval (infinity, minus infinity) where the result is beyond the limits.
    """
    least, most = limits
    impossible = (high < least) | (low > most)
    low = np.where(value <= least, -np.inf, low)
    high = np.where(value >= most, np.inf, high)
    return np.where(impossible, np.inf, low), np.where(impossible, -np.inf, high)


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


def _with_turn(
    name: str, function: Function, least: float, turn: float, approximate: str | None = None
) -> Activation:
    """A function that falls to `least` at `turn` and approaches its argument above it.

    It has no inverse in closed form: the argument is found by bisection.
    """

    def inverse(values: Array) -> Array:
        low, high = np.full_like(values, turn), 2 * np.abs(values) + 10
        for _ in range(60):
            middle = (low + high) / 2
            under = function(middle) < values
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return low

    return Activation(name, function, inverse, least, np.inf, turn, approximate=approximate)


def _leaky_relu(slope: float) -> Activation:
    return Activation(
        "leaky_relu",
        lambda v: np.where(v < 0, slope * v, v),
        lambda v: np.where(v < 0, v / slope, v),
        slope=slope,
    )


def _exponential_linear(name: str, alpha: float, scale: float) -> Activation:
    return Activation(
        name,
        lambda v: scale * np.where(v < 0, alpha * np.expm1(np.minimum(v, 0)), v),
        lambda v: np.where(v < 0, np.log1p(np.minimum(v, 0) / (alpha * scale)), v / scale),
        -alpha * scale,
    )


def _ramp(values: Array, slope: float) -> Array:
    return np.clip(slope * values + 0.5, 0, 1)


def _hard_sigmoid(slope: float, variant: float | None = None) -> Activation:
    return Activation(
        "hardsigmoid",
        partial(_ramp, slope=slope),
        lambda v: (v - 0.5) / slope,
        0,
        1,
        slope=variant,
    )


LEAKY_SLOPES = (0.01, 0.1, 0.2, 0.25, 0.3)
SIGMOID = Activation("sigmoid", _sigmoid, lambda v: np.log(v) - np.log1p(-v), 0, 1)
TANH = Activation("tanh", np.tanh, np.arctanh, -1, 1)
SOFTPLUS = Activation(
    "softplus", lambda v: np.logaddexp(v, 0.0), lambda v: v + np.log(-np.expm1(-v)), 0
)
EXP = Activation("exp", np.exp, np.log, 0)
SOFTSIGN = Activation(
    "softsign", lambda v: v / (1 + np.abs(v)), lambda v: v / (1 - np.abs(v)), -1, 1
)
# torch's, and that of Keras 2 and Theano, whose slope is 0.2.
HARD_SIGMOIDS = (_hard_sigmoid(1 / 6), _hard_sigmoid(0.2, variant=0.2))
# Their values below 0 stay above a least value, and those above 0 are not bounded.
BOUNDED_BELOW = (
    _with_turn(
        "gelu", lambda v: v * (1 + _erf(v / np.sqrt(2))) / 2, -0.16997120747, -0.75179152469
    ),
    _with_turn("gelu", _gelu_tanh, -0.17004075057, -0.75246142317, approximate="tanh"),
    _with_turn("quick_gelu", lambda v: v * _sigmoid(1.702 * v), -0.16361018963, -0.75115425544),
    _with_turn("silu", lambda v: v * _sigmoid(v), -0.27846454276, -1.27846454276),
    _with_turn("mish", lambda v: v * np.tanh(np.logaddexp(v, 0.0)), -0.30884341154, -1.19240619738),
    _with_turn("hardswish", lambda v: v * _ramp(v, 1 / 6), -0.375, -1.5),
    _exponential_linear("elu", 1.0, 1.0),
    _exponential_linear("selu", 1.6732632423543772, 1.0507009873554805),
)
LEAKY_RELUS = tuple(map(_leaky_relu, LEAKY_SLOPES))
ACTIVATIONS = (
    SIGMOID,
    TANH,
    SOFTPLUS,
    EXP,
    SOFTSIGN,
    *HARD_SIGMOIDS,
    *BOUNDED_BELOW,
    *LEAKY_RELUS,
)
# By what factor the ratio of negative to positive values may differ from a leaky slope.
SLOPE_TOLERANCE = 2.5
# Values that the sizes of negative and positive ones are judged by.
MAX_SAMPLED = 4096


def likely_activations(values: Array, low: float, high: float) -> Iterator[Activation]:
    """The activations, other than ReLU and ReLU6, that can give these values.

    By their range, which is from `low` to `high`; for a leaky ReLU by the ratio of the negative to
    the positive values, of the slopes in `LEAKY_SLOPES` alone.
    """
    if low >= 0 and high <= 1:
        yield from (SIGMOID, *HARD_SIGMOIDS)
    if low > 0:
        yield from (SOFTPLUS, EXP)
    if low >= -1 and high <= 1:
        yield from (TANH, SOFTSIGN)
    # The functions below keep what is positive and shrink what is negative: negative values that
    # are larger than all positive ones are another function's, unless the sums lean far to that
    # side.
    if not -np.inf < low < 0 < -low < high < np.inf:
        return
    yield from (each for each in BOUNDED_BELOW if low >= each.least * (1 + 1e-5))
    values = values.reshape(-1)[:: max(1, values.size // MAX_SAMPLED)]
    negative, positive = (
        math.sqrt(np.square(side, dtype=float).sum() / max(side.size, 1))
        for side in (values[values < 0], values[values > 0])
    )
    for slope, leaky in zip(LEAKY_SLOPES, LEAKY_RELUS, strict=True):
        expected = positive * slope
        if expected / SLOPE_TOLERANCE <= negative <= expected * SLOPE_TOLERANCE:
            yield leaky
