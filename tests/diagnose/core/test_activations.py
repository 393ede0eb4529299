"""Every activation is found, alone and beside another edit; its inverse gives back what it was
applied to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.diagnose.core.activations import ACTIVATIONS, LEAKY_SLOPES, Activation
from tests.diagnose.naive import Array, Geometry, convolve


def _sigmoid(y: Array) -> Array:
    return 1 / (1 + np.exp(-y))


ERF = np.vectorize(math.erf)
# As their papers and frameworks define them.
PLANTED: dict[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "gelu": lambda y: y / 2 * (1 + ERF(y / math.sqrt(2))),
    "gelu tanh": lambda y: y / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3))),
    "quick_gelu": lambda y: y * _sigmoid(1.702 * y),
    "silu": lambda y: y * _sigmoid(y),
    "mish": lambda y: y * np.tanh(np.log1p(np.exp(y))),
    "hardswish": lambda y: y * np.clip(y + 3, 0, 6) / 6,
    "softplus": lambda y: np.log1p(np.exp(y)),
    "exp": np.exp,
    "elu": lambda y: np.where(y > 0, y, np.exp(y) - 1),
    "selu": lambda y: 1.0507009873554805 * np.where(y > 0, y, 1.6732632423543772 * (np.exp(y) - 1)),
    "softsign": lambda y: y / (1 + abs(y)),
    "hardsigmoid": lambda y: np.clip(y + 3, 0, 6) / 6,
    "hardsigmoid 0.2": lambda y: np.clip(0.2 * y + 0.5, 0, 1),
    **{
        f"leaky_relu {slope}": lambda y, slope=slope: np.maximum(y, slope * y)
        for slope in LEAKY_SLOPES
    },  # type: ignore[misc]
}


def named(activation: Activation) -> str:
    """Its name with the variant, as `PLANTED` has it."""
    variant = activation.approximate or activation.slope
    return activation.name if variant is None else f"{activation.name} {variant}"


KNOWN = {named(activation): activation for activation in ACTIVATIONS}


def test_every_activation_is_planted() -> None:
    assert set(PLANTED) == set(KNOWN)


@pytest.mark.parametrize("beside", [None, "kernel-flipped", "wrong-padding", "bias-missing"])
@pytest.mark.parametrize("name", PLANTED)
def test_an_activation_is_told_alone_and_beside_a_fault(name: str, beside: str | None) -> None:
    rng = np.random.default_rng(4)
    x, w, bias = (
        rng.standard_normal((2, 3, 8, 8)),
        rng.uniform(-0.4, 0.4, (4, 3, 3, 3)),
        rng.standard_normal(4) / 2,
    )
    x, w, bias = (array.astype(np.float32) for array in (x, w, bias))
    pads = (0, 1) if beside == "wrong-padding" else (1, 1)
    kernel = w[..., ::-1, ::-1] if beside == "kernel-flipped" else w
    made = convolve(x, kernel, Geometry((2, 2), (pads, pads), (1, 1)))
    if beside != "bias-missing":
        made = made + bias.reshape(1, -1, 1, 1)
    result = convdiff.diff(
        x, w, PLANTED[name](made).astype(np.float32), bias=bias, padding=1, stride=2
    )
    assert result.findings, result.row.message
    edit: dict[str, Any] = {"code": "activation-applied", **KNOWN[name].fields}
    edits = result.findings[0].edits
    assert edit in edits
    assert {each["code"] for each in edits} == {"activation-applied", *([beside] if beside else [])}


@pytest.mark.parametrize("name", PLANTED)
def test_a_value_comes_from_where_its_inverse_says(name: str) -> None:
    before = np.linspace(-6, 6, 1001)
    function = KNOWN[name].function
    np.testing.assert_allclose(function(before), PLANTED[name](before), atol=1e-9)
    low, high = KNOWN[name].argument_between(function(before) - 1e-9, function(before) + 1e-9)
    assert (low <= before).all()
    assert (before <= high).all()
    # Where a value says something, it says where it came from.
    told = np.isfinite(low) & np.isfinite(high)
    assert told.any()
    assert (high - low)[told & (abs(before) < 2)].max() < 1e-3


@pytest.mark.parametrize("name", ["leaky_relu 0.1", "gelu", "silu", "softplus", "elu", "exp"])
def test_other_weights_under_an_activation_get_no_story(name: str) -> None:
    rng = np.random.default_rng(5)
    x, w, other = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((1, 2, 7, 7), (3, 2, 3, 3), (3, 2, 3, 3))
    )
    made = PLANTED[name](convolve(x, other / 4, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))))
    assert not convdiff.diff(x, w, made.astype(np.float32), padding=1).findings
