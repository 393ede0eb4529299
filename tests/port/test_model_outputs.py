"""The models' own outputs: what differs only after the last convolution."""

from __future__ import annotations

import numpy as np

from tests.cli.conftest import Invoke
from tests.port.captures import (
    channels_last,
    check_captures,
    exit_codes,
    network,
    record_output,
)


def test_a_fault_after_the_last_convolution_is_a_case_of_its_own(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True)
    y = np.load("a/4.y.npy")
    record_output("a", np.tanh(y))
    record_output("b", channels_last(np.tanh(y)))
    assert check_captures(invoke)["exit_code"] == 0
    np.save("b/output.npy", channels_last(y))
    report = check_captures(invoke)
    assert report["exit_code"] == 1
    assert exit_codes(report) == [0, 0, 0, 0, 0, 1]
    message = report["cases"][5]["message"]
    assert message.startswith("every convolution is correct, but the models' outputs differ (by ")
    assert message.endswith("%): look after conv4")
    table = invoke("check", "--source", "a", "--port", "b").stdout
    assert "look after conv4" in " ".join(table.split())
