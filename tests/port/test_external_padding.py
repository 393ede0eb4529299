"""Padding in a layer of its own, in either model, in both, of any mode: what it is, and what is
wrong with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.manifest import load, text
from convdiff.port.external_padding import ExternalPadding, ExternalPaddings
from convdiff.port.layer_pair import LayerPair
from convdiff.port.pairing import CapturedLayer, Pairing
from tests.cli.conftest import Invoke
from tests.port.test_check_port import Change, check, codes, convolve, flipped, network


@pytest.mark.parametrize("fault", [None, flipped])
def test_padding_in_a_layer_of_its_own_is_the_same_model(
    fault: Change | None, invoke: Invoke
) -> None:
    network("a", last=False)
    network("b", last=True, frames=True, faults={3: fault} if fault else None)
    found = check(invoke)
    assert [codes(case) for case in found["cases"]] == [
        ["kernel-flipped"] if fault and number == 3 else [] for number in range(5)
    ]
    assert [case["spec"]["padding"] for case in found["cases"]][:3] == [[[1, 1], [1, 1]]] * 2 + [
        [[0, 0], [0, 0]]
    ]


def test_the_source_may_be_the_one_that_pads(invoke: Invoke) -> None:
    network("b", last=False)
    network("a", last=True, frames=True)
    found = check(invoke)
    assert found["exit_code"] == 0, found["notes"]


def test_a_frame_on_the_wrong_side_is_told_as_it_adds_up(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True)
    x, w = np.load("b/3.x.npy"), np.load("b/3.w.npy")
    x = np.pad(x, ((0, 0), (2, 0), (2, 0), (0, 0)))
    np.save("b/3.x.npy", x)
    np.save(
        "b/3.y.npy", convolve(x, w, {"input_layout": "NHWC", "kernel_layout": "HWIO", "stride": 2})
    )
    manifest = Path("b/manifest.toml").read_text()
    before, _, rest = manifest.partition('name = "conv3"')
    Path("b/manifest.toml").write_text(
        before + 'name = "conv3"' + rest.replace("padding = 1", "padding = 0", 1)
    )
    found = check(invoke, "--case", "conv3")
    edit = found["cases"][0]["rows"][0]["findings"][0]["edits"][0]
    assert (edit["asked"], edit["obtained"]) == ([[1, 1], [1, 1]], [[2, 0], [2, 0]])
    assert (
        "the padding was 2:0,2:0 instead of 1"
        in found["cases"][0]["rows"][0]["findings"][0]["summary"]
    )
    assert found["cases"][0]["spec"]["padding"] == [[1, 1], [1, 1]]
    w = w.round(2)
    np.save("b/3.w.npy", w)
    np.save(
        "b/3.y.npy", convolve(x, w, {"input_layout": "NHWC", "kernel_layout": "HWIO", "stride": 2})
    )
    told = check(invoke, "--case", "conv3")["cases"][0]["rows"][0]["findings"][0]["summary"]
    assert told.startswith(
        "the port's kernel is the source's, rounded to 2 decimals; and the padding was 2:0,2:0 "
        "instead of 1"
    )


def padded(
    folder: str,
    pads: list[Any],
    *,
    own: list[bool],
    modes: list[str],
    last: bool = False,
    stride: int = 1,
) -> None:
    """Three convolutions of 3x3 with a ReLU after each, padded so; in a layer of its own where
    `own` says so.
    """
    random = np.random.default_rng(11)
    x = random.standard_normal((2, 3, 14, 15)).astype(np.float32)
    base = (
        {"input_layout": "NHWC", "kernel_layout": "HWIO"}
        if last
        else {"input_layout": "NCHW", "kernel_layout": "OIHW"}
    )
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if last else x
    cases: list[dict[str, Any]] = []
    Path(folder).mkdir()
    for number, (pad, apart, mode) in enumerate(zip(pads, own, modes, strict=True)):
        w = random.standard_normal((4, x.shape[-1 if last else 1], 3, 3)).astype(np.float32) / 5
        w = np.ascontiguousarray(w.transpose(2, 3, 1, 0)) if last else w
        options: dict[str, Any] = {
            **base,
            "padding": pad,
            "pad_mode": mode,
            "stride": stride if number == 1 else 1,
        }
        if apart:
            sides = [pad, pad] if last else [(0, 0), pad, pad]
            x = np.pad(x, [(0, 0), *sides, *([(0, 0)] if last else [])], mode=mode)  # type: ignore[call-overload]
            options |= {"padding": 0, "pad_mode": "constant"}
        else:
            options["padding"] = [list(pad)] * 2
        y = convolve(x, w, options)
        for name, array in (("x", x), ("w", w), ("y", y)):
            np.save(f"{folder}/{number}.{name}.npy", array)
        files = {
            "input": f"{number}.x.npy",
            "kernel": f"{number}.w.npy",
            "saved": {"port": f"{number}.y.npy"},
        }
        cases.append({"name": f"conv{number}", **files, **options})
        x = np.maximum(y, 0)
    Path(f"{folder}/manifest.toml").write_text(text(cases, defaults={"backends": []}))


ONE = [(1, 1)] * 3
IN, OUT = [False] * 3, [True] * 3


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap", "constant"])
@pytest.mark.parametrize("own", [(IN, OUT), (OUT, IN), (OUT, OUT)])
def test_padding_of_any_mode_may_be_in_a_layer_of_its_own(
    mode: str, own: tuple[list[bool], list[bool]], invoke: Invoke
) -> None:
    padded("a", ONE, own=own[0], modes=[mode] * 3)
    padded("b", ONE, own=own[1], modes=[mode] * 3, last=True)
    found = check(invoke)
    assert found["exit_code"] == 0, found["notes"]


@pytest.mark.parametrize("own", [(IN, OUT), (OUT, IN), (OUT, OUT), (IN, IN)])
@pytest.mark.parametrize(
    ("asked", "obtained"), [("reflect", "constant"), ("constant", "reflect"), ("edge", "wrap")]
)
def test_padding_of_another_mode_is_told(
    own: tuple[list[bool], list[bool]], asked: str, obtained: str, invoke: Invoke
) -> None:
    padded("a", ONE, own=own[0], modes=[asked] * 3)
    padded("b", ONE, own=own[1], modes=[asked, obtained, asked], last=True)
    found = check(invoke)
    assert [codes(case) for case in found["cases"]] == [[], ["wrong-pad-mode"], []]
    edit = found["cases"][1]["rows"][0]["findings"][0]["edits"][0]
    assert (edit["asked"], edit["obtained"]) == (asked, obtained)
    told = " ".join(found["cases"][1]["notes"])
    assert [f"the {side} pads in a layer of its own" in told for side in ("source", "port")] == [
        own[0][1],
        own[1][1],
    ]
    # What is fed the outcome is not rounding.
    assert "right itself, but fed other inputs" in " ".join(found["cases"][2]["notes"])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("asked", "obtained", "said"),
    [
        ((1, 1), (2, 2), "the padding was 2 instead of 1"),
        ((1, 1), (0, 1), "the padding was 0:1,0:1 instead of 1"),
        ((0, 1), (1, 1), "the padding was 1 instead of 0:1,0:1"),
        ((0, 1), (1, 0), "the padding was 1:0,1:0 instead of 0:1,0:1"),
        ((1, 1), (0, 0), "the padding was 0 instead of 1"),
    ],
)
def test_both_may_pad_in_layers_of_their_own_and_differently(
    asked: tuple[int, int], obtained: tuple[int, int], said: str, stride: int, invoke: Invoke
) -> None:
    padded("a", [(1, 1), asked, (1, 1)], own=OUT, modes=["constant"] * 3, stride=stride)
    padded(
        "b", [(1, 1), obtained, (1, 1)], own=OUT, modes=["constant"] * 3, stride=stride, last=True
    )
    found = check(invoke)
    assert [codes(case) for case in found["cases"]] == [[], ["wrong-padding"], []]
    assert f"convolution 2 of 3: {said}" in found["notes"][0]


def test_layers_after_a_fault_that_changes_sizes_are_right_themselves(invoke: Invoke) -> None:
    padded("a", ONE, own=IN, modes=["constant"] * 3)
    padded("b", [(0, 0), (1, 1), (1, 1)], own=OUT, modes=["constant"] * 3, last=True)
    found = check(invoke)
    assert [codes(case) for case in found["cases"]] == [["wrong-padding"], [], []]
    assert "right itself, but fed other inputs (of another shape)" in " ".join(
        found["cases"][1]["notes"]
    )


def test_what_is_no_padding_is_no_frame(invoke: Invoke) -> None:
    padded("a", ONE, own=IN, modes=["constant"] * 3)
    padded("b", ONE, own=OUT, modes=["constant"] * 3)
    x = np.load("b/0.x.npy")
    x[:, :, 0] = 7
    np.save("b/0.x.npy", x)
    np.save(
        "b/0.y.npy",
        convolve(x, np.load("b/0.w.npy"), {"input_layout": "NCHW", "kernel_layout": "OIHW"}),
    )
    found = check(invoke, "--case", "conv0")
    assert found["exit_code"] == 1
    assert "of another shape" in " ".join(found["cases"][0]["notes"])


FRAMES: dict[str, tuple[tuple[int, int], int, tuple[int, int]]] = {
    "both ends": ((2, 2), 2, (2, 2)),
    "the end": ((0, 2), 2, (0, 2)),
    "the start, asked otherwise": ((2, 0), 0, (2, 0)),
    "none": ((0, 0), 1, (0, 0)),
}


@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_is_where_the_core_ends(name: str, mode: str, folder: Path) -> None:
    pads, asked, expected = FRAMES[name]
    x, w = np.random.default_rng(0).standard_normal((1, 2, 9)), np.ones((2, 2, 5))
    sides = []
    for side, array, padding in (
        ("a", x, asked),
        ("b", np.pad(x, ((0, 0), (0, 0), pads), mode=mode), 0),
    ):  # type: ignore[call-overload]
        Path(side).mkdir()
        np.save(f"{side}/x.npy", array)
        np.save(f"{side}/w.npy", w)
        case = {
            "name": "c",
            "input": "x.npy",
            "kernel": "w.npy",
            "saved": {"port": "x.npy"},
            "padding": padding,
            "input_layout": "NCW",
        }
        Path(f"{side}/manifest.toml").write_text(
            text([{**case, "kernel_layout": "OIW"}], defaults={"backends": []})
        )
        sides.append(CapturedLayer(load(Path(side)).entries[0]))
    none = ExternalPadding(((0, 0),))
    found = LayerPair(Pairing(*sides, "name")).frames
    assert found == (
        ExternalPaddings(none, ExternalPadding((expected,), mode)) if any(pads) else None
    )
    found = LayerPair(Pairing(*sides[::-1], "name")).frames
    # What its convolution pads with zeros beside is no padding of one mode.
    assert found == (
        ExternalPaddings(ExternalPadding((expected,), mode), none) if any(pads) else None
    )
