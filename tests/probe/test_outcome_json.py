"""`convdiff probe --format json`."""

from __future__ import annotations

import json

from tests.cli.conftest import Invoke, folder, invoke  # noqa: F401
from tests.probe.conftest import FUNCTIONS


def test_an_identified_convolution(invoke: Invoke) -> None:  # noqa: F811
    result = invoke("probe", f"numpy={FUNCTIONS}:padded", "--padding", "2", "--format", "json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)["probe"]
    assert report["found"]["padding"] == [[2, 2], [2, 2]]
    assert report["found"]["worst"] == 0
    assert report["agreeing"] == ["--padding 2"]
    assert report["differing"] == []


def test_a_function_that_is_not_identified(invoke: Invoke) -> None:  # noqa: F811
    result = invoke("probe", f"numpy={FUNCTIONS}:tanh", "--format", "json")
    assert result.exit_code == 2
    report = json.loads(result.stdout)["probe"]
    assert report["found"] is None
    assert report["known"]["depends on the kernel"] == "yes"
    assert report["message"].startswith("it is not linear in the input")
