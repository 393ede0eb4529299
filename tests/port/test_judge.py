"""The judge of a port's layer hands on what part the port's weights play, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.check.request import CheckRequest
from convdiff.check.tasks import SavedCase
from convdiff.port.check_port import read_capture
from convdiff.port.layer_case import layer_case
from convdiff.port.layer_plan import plan_port
from convdiff.port.pairing import pair_layers
from convdiff.port.port_row import PortRow
from convdiff.records import Row
from tests.port.captures import Fault, Options, add_bias, network


def judged_row(at: int) -> Row:
    """The row of layer `at` of the captures a and b, as a comparing process returns it."""
    source, port = read_capture("a"), read_capture("b")
    pairs = pair_layers(source.layers, port.layers).pairs
    case = layer_case(plan_port(pairs, source.layers, (), ()), at, CheckRequest(manifests=()))
    assert case.request is not None
    assert case.chosen is not None
    task = SavedCase(case.request, case.chosen, case.judge, case.input_crop, case.output_crop)
    return task.run().rows[0]


def rounded(x: Any, w: Any, options: Options) -> tuple[Any, Any, Options]:
    return x, w.round(2), options


def rounded_and_shifted(x: Any, w: Any, options: Options) -> tuple[Any, Any, Options]:
    return x, w.round(2), {**options, "padding": "0:2,0:2"}


@pytest.mark.parametrize(
    ("fault", "role", "codes"),
    [(rounded, "explains", []), (rounded_and_shifted, "precedes", [("wrong-padding",)])],
)
def test_weights_explain_a_row_or_precede_its_finding(
    fault: Fault, role: str, codes: list[tuple[str]], folder: Path
) -> None:
    network("a", last=False)
    network("b", last=True, recorded=True, faults={1: fault})
    row = judged_row(1)
    assert isinstance(row, PortRow)
    assert (row.verdict, row.weights_role) == ("different", role)
    assert [finding.codes for finding in row.findings] == codes
    assert row.message is None


def test_a_bias_of_zeros_follows_the_finding(folder: Path) -> None:
    network("a", last=False)
    network("b", last=True)
    add_bias("a", 1, np.linspace(1, 2, 6, dtype=np.float32), last=False)
    add_bias("b", 1, np.zeros(6, np.float32), last=True)
    row = judged_row(1)
    assert isinstance(row, PortRow)
    assert row.weights_role == "follows"
    assert row.findings[0].codes == ("bias-missing",)


def test_equal_weights_play_no_part(folder: Path) -> None:
    network("a", last=False)
    network("b", last=True)
    assert not isinstance(judged_row(1), PortRow)
