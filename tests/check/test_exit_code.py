"""A case's exit code under its `allow`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.check.conftest import GOOD, WRONG, Manifest
from tests.check.suites import cases_by_name
from tests.cli.conftest import Invoke

# The case and its `allow`; its exit code, the codes that occurred, and the stale ones.
ALLOWED: dict[str, tuple[dict[str, Any], list[str], int, list[str], list[str]]] = {
    "the finding": (WRONG, ["kernel-flipped"], 0, ["kernel-flipped"], []),
    "another finding": (WRONG, ["scaled"], 1, [], ["scaled"]),
    "a finding that is gone": (GOOD, ["kernel-flipped"], 0, [], ["kernel-flipped"]),
    "both": (WRONG, ["kernel-flipped", "scaled"], 0, ["kernel-flipped"], ["scaled"]),
    "half of a pair": (
        {**WRONG, "saved": {"port": "two.npy"}},
        ["kernel-flipped"],
        1,
        ["kernel-flipped"],
        [],
    ),
    "a pair": (
        {**WRONG, "saved": {"port": "two.npy"}},
        ["kernel-flipped", "scaled"],
        0,
        ["kernel-flipped", "scaled"],
        [],
    ),
    "one of two outputs": (
        {**WRONG, "saved": {"a": "flipped.npy", "b": "noise.npy"}},
        ["kernel-flipped"],
        1,
        ["kernel-flipped"],
        [],
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_an_allowed_code_does_not_fail_a_case_and_a_stale_one_is_reported(
    name: str, manifest: Manifest, invoke: Invoke
) -> None:
    case, allow, code, allowed, stale = ALLOWED[name]
    np.save("two.npy", np.load("flipped.npy") * np.float32(3))
    noise = np.random.default_rng(0).standard_normal(np.load("y.npy").shape)
    np.save("noise.npy", noise.astype(np.float32))
    path = manifest({**case, "allow": allow})
    checked = cases_by_name(invoke("check", str(path), "--format", "json").stdout)[case["name"]]
    assert (checked["exit_code"], checked["allowed"], checked["stale"]) == (code, allowed, stale)
    table = " ".join(invoke("check", str(path)).stdout.split())
    for stale_code in stale:
        assert f"{case['name']} allows {stale_code}, which no longer occurs" in table
