"""Hypotheses about the output's values, beside edits of its order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.diagnose.findings import conv, explanations, normal
from tests.diagnose.naive import Array


def accumulated(y: Array) -> Array:
    """Every position counted as often as three windows of each axis overlap there."""
    counts = np.minimum(np.minimum(np.arange(9) + 1, 9 - np.arange(9)), 3)
    return y * (counts if y.ndim == 3 else np.outer(counts, counts))


@pytest.mark.parametrize(
    ("beside", "change"),
    [
        ("overlap-accumulated", accumulated),
        ("output-channels-permuted", lambda y: y[:, [3, 0, 4, 1, 2]]),
        ("output-batch-permuted", lambda y: y[[1, 2, 0]]),
    ],
)
@pytest.mark.parametrize("rank", [1, 2])
def test_an_activation_is_found_beside_another_edit_of_the_output(
    beside: str, change: Callable[[Array], Array], rank: int
) -> None:
    space = "HW"[-rank:]
    x, w = normal(3, 3, *(9,) * rank), normal(5, 3, *(3,) * rank)
    obtained = change(np.maximum(conv(x, w, 1), 0)).astype(np.float32)
    layouts = {"input_layout": f"NC{space}", "kernel_layout": f"OI{space}"}
    found = explanations(x, w, obtained, padding=1, **layouts)
    codes = [sorted(edit["code"] for edit in edits) for edits in found]
    assert sorted(["activation-applied", beside]) in codes


def test_clipping_is_told_from_relu() -> None:
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    obtained = np.clip(conv(x, w, 1), 0, 1)
    edits = explanations(x, w, obtained, padding=1)[0]
    assert edits == [{"code": "clipped", "limits": [0, 1]}]


def test_wrapped_sums_are_found() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 256, (1, 1, 9, 9)), rng.integers(-3, 4, (2, 1, 3, 3))
    obtained = conv(x, w).astype(np.int64).astype(np.uint8)
    edits = explanations(x.astype(np.float32), w.astype(np.float32), obtained)[0]
    assert edits == [{"code": "integer-wrapped", "obtained": "uint8"}]
