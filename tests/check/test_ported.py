"""Two captures of one model: the first layer that diverges, why, and what of the later ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.check.moved import cropped, frame
from convdiff.check.pairing import Layer, pair
from convdiff.manifest import load, text
from convdiff.normal import user_output
from convdiff.reading import read_spec
from convdiff.reference import truth
from convdiff.settings import Settings
from tests.capturing.conftest import need, run
from tests.cli.conftest import Invoke

Change = Callable[[Any, Any, dict[str, Any]], tuple[Any, Any, dict[str, Any]]]


def convolve(x: Any, w: Any, options: dict[str, Any]) -> Any:
    spec, _ = read_spec(x.shape, w.shape, Settings(**options), bias=False, dtype="float32")
    return user_output(spec, truth(spec, x, w).output.astype(np.float32))


def network(folder: str, *, last: bool, faults: dict[int, Change] | None = None, after: dict[int, Callable[[Any], Any]] | None = None,
            names: str = "conv{}", order: list[int] | None = None, frames: bool = False) -> None:
    """Five convolutions with a ReLU after each, channels first or last; a fault is in what runs, not in what is recorded."""
    random = np.random.default_rng(5)
    x = random.standard_normal((2, 3, 14, 15)).astype(np.float32)
    if last:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    base = {"input_layout": "NHWC", "kernel_layout": "HWIO"} if last else {"input_layout": "NCHW", "kernel_layout": "OIHW"}
    cases: list[dict[str, Any]] = []
    Path(folder).mkdir()
    for number, (inner, outer, k, stride) in enumerate([(3, 6, 3, 1), (6, 6, 3, 1), (6, 4, 1, 1), (4, 8, 3, 2), (8, 8, 3, 1)]):
        w = random.standard_normal((outer, inner, k, k)).astype(np.float32) / np.float32(k * np.sqrt(inner))
        w = np.ascontiguousarray(w.transpose(2, 3, 1, 0)) if last else w
        options: dict[str, Any] = {**base, "stride": stride, "padding": k // 2}
        if frames and last and k > 1:
            x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            options["padding"] = 0
        run_x, run_w, run_options = (faults or {}).get(number, lambda *same: same)(x, w, options)
        y = convolve(run_x, run_w, run_options)
        files = {"input": f"{number}.x.npy", "kernel": f"{number}.w.npy"}
        recorded = run_w if run_w.shape == w.shape and "kernel" in (faults or {}) else w
        for name, array in (("x", x), ("w", recorded), ("y", y)):
            np.save(f"{folder}/{number}.{name}.npy", array)
        cases.append({"name": names.format(number), **files, "saved": {"jax" if last else "torch": f"{number}.y.npy"}, **options})
        x = np.maximum((after or {}).get(number, lambda a: a)(y), 0)
    cases = [cases[at] for at in order or range(len(cases))]
    Path(f"{folder}/manifest.toml").write_text(text(cases, defaults={"backends": []}))


def flipped(x: Any, w: Any, options: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    return x, (w[::-1, ::-1] if options["input_layout"] == "NHWC" else w[:, :, ::-1, ::-1]), options


def same(x: Any, w: Any, options: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    return x, w, {**options, "padding": "same"}


def check(invoke: Invoke, *more: str) -> dict[str, Any]:
    result = invoke("check", "--source", "a", "--port", "b", "--format", "json", *more)
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["exit_code"] == result.exit_code
    return found


def codes(case: dict[str, Any]) -> list[str]:
    return [edit["code"] for row in case["rows"] for finding in row["findings"][:1] for edit in finding["edits"]]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("names", ["conv{}", "layers_{}/kernel"])
def test_a_faithful_port_agrees(names: str, last: bool, invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=last, names=names, order=None if names == "conv{}" else [4, 2, 0, 1, 3])
    found = check(invoke)
    assert found["exit_code"] == 0
    assert [case["name"] for case in found["cases"]] == [f"conv{n}" for n in range(5)]
    assert found["notes"] == []


@pytest.mark.parametrize(("fault", "code", "at"), [(flipped, "kernel-flipped", 1), (same, "wrong-padding", 3)])
def test_the_first_that_diverges_is_told_and_later_ones_are_only_fed(fault: Change, code: str, at: int, invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, faults={at: fault}, names="block/{}")
    found = check(invoke)
    assert found["exit_code"] == 1
    assert found["notes"][0].startswith(f"the first that diverges is conv{at}, convolution {at + 1} of 5: ")
    assert [codes(case) for case in found["cases"]] == [[code] if number == at else [] for number in range(5)]
    told = [" ".join(case["notes"]) for case in found["cases"]]
    assert "wrong itself: it was fed the same inputs" in told[at]
    assert all(("right itself, but fed other inputs" in said) == (number > at) for number, said in enumerate(told))
    assert found["cases"][at]["command"] == f"convdiff check --source a --port b --case conv{at}"
    again = check(invoke, "--case", f"conv{at}")
    assert [codes(case) for case in again["cases"]] == [[code]]


def test_a_second_fault_behind_the_first_is_its_own(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, faults={1: flipped, 4: flipped})
    found = check(invoke)
    assert [case["exit_code"] for case in found["cases"]] == [0, 1, 0, 0, 1]
    assert "wrong itself, and fed other inputs" in " ".join(found["cases"][4]["notes"])


def test_a_fault_between_convolutions_is_placed_between_them(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, after={2: lambda y: y * 2})
    found = check(invoke)
    assert found["exit_code"] == 1, "no convolution is wrong, but the port is"
    assert [case["exit_code"] for case in found["cases"]] == [0] * 5
    assert "the first that diverges is conv3, convolution 4 of 5: its inputs are" in found["notes"][0]
    assert "so look after conv2, which is right, and it is right itself" in found["notes"][0]
    table = invoke("check", "--source", "a", "--port", "b").stdout
    assert "each agrees by itself, but not what they are fed" in table


@pytest.mark.parametrize("fault", [None, flipped])
def test_padding_in_a_layer_of_its_own_is_the_same_model(fault: Change | None, invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, frames=True, faults={3: fault} if fault else None)
    found = check(invoke)
    assert [codes(case) for case in found["cases"]] == [["kernel-flipped"] if fault and number == 3 else [] for number in range(5)]
    assert found["cases"][0]["spec"]["padding"] == [[0, 0], [0, 0]]


def test_the_source_may_be_the_one_that_pads(invoke: Invoke) -> None:
    network("b", last=False)
    network("a", last=True, frames=True)
    found = check(invoke)
    assert found["exit_code"] == 0, found["notes"]


def test_layers_without_a_counterpart_are_told(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=False, order=[0, 1, 3, 4])
    told = check(invoke)
    assert told["notes"] == ["conv2 of the source has no counterpart in the port"]
    # What was not compared does not agree.
    assert told["exit_code"] == 1


def test_rounded_kernels_are_paired(folder: Path) -> None:
    network("a", last=False)
    network("b", last=True, names="x{}", order=[3, 1, 4, 0, 2])
    for number in range(5):
        kernel = np.load(f"b/{number}.w.npy")
        np.save(f"b/{number}.w.npy", kernel.astype(np.float16).astype(np.float32))
    sides = [[Layer(entry) for entry in load(Path(side)).entries] for side in "ab"]
    pairs, lost, extra = pair(*sides)
    assert [(one.source.name, one.port.name, one.by) for one in pairs] == [(f"conv{n}", f"x{n}", "kernel, rounded") for n in range(5)]
    assert not lost
    assert not extra


def test_other_weights_are_paired_by_order(folder: Path) -> None:
    network("a", last=False)
    network("b", last=False, names="x{}")
    for number in range(5):
        np.save(f"b/{number}.w.npy", -np.load(f"b/{number}.w.npy") * 3)
    sides = [[Layer(entry) for entry in load(Path(side)).entries] for side in "ab"]
    assert [(one.source.name, one.port.name, one.by) for one in pair(*sides)[0]] == [(f"conv{n}", f"x{n}", "order") for n in range(5)]


FRAMES: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[tuple[int, int], ...] | None]] = {
    "both ends": ((1, 1), (1, 1), ((1, 1),)), "the end": ((0, 2), (0, 2), ((0, 2),)),
    "another end than was wanted": ((0, 2), (1, 1), ((0, 2),)), "none": ((0, 0), (1, 1), ((0, 0),)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_is_where_the_zeros_are(name: str) -> None:
    padded, wanted, pairs = FRAMES[name]
    x = np.random.default_rng(0).standard_normal((1, 2, 7))
    port = np.pad(x, ((0, 0), (0, 0), padded))
    assert frame(x, port, [wanted]) == pairs
    assert pairs is not None
    assert np.array_equal(cropped(port, pairs), x)
    assert frame(x, port + 1, [wanted]) == (pairs if padded == (0, 0) else None)
    assert frame(port, x, [(-wanted[0], -wanted[1])]) == tuple((-lo, -hi) for lo, hi in pairs)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--source", "a"], "--source: found it alone, expected --source FOLDER and --port FOLDER"),
        (["--source", "a", "--port", "b", "m.toml"], "--source a: found m.toml beside it"),
        (["--source", "a", "--port", "none"], "none: found no such file"),
        (["--source", "a", "--port", "b", "--case", "cov1"], "did you mean conv1?"),
    ],
)
def test_bad_usage_is_one_line(args: list[str], said: str, invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=False)
    result = invoke("check", *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


REAL = """
import os, numpy as np, torch, torch.nn as nn, keras, convdiff
from keras import layers as L
torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.Conv2d(8, 12, 1),
                    nn.ReLU(), nn.ConvTranspose2d(12, 6, 3, 2, 1)).eval()
x = torch.randn(2, 3, 16, 18)
with convdiff.capture(net, "a"), torch.no_grad():
    net(x)
weights = [net[at].weight.detach().numpy() for at in (0, 2, 4, 6)]
biases = [net[at].bias.detach().numpy() for at in (0, 2, 4, 6)]
port = keras.Sequential([
    L.Conv2D(8, 3, strides=2, padding="same", activation="relu"), L.DepthwiseConv2D(3, padding="same"), L.BatchNormalization(epsilon=1e-5),
    L.Conv2D(12, 1, activation="relu"), L.Conv2DTranspose(6, 3, strides=2, padding="same")])
port.build((None, 16, 18, 3))
for at, (layer, w) in enumerate(zip([port.layers[i] for i in (0, 1, 3, 4)], weights)):
    order = (2, 3, 0, 1) if at == 1 else (2, 3, 1, 0)
    layer.set_weights([w.transpose(order), biases[at]])
with convdiff.capture(port, "b"):
    port(x.numpy().transpose(0, 2, 3, 1))
"""


def test_torch_and_keras_themselves(invoke: Invoke, folder: Path) -> None:
    """SAME with a stride, and a transposed convolution whose output is one longer, are not torch's."""
    need("torch", "torch")
    need("keras", "tensorflow")
    done = run(REAL, folder)
    assert done.returncode == 0, done.stderr[-2000:]
    found = check(invoke)
    assert "the first that diverges is 0, convolution 1 of 4: padding 0:1,0:1 where 1" in found["notes"][0]
    assert [case["exit_code"] for case in found["cases"]] == [1, 0, 0, 1]
    assert "paired with" in found["cases"][1]["notes"][0]
