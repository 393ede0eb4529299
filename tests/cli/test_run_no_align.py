"""`convdiff run --no-align`: each framework's own default call, and how its output departs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Invoke
from tests.dialects.conftest import environment

PADDED = {"code": "wrong-padding", "asked": [[1, 2]], "obtained": [[2, 2]]}
MIRRORED = {"code": "wrong-padding", "asked": [[1, 2]], "obtained": [[2, 1]]}

# The call for a plain signal and a kernel of four taps with "same" padding, and the finding.
CALLS: dict[str, tuple[str, list[Any]]] = {
    "numpy": ("np.correlate(", [MIRRORED]),
    "scipy": ("signal.correlate(", [MIRRORED]),
    "torch": ("F.conv1d(x, w, padding=2)", [PADDED]),
    "tensorflow": ("tf.nn.conv1d(x, w, stride=1, padding='SAME')", []),
    "jax": ("lax.conv_general_dilated(x, w, (1,), 'SAME')", []),
    "onnxruntime": ("helper.make_node('Conv', ['x', 'w'], ['y'], auto_pad='SAME_UPPER')", []),
}


@pytest.fixture
def rows(invoke: Invoke) -> dict[str, Any]:
    """The rows by name, of every backend but Theano: the folder's data path hides it."""
    for name in CALLS:
        environment(name)
    random = np.random.default_rng(0)
    for name, size in (("s", 9), ("k", 4)):
        np.save(f"{name}.npy", random.standard_normal(size).astype(np.float32))
    backends = [argument for name in CALLS for argument in ("--backend", name)]
    result = invoke(
        "run", "s.npy", "k.npy", "--padding", "same", "--no-align", "--format", "json", *backends
    )
    report = json.loads(result.stdout)
    assert result.exit_code == 1 and any(
        note.startswith("nothing is aligned") for note in report["notes"]
    )
    return {row["name"]: row for row in report["rows"]}


def test_each_row_has_its_call_and_its_finding(rows: dict[str, Any]) -> None:
    for name, (call, edits) in CALLS.items():
        row = rows[name]
        assert row["status"] == "ok" and row["aligned"][0].startswith(call), (name, row)
        assert [finding["edits"] for finding in row["findings"][:1]] == (
            [edits] if edits else []
        ), name


def test_a_layout_that_the_default_call_does_not_take_is_named(invoke: Invoke) -> None:
    """The most common mistake: the call fails for it, or computes something else."""
    for name in ("torch", "tensorflow"):
        environment(name)
    random = np.random.default_rng(0)
    for name, shape in (
        ("x", (1, 4, 6, 5)),
        ("w", (4, 4, 3, 3)),
        ("square", (1, 4, 4, 4)),
        ("cube", (4, 4, 4, 4)),
    ):
        np.save(f"{name}.npy", random.standard_normal(shape).astype(np.float32))
    misread = "input NCHW read as NHWC, kernel OIHW read as HWIO"
    backends = ("--backend", "torch", "--backend", "tensorflow", "--format", "json", "--no-align")
    rows = {
        row["name"]: row
        for row in json.loads(invoke("run", "x.npy", "w.npy", *backends).stdout)["rows"]
    }
    assert rows["tensorflow"]["status"] == "failed" and rows["tensorflow"]["message"].startswith(
        f"{misread}: "
    )
    assert (
        rows["torch"]["verdict"] in ("identical", "rounding") and len(rows["torch"]["aligned"]) == 1
    )
    layouts = ("--input-layout", "NCHW", "--kernel-layout", "OIHW", "--padding", "1:2,1:2")
    rows = {
        row["name"]: row
        for row in json.loads(invoke("run", "square.npy", "cube.npy", *layouts, *backends).stdout)[
            "rows"
        ]
    }
    assert rows["tensorflow"]["status"] == "ok" and rows["tensorflow"]["verdict"] == "different"
    assert rows["tensorflow"]["aligned"][1:] == misread.split(", ")
