"""The port's kernels and biases that are not the source's: the report says what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Invoke
from tests.port.captures import (
    add_bias,
    changed_kernel,
    check_captures,
    codes,
    exit_codes,
    network,
)


def with_one_changed(w: Any) -> Any:
    w = w.copy()
    w[0, 0, 0, 0] += 0.5
    return w


KERNELS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "float16": (
        lambda w: w.astype(np.float16).astype(np.float32),
        "the port's kernel is the source's, rounded to float16",
    ),
    "decimals": (lambda w: w.round(2), "the port's kernel is the source's, rounded to 2 decimals"),
    "one weight": (
        with_one_changed,
        "the port's kernel has different weights (1 of 324 differ, by up to 0.5)",
    ),
    "all weights": (
        lambda w: np.random.default_rng(1).standard_normal(w.shape).astype("f4"),
        "the port's kernel has different weights (324 of 324",
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_related_to_the_sources(name: str, invoke: Invoke) -> None:
    change, sentence = KERNELS[name]
    network("a", last=False)
    network("b", last=True, recorded=True, faults={1: changed_kernel(change)})
    report = check_captures(invoke)
    assert exit_codes(report) == [0, 1, 0, 0, 0]
    assert sentence in report["notes"][0]
    assert report["cases"][1]["rows"][0]["verdict"] == "different"
    assert report["cases"][1]["rows"][0]["error"]["differing"]


def test_biases_exchanged_between_layers_are_named(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True)
    biases = np.random.default_rng(9).standard_normal((2, 6)).astype(np.float32)
    for number in (0, 1):
        add_bias("a", number, biases[number], last=False)
        add_bias("b", number, biases[1 - number], last=True)
    cases = check_captures(invoke)["cases"][:2]
    assert [row["message"] for case in cases for row in case["rows"]] == [
        "the port's bias is that of conv1",
        "the port's bias is that of conv0",
    ]


def test_a_bias_of_zeros_is_reported_as_never_loaded(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True)
    add_bias("a", 1, np.linspace(1, 2, 6, dtype=np.float32), last=False)
    add_bias("b", 1, np.zeros(6, np.float32), last=True)
    case = check_captures(invoke)["cases"][1]
    assert codes(case) == ["bias-missing"]
    summary = case["rows"][0]["findings"][0]["summary"]
    assert summary == "the bias was not added: the port's bias is all zeros (never loaded?)"


def test_a_missing_bias_says_nothing_of_an_equal_kernel(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True)
    add_bias("a", 1, np.linspace(1, 2, 6, dtype=np.float32), last=False)
    case = check_captures(invoke)["cases"][1]
    assert codes(case) == ["bias-missing"]
    assert case["rows"][0]["findings"][0]["summary"] == "the bias was not added"
