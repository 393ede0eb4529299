"""Why an input differs, where one operation explains it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Invoke
from tests.port.captures import PADDED, check_captures, convolve, network

# A change of what a layer hands on, and what the report says of the next input; "" for nothing.
FAULTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a factor": (lambda y: y / 255, "it is the source's × 0.00392157 (1/255)"),
    "channels": (lambda y: y[..., ::-1], "it is the source's with channels reversed"),
    "a normalization": (
        lambda y: y * np.linspace(1, 1.1, 6, dtype=np.float32) + 0.1,
        "each channel is scaled and shifted, as by a different normalization",
    ),
    "a clip": (lambda y: np.minimum(y, 0.3), ""),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_differing_input_is_explained(name: str, invoke: Invoke) -> None:
    change, sentence = FAULTS[name]
    network("a", last=False)
    network("b", last=True, after={1: change})
    note = check_captures(invoke)["notes"][0]
    assert f"%: {sentence})" in note if sentence else "%), so look after conv1" in note


def test_a_missing_relu_is_found_and_a_missing_absolute_value_is_no_relu(invoke: Invoke) -> None:
    network("a", last=False, after={1: np.abs})
    network("b", last=False)
    assert "a ReLU is missing" not in check_captures(invoke)["notes"][0]
    # The same arrays up to the last layer, which in the port has an input without its ReLU.
    for number in range(4):
        for letter in "xy":
            np.save(f"b/{number}.{letter}.npy", np.load(f"a/{number}.{letter}.npy"))
    y, w = np.load("a/3.y.npy"), np.load("a/4.w.npy")
    for folder, x in (("a", np.maximum(y, 0)), ("b", y)):
        np.save(f"{folder}/4.x.npy", x)
        np.save(f"{folder}/4.y.npy", convolve(x, w, PADDED))
    assert (
        "%: a ReLU is missing, or another activation stands in its place), so look after conv3, "
        "which is correct" in check_captures(invoke)["notes"][0]
    )
