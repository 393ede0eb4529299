"""Transposed convolutions that one side crops in a separate layer."""

from __future__ import annotations

from tests.cli.conftest import Invoke
from tests.port.captures import check_captures, codes, transposed


def test_a_transposed_convolution_may_be_cropped_in_a_separate_layer(invoke: Invoke) -> None:
    transposed("a", [((1, 1), False), ((1, 0), False)])
    transposed("b", [((1, 1), True), ((1, 0), True)])
    for source, port in ("ab", "ba"):
        report = check_captures(invoke, source=source, port=port)
        assert report["exit_code"] == 0, report["notes"]


def test_a_crop_that_no_later_input_confirms_is_wrong(invoke: Invoke) -> None:
    transposed("a", [((1, 1), False)])
    transposed("b", [((0, 0), False)])
    assert codes(check_captures(invoke)["cases"][0]) == ["wrong-padding"]
