"""What only what comes later shows: folds, crops after a transposed convolution, the models' own
outputs; and how reports fail.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from convdiff.manifest import manifest_text
from tests.cli.conftest import Invoke
from tests.port.test_check_port import check, codes, convolve, network

RANDOM = np.random.default_rng(21)
KERNELS = {
    name: RANDOM.standard_normal((4, 4, 3, 3)).astype(np.float32) / 6
    for name in ("stem", "one", "two", "down", "last")
}
FACTORS = {name: RANDOM.uniform(0.5, 2, (4, 1, 1, 1)).astype(np.float32) for name in KERNELS}
INPUT = RANDOM.standard_normal((2, 4, 9, 10)).astype(np.float32)
PADDED = {"input_layout": "NCHW", "kernel_layout": "OIHW", "padding": 1}


def given(folder: str, output: Any) -> None:
    """Say in a capture what the model itself gave."""
    np.save(f"{folder}/output.npy", output)
    manifest = Path(f"{folder}/manifest.toml")
    manifest.write_text('outputs = ["output.npy"]\n' + manifest.read_text())


def residual(folder: str, folded: dict[str, float], *, output: bool = True) -> None:
    """A residual block with a normalization after each convolution, in the kernels of those
    `folded`: times a number, 1 where right.
    """
    Path(folder).mkdir()
    cases: list[dict[str, Any]] = []

    def layer(name: str, x: Any) -> Any:
        wrong = np.where(np.arange(4)[:, None, None, None] == 1, folded.get(name, 1.0), 1).astype(
            np.float32
        )
        w = KERNELS[name] * FACTORS[name] * wrong if name in folded else KERNELS[name]
        y = convolve(x, w, PADDED)
        for letter, array in (("x", x), ("w", w), ("y", y)):
            np.save(f"{folder}/{name}.{letter}.npy", array)
        files = {
            "input": f"{name}.x.npy",
            "kernel": f"{name}.w.npy",
            "saved": {"port": f"{name}.y.npy"},
        }
        cases.append({"name": name, **files, **PADDED})
        return y if name in folded else y * FACTORS[name][:, 0]

    x = np.maximum(layer("stem", INPUT), 0)
    x = np.maximum(layer("two", np.maximum(layer("one", x), 0)) + layer("down", x), 0)
    y = layer("last", x)
    Path(f"{folder}/manifest.toml").write_text(manifest_text(cases, defaults={"backends": []}))
    if output:
        given(folder, 1 / (1 + np.exp(-y)))


ALL = dict.fromkeys(KERNELS, 1.0)


@pytest.mark.parametrize("output", [True, False])
def test_a_model_with_everything_folded_is_the_same(output: bool, invoke: Invoke) -> None:
    residual("a", {}, output=output)
    residual("b", ALL, output=output)
    found = check(invoke)
    assert found["exit_code"] == 0
    unseen = ["last: nothing recorded after it shows whether the normalization is folded rightly"]
    assert found["notes"] == ([] if output else unseen)


@pytest.mark.parametrize("name", ["stem", "one", "last"])
def test_a_wrong_fold_is_placed_where_what_it_feeds_shows_it(name: str, invoke: Invoke) -> None:
    residual("a", {})
    residual("b", {**ALL, name: 1.3})
    found = check(invoke)
    assert [case["name"] for case in found["cases"] if case["exit_code"]] == [name]
    assert "a normalization may be folded into its kernel, but" in " ".join(
        next(c for c in found["cases"] if c["exit_code"])["notes"]
    )


@pytest.mark.parametrize("name", ["two", "down"])
def test_of_branches_that_meet_each_may_be_folded_wrongly(name: str, invoke: Invoke) -> None:
    residual("a", {})
    residual("b", {**ALL, name: 1.3})
    found = check(invoke)
    assert [case["name"] for case in found["cases"] if case["exit_code"]] == ["last"]
    assert "look for a normalization that is folded wrongly into two or down" in found["notes"][0]
    residual("c", {name: 1.3})
    found = json.loads(invoke("check", "--source", "a", "--port", "c", "--format", "json").stdout)
    assert [case["name"] for case in found["cases"] if case["exit_code"]] == [name], (
        "the other is not folded"
    )


def moved(y: Any) -> Any:
    return np.ascontiguousarray(y.transpose(0, 2, 3, 1))


def test_a_fault_after_the_last_convolution_is_told(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True)
    y = np.load("a/4.y.npy")
    given("a", np.tanh(y))
    given("b", moved(np.tanh(y)))
    assert check(invoke)["exit_code"] == 0
    np.save("b/output.npy", moved(y))
    found = check(invoke)
    assert found["exit_code"] == 1
    assert [case["exit_code"] for case in found["cases"]] == [0] * 5 + [1]
    assert found["cases"][5]["message"].startswith(
        "every convolution is right, but the models' outputs are "
    )
    assert found["cases"][5]["message"].endswith("% off: look after conv4")
    assert "look after conv4" in " ".join(
        invoke("check", "--source", "a", "--port", "b").stdout.split()
    )


def transposed(
    folder: str,
    crops: list[tuple[tuple[int, int], bool]],
    *,
    late: Callable[[Any], Any] = lambda y: y,
) -> None:
    """Transposed convolutions that crop so, in a layer of their own where that says so, and a
    convolution after them.
    """
    random = np.random.default_rng(3)
    x = random.standard_normal((1, 4, 6, 7)).astype(np.float32)
    Path(folder).mkdir()
    cases: list[dict[str, Any]] = []
    for number, ((lo, hi), own) in enumerate([*crops, ((0, 0), False)]):
        up = number < len(crops)
        options = {
            "input_layout": "NCHW",
            "kernel_layout": "IOHW" if up else "OIHW",
            **({"transposed": True, "stride": 2} if up else {}),
        }
        options["padding"] = [[lo, max(hi, 0)]] * 2 if not own else 0
        if hi < 0 and not own:
            options["output_padding"] = -hi
        w = random.standard_normal((4, 4, 3, 3)).astype(np.float32)
        y = convolve(x, w, options)
        for letter, array in (("x", x), ("w", w), ("y", y)):
            np.save(f"{folder}/{number}.{letter}.npy", array)
        files = {
            "input": f"{number}.x.npy",
            "kernel": f"{number}.w.npy",
            "saved": {"port": f"{number}.y.npy"},
        }
        cases.append({"name": f"up{number}", **files, **options})
        y = y[:, :, lo : y.shape[2] - hi, lo : y.shape[3] - hi] if own else y
        x = np.maximum(late(y) if up else y, 0)
    Path(f"{folder}/manifest.toml").write_text(manifest_text(cases, defaults={"backends": []}))


def test_a_transposed_convolution_may_be_cropped_in_a_layer_of_its_own(invoke: Invoke) -> None:
    transposed("a", [((1, 1), False), ((1, 0), False)])
    transposed("b", [((1, 1), True), ((1, 0), True)])
    for one, other in (("a", "b"), ("b", "a")):
        found = json.loads(
            invoke("check", "--source", one, "--port", other, "--format", "json").stdout
        )
        assert found["exit_code"] == 0, found["notes"]


def test_a_crop_that_nothing_bears_out_is_wrong(invoke: Invoke) -> None:
    transposed("a", [((1, 1), False)])
    transposed("b", [((0, 0), False)])
    assert codes(check(invoke)["cases"][0]) == ["wrong-padding"]


def test_inputs_that_are_off_fail_in_every_report(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, after={1: lambda y: y * 2})
    found = check(invoke, "--junit", "r.xml")
    assert [case["fed"]["same"] for case in found["cases"]] == [True, True, False, False, False]
    assert found["cases"][2]["fed"]["apart"] == pytest.approx(1, rel=1e-3)
    assert [case["exit_code"] for case in found["cases"]] == [0, 0, 1, 0, 0]
    failing = [
        case.get("name")
        for case in ElementTree.parse("r.xml").iter("testcase")
        if case.find("failure") is not None
    ]
    assert failing == ["conv2"]
    told = invoke("check", "--source", "a", "--port", "b", "--format", "github").stdout
    errors = [line for line in told.splitlines() if "::error" in line]
    assert len(errors) == 1
    assert "file=a/manifest.toml,line=" in errors[0]
    assert "fed other inputs" in errors[0]
    assert "input differs" in invoke("check", "--source", "a", "--port", "b").stdout


def test_a_layer_that_is_lost_fails_in_every_report(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=False, order=[0, 1, 3, 4])
    found = check(invoke, "--junit", "r.xml")
    assert [case["exit_code"] for case in found["cases"]] == [0, 0, 0, 0, 1]
    failing = [
        case.get("name")
        for case in ElementTree.parse("r.xml").iter("testcase")
        if case.find("failure") is not None
    ]
    assert failing == ["conv2"]
    told = invoke("check", "--source", "a", "--port", "b").stdout
    assert "4 of 5 cases agree; 1 without a counterpart" in told
    assert "the inputs differ" not in told


CAUSES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a factor": (lambda y: y / 255, "they are the source's × 0.00392157 (1/255)"),
    "channels": (lambda y: y[..., ::-1], "they are the source's with channels reversed"),
    "a normalization": (
        lambda y: y * np.linspace(1, 1.1, 6, dtype=np.float32) + 0.1,
        "each channel was scaled and shifted by itself",
    ),
    "a clip": (lambda y: np.minimum(y, 0.3), ""),
}


@pytest.mark.parametrize("name", CAUSES)
def test_why_inputs_are_off_is_told(name: str, invoke: Invoke) -> None:
    change, said = CAUSES[name]
    network("a", last=False)
    network("b", last=True, after={1: change})
    note = check(invoke)["notes"][0]
    assert f"% off ({said}" in note if said else "% off, so look after conv1" in note


def test_a_missing_activation_is_told(invoke: Invoke) -> None:
    network("a", last=False, after={1: np.abs})
    network("b", last=False)
    assert "a ReLU is missing" not in check(invoke)["notes"][0], (
        "that an absolute value is missing, nothing here tells"
    )
    for folder in "ab":
        np.save(
            f"{folder}/4.x.npy",
            np.load("a/3.y.npy") if folder == "b" else np.maximum(np.load("a/3.y.npy"), 0),
        )
        np.save(
            f"{folder}/4.y.npy",
            convolve(np.load(f"{folder}/4.x.npy"), np.load("a/4.w.npy"), PADDED),
        )
    for number in range(4):
        for letter in "xy":
            np.save(f"b/{number}.{letter}.npy", np.load(f"a/{number}.{letter}.npy"))
    assert (
        "% off (a ReLU is missing, or another activation in its place), so look after conv3, "
        "which is right" in check(invoke)["notes"][0]
    )


def test_a_kernel_that_is_folded_and_flipped_is_told(invoke: Invoke) -> None:
    residual("a", {})
    residual("b", {**ALL, "last": 1.0})
    w = np.ascontiguousarray(np.load("b/last.w.npy")[:, :, ::-1, ::-1])
    np.save("b/last.w.npy", w)
    np.save("b/last.y.npy", convolve(np.load("b/last.x.npy"), w, PADDED))
    found = check(invoke)
    assert [case["exit_code"] for case in found["cases"]] == [0, 0, 0, 0, 1]
    assert "a normalization is folded into the port's kernel, which is flipped" in found["notes"][0]


def test_a_wrong_fold_has_no_fix_that_is_not_folded(invoke: Invoke) -> None:
    residual("a", {})
    residual("b", {**ALL, "one": 1.3})
    findings = [
        finding
        for case in check(invoke)["cases"]
        for row in case["rows"]
        for finding in row["findings"]
    ]
    assert findings
    assert not any(finding["fix"] for finding in findings)


def test_a_bias_that_was_never_loaded_is_missing(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True)
    for folder, bias in (
        ("a", np.linspace(1, 2, 6, dtype=np.float32)),
        ("b", np.zeros(6, np.float32)),
    ):
        np.save(f"{folder}/1.b.npy", bias)
        y = np.load(f"{folder}/1.y.npy")
        np.save(f"{folder}/1.y.npy", y + (bias[:, None, None] if folder == "a" else bias))
        manifest = Path(f"{folder}/manifest.toml")
        manifest.write_text(
            manifest.read_text().replace(
                'kernel = "1.w.npy"', 'kernel = "1.w.npy"\nbias = "1.b.npy"'
            )
        )
    case = check(invoke)["cases"][1]
    assert codes(case) == ["bias-missing"]
    assert (
        "the port's bias is all zeros (never loaded?)" in case["rows"][0]["findings"][0]["summary"]
    )
