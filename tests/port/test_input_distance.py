"""How far apart two inputs may be: rounding that grows over the layers, and slight faults beyond
it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Invoke
from tests.port.captures import check_captures, codes, deep, exit_codes, network


def smoothed(y: Any) -> Any:
    """Like an interpolation with slightly different weights."""
    return y + 1e-3 * (np.roll(y, 1, -1) - y)


SLIGHT_FAULTS: dict[str, Callable[[Any], Any]] = {
    "an epsilon of 1e-4 instead of 1e-5": lambda y: y * np.float32(1 - 4.5e-5),
    "a clip": lambda y: np.minimum(y, 1.5),
    "another interpolation": smoothed,
}


@pytest.mark.parametrize("fault", SLIGHT_FAULTS.values(), ids=SLIGHT_FAULTS)
def test_a_slight_fault_between_convolutions_is_found(
    fault: Callable[[Any], Any], invoke: Invoke
) -> None:
    network("a", last=False)
    network("b", last=True, after={2: fault})
    report = check_captures(invoke)
    assert report["exit_code"] == 1
    assert exit_codes(report) == [0, 0, 0, 1, 0]
    assert not codes(report["cases"][3])
    beginning = "the first layer that diverges is conv3, convolution 4 of 5: its input already"
    assert report["notes"][0].startswith(beginning)
    assert "so look after conv2, which is correct" in report["notes"][0]


def test_rounding_that_grows_over_layers_is_rounding(invoke: Invoke) -> None:
    deep("a", exact=True)
    deep("b", exact=False)
    largest = np.abs(np.load("a/15.x.npy") - np.load("b/15.x.npy")).max()
    assert largest > 1e-2, "rounding does not grow in these captures"
    report = check_captures(invoke)
    assert report["exit_code"] == 0, report["notes"]


def test_a_fault_is_found_though_rounding_grows(invoke: Invoke) -> None:
    deep("a", exact=True)
    deep("b", exact=False, fault=7)
    report = check_captures(invoke)
    assert report["exit_code"] == 1
    beginning = "the first layer that diverges is conv8, convolution 9 of 16: its input already"
    assert report["notes"][0].startswith(beginning)
    later = check_captures(invoke, "--case", "conv10")
    assert "correct, but its input already differs" in later["cases"][0]["notes"][0]
