"""Padding in a separate layer of either model or of both, in any mode: found, and judged where it
is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.manifest import load
from convdiff.port.captured_layer import CapturedLayer
from convdiff.port.external_padding import ExternalPadding, ExternalPaddings
from convdiff.port.input_distance import LayerInputs
from convdiff.port.layer_pair import LayerPair
from tests.cli.conftest import Invoke
from tests.port.captures import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    CaptureWriter,
    Fault,
    check_captures,
    codes,
    convolve,
    flipped,
    network,
    notes,
    padded,
)

PADS = [(1, 1)] * 3
# For `separate`: no convolution padded in a separate layer, or every one.
INSIDE, SEPARATE = [False] * 3, [True] * 3
ZEROS = ["constant"] * 3


@pytest.mark.parametrize("fault", [None, flipped])
def test_padding_in_a_separate_layer_is_the_same_model(fault: Fault | None, invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, padding_layers=True, faults={3: fault} if fault else None)
    cases = check_captures(invoke)["cases"]
    assert [codes(case) for case in cases] == [
        ["kernel-flipped"] if fault and number == 3 else [] for number in range(5)
    ]
    paddings = [case["spec"]["padding"] for case in cases[:3]]
    assert paddings == [[[1, 1], [1, 1]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]]


def test_the_source_may_be_the_side_that_pads(invoke: Invoke) -> None:
    network("b", last=False)
    network("a", last=True, padding_layers=True)
    report = check_captures(invoke)
    assert report["exit_code"] == 0, report["notes"]


def pad_at_the_start(kernel: Any) -> None:
    """Make the fourth layer of the port pad 2 at the starts alone, in a separate layer, and run
    with this kernel.
    """
    x = np.pad(np.load("a/3.x.npy").transpose(0, 2, 3, 1), ((0, 0), (2, 0), (2, 0), (0, 0)))
    np.save("b/3.x.npy", x)
    np.save("b/3.w.npy", kernel)
    np.save("b/3.y.npy", convolve(x, kernel, {**CHANNELS_LAST, "stride": 2}))


def test_wrong_separate_padding_is_reported_as_it_was_written(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True)
    before, name, rest = Path("b/manifest.toml").read_text().partition('name = "conv3"')
    Path("b/manifest.toml").write_text(
        before + name + rest.replace("padding = 1", "padding = 0", 1)
    )
    kernel = np.load("b/3.w.npy")
    pad_at_the_start(kernel)
    case = check_captures(invoke, "--case", "conv3")["cases"][0]
    finding = case["rows"][0]["findings"][0]
    edit = finding["edits"][0]
    assert (edit["asked"], edit["obtained"]) == ([[1, 1], [1, 1]], [[2, 0], [2, 0]])
    assert "the padding was 2:0,2:0 instead of 1" in finding["summary"]
    assert case["spec"]["padding"] == [[1, 1], [1, 1]]
    pad_at_the_start(kernel.round(2))
    case = check_captures(invoke, "--case", "conv3")["cases"][0]
    assert case["rows"][0]["findings"][0]["summary"].startswith(
        "the port's kernel is the source's, rounded to 2 decimals; and the padding was "
        "2:0,2:0 instead of 1"
    )


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap", "constant"])
@pytest.mark.parametrize(
    ("source", "port"), [(INSIDE, SEPARATE), (SEPARATE, INSIDE), (SEPARATE, SEPARATE)]
)
def test_padding_of_any_mode_may_be_in_a_separate_layer(
    mode: str, source: list[bool], port: list[bool], invoke: Invoke
) -> None:
    padded("a", PADS, separate=source, modes=[mode] * 3)
    padded("b", PADS, separate=port, modes=[mode] * 3, last=True)
    report = check_captures(invoke)
    assert report["exit_code"] == 0, report["notes"]


@pytest.mark.parametrize(
    ("source", "port"),
    [(INSIDE, SEPARATE), (SEPARATE, INSIDE), (SEPARATE, SEPARATE), (INSIDE, INSIDE)],
)
@pytest.mark.parametrize(
    ("asked", "obtained"), [("reflect", "constant"), ("constant", "reflect"), ("edge", "wrap")]
)
def test_padding_of_another_mode_is_found(
    source: list[bool], port: list[bool], asked: str, obtained: str, invoke: Invoke
) -> None:
    padded("a", PADS, separate=source, modes=[asked] * 3)
    padded("b", PADS, separate=port, modes=[asked, obtained, asked], last=True)
    cases = check_captures(invoke)["cases"]
    assert [codes(case) for case in cases] == [[], ["wrong-pad-mode"], []]
    edit = cases[1]["rows"][0]["findings"][0]["edits"][0]
    assert (edit["asked"], edit["obtained"]) == (asked, obtained)
    assert ("the source pads in a separate layer" in notes(cases[1])) == source[1]
    assert ("the port pads in a separate layer" in notes(cases[1])) == port[1]
    # The fault's effect on the next input is not taken for rounding.
    assert "correct, but its input already differs" in notes(cases[2])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("asked", "obtained", "sentence"),
    [
        ((1, 1), (2, 2), "the padding was 2 instead of 1"),
        ((1, 1), (0, 1), "the padding was 0:1,0:1 instead of 1"),
        ((0, 1), (1, 1), "the padding was 1 instead of 0:1,0:1"),
        ((0, 1), (1, 0), "the padding was 1:0,1:0 instead of 0:1,0:1"),
        ((1, 1), (0, 0), "the padding was 0 instead of 1"),
    ],
)
def test_both_sides_may_pad_in_separate_layers_and_differently(
    asked: tuple[int, int], obtained: tuple[int, int], sentence: str, stride: int, invoke: Invoke
) -> None:
    common = {"separate": SEPARATE, "modes": ZEROS, "stride": stride}
    padded("a", [(1, 1), asked, (1, 1)], **common)
    padded("b", [(1, 1), obtained, (1, 1)], **common, last=True)
    report = check_captures(invoke)
    assert [codes(case) for case in report["cases"]] == [[], ["wrong-padding"], []]
    assert f"convolution 2 of 3: {sentence}" in report["notes"][0]


def test_layers_after_a_fault_that_changes_sizes_are_correct(invoke: Invoke) -> None:
    padded("a", PADS, separate=INSIDE, modes=ZEROS)
    padded("b", [(0, 0), (1, 1), (1, 1)], separate=SEPARATE, modes=ZEROS, last=True)
    cases = check_captures(invoke)["cases"]
    assert [codes(case) for case in cases] == [["wrong-padding"], [], []]
    assert "correct, but its input already differs (another shape)" in notes(cases[1])


def test_a_border_that_no_mode_gives_is_no_padding(invoke: Invoke) -> None:
    padded("a", PADS, separate=INSIDE, modes=ZEROS)
    padded("b", PADS, separate=SEPARATE, modes=ZEROS)
    x = np.load("b/0.x.npy")
    x[:, :, 0] = 7
    np.save("b/0.x.npy", x)
    np.save("b/0.y.npy", convolve(x, np.load("b/0.w.npy"), CHANNELS_FIRST))
    report = check_captures(invoke, "--case", "conv0")
    assert report["exit_code"] == 1
    assert "another shape" in notes(report["cases"][0])


# What the port's input is padded by, and the padding of the source's convolution.
ENDS: dict[str, tuple[tuple[int, int], int]] = {
    "both ends": ((2, 2), 2),
    "the end": ((0, 2), 2),
    "the start, where the source pads nothing": ((2, 0), 0),
    "no end": ((0, 0), 1),
}


@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("name", ENDS)
def test_external_padding_is_what_is_beyond_the_core(name: str, mode: str, folder: Path) -> None:
    ends, source_padding = ENDS[name]
    x, w = np.random.default_rng(0).standard_normal((1, 2, 9)), np.ones((2, 2, 5))
    longer = np.pad(x, ((0, 0), (0, 0), ends), mode=mode)  # type: ignore[call-overload]
    sides = []
    for side, array, padding in (("a", x, source_padding), ("b", longer, 0)):
        writer = CaptureWriter(side)
        options = {"padding": padding, "input_layout": "NCW", "kernel_layout": "OIW"}
        writer.add("c", {"x": array, "w": w, "y": array}, options)
        writer.close()
        sides.append(CapturedLayer(load(Path(side)).entries[0]))
    source, port = sides
    none, some = ExternalPadding(((0, 0),)), ExternalPadding((ends,), mode)
    expected = ExternalPaddings(none, some) if any(ends) else None
    assert LayerInputs(LayerPair(source, port, "name")).paddings == expected
    expected = ExternalPaddings(some, none) if any(ends) else None
    assert LayerInputs(LayerPair(port, source, "name")).paddings == expected
