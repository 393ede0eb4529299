"""`convdiff run --repeat`: an output that changes is reported, and the worse one is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Invoke

# Returns y at the first call, and y plus `error` from the second call on.
PORT = """
import numpy as np
calls = []
def conv(input, kernel):
    calls.append(1)
    return np.load("y.npy") + np.float32(0 if len(calls) == 1 else {error})
"""


def run(invoke: Invoke, error: float, *options: str) -> tuple[int, dict[str, Any], str]:
    Path("port.py").write_text(PORT.format(error=error))
    arguments = (
        "run",
        "x.npy",
        "w.npy",
        "--padding",
        "1",
        "--backend",
        "none",
        "--call",
        "numpy=port.py:conv",
        *options,
    )
    table = invoke(*arguments)
    result = invoke(*arguments, "--format", "json")
    (row,) = json.loads(result.stdout)["rows"]
    return result.exit_code, row, table.stdout


@pytest.mark.parametrize(
    ("error", "verdict", "code"), [(2e-7, "rounding", 0), (0.25, "different", 1)]
)
def test_outputs_that_change_are_not_deterministic(
    invoke: Invoke, error: float, verdict: str, code: int
) -> None:
    exit_code, row, table = run(invoke, error, "--repeat", "3")
    assert (exit_code, row["verdict"]) == (code, verdict)
    # The outputs differ from each other as much as the worse one differs from the reference, so
    # this finding comes before any that would explain the worse one.
    assert row["findings"][0]["edits"] == [{"code": "not-deterministic"}]
    assert "2 of 2 further runs differ from the first" in row["findings"][0]["notes"][0]
    assert "answered differently when asked again" in table or "not deterministic: 2 of 2" in table


def test_a_change_goes_unnoticed_without_repeat(invoke: Invoke) -> None:
    exit_code, row, _ = run(invoke, 0.25)
    assert exit_code == 0 and row["findings"] == []


def test_backends_are_repeated_too(invoke: Invoke) -> None:
    result = invoke(
        "run", "x.npy", "w.npy", "--backend", "numpy", "--repeat", "4", "--format", "json"
    )
    (row,) = json.loads(result.stdout)["rows"]
    assert result.exit_code == 0 and row["findings"] == [] and np.isfinite(row["seconds"])


def test_repeat_0_is_an_error(invoke: Invoke) -> None:
    assert invoke("run", "x.npy", "w.npy", "--repeat", "0").exit_code == 2
