"""`--repeat`: who answers differently when asked again is told, and judged by the worse answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Invoke

# A call that answers y at first, and y plus `error` from the second time on.
PORT = """
import numpy as np
calls = []
def conv(input, kernel):
    calls.append(1)
    return np.load("y.npy") + np.float32(0 if len(calls) == 1 else {error})
"""


def row(invoke: Invoke, error: float, *options: str) -> tuple[int, dict[str, Any], str]:
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
    (found,) = json.loads(result.stdout)["rows"]
    return result.exit_code, found, table.stdout


@pytest.mark.parametrize(
    ("error", "verdict", "code"), [(2e-7, "rounding", 0), (0.25, "different", 1)]
)
def test_answers_that_change(invoke: Invoke, error: float, verdict: str, code: int) -> None:
    exit_code, found, table = row(invoke, error, "--repeat", "3")
    assert (exit_code, found["verdict"]) == (code, verdict)
    # The answers are as far apart as the worse is wrong: that comes before any story that fits the
    # worse one.
    assert found["findings"][0]["edits"] == [{"code": "not-deterministic"}]
    assert "2 of 2 further runs differ from the first" in found["findings"][0]["notes"][0]
    assert (
        "output changed between runs with the same arrays" in table
        or "not deterministic: 2 of 2" in table
    )


def test_asked_once_nobody_can_tell(invoke: Invoke) -> None:
    exit_code, found, _ = row(invoke, 0.25)
    assert exit_code == 0 and found["findings"] == []


def test_backends_are_asked_again_too(invoke: Invoke) -> None:
    result = invoke(
        "run", "x.npy", "w.npy", "--backend", "numpy", "--repeat", "4", "--format", "json"
    )
    (found,) = json.loads(result.stdout)["rows"]
    assert result.exit_code == 0 and found["findings"] == [] and np.isfinite(found["seconds"])


def test_fewer_than_one_is_refused(invoke: Invoke) -> None:
    assert invoke("run", "x.npy", "w.npy", "--repeat", "0").exit_code == 2
