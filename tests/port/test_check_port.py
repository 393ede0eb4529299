"""Two captures of one model: the first layer that diverges, why, and what of the later ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.manifest import load, text
from convdiff.numerics.reference import compute_reference
from convdiff.port.pairing import CapturedLayer, pair
from convdiff.spec.canonical import user_output
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from tests.cli.conftest import Invoke
from tests.recorder.conftest import need, run

Change = Callable[[Any, Any, dict[str, Any]], tuple[Any, Any, dict[str, Any]]]


def convolve(x: Any, w: Any, options: dict[str, Any]) -> Any:
    spec, _ = read_spec(x.shape, w.shape, Settings(**options), bias=False, dtype="float32")
    return user_output(spec, compute_reference(spec, x, w).output.astype(np.float32))


def network(
    folder: str,
    *,
    last: bool,
    faults: dict[int, Change] | None = None,
    after: dict[int, Callable[[Any], Any]] | None = None,
    names: str = "conv{}",
    order: list[int] | None = None,
    frames: bool = False,
    recorded: bool = False,
) -> None:
    """Five convolutions with a ReLU after each, channels first or last; a fault is in what runs,
    and in its kernel where `recorded`.
    """
    random = np.random.default_rng(5)
    x = random.standard_normal((2, 3, 14, 15)).astype(np.float32)
    if last:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    base = (
        {"input_layout": "NHWC", "kernel_layout": "HWIO"}
        if last
        else {"input_layout": "NCHW", "kernel_layout": "OIHW"}
    )
    cases: list[dict[str, Any]] = []
    Path(folder).mkdir()
    for number, (inner, outer, k, stride) in enumerate(
        [(3, 6, 3, 1), (6, 6, 3, 1), (6, 4, 1, 1), (4, 8, 3, 2), (8, 8, 3, 1)]
    ):
        w = random.standard_normal((outer, inner, k, k)).astype(np.float32) / np.float32(
            k * np.sqrt(inner)
        )
        w = np.ascontiguousarray(w.transpose(2, 3, 1, 0)) if last else w
        options: dict[str, Any] = {**base, "stride": stride, "padding": k // 2}
        if frames and last and k > 1:
            x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            options["padding"] = 0
        run_x, run_w, run_options = (faults or {}).get(number, lambda *same: same)(x, w, options)
        y = convolve(run_x, run_w, run_options)
        files = {"input": f"{number}.x.npy", "kernel": f"{number}.w.npy"}
        for name, array in (("x", x), ("w", run_w if recorded else w), ("y", y)):
            np.save(f"{folder}/{number}.{name}.npy", array)
        cases.append(
            {
                "name": names.format(number),
                **files,
                "saved": {"jax" if last else "torch": f"{number}.y.npy"},
                **options,
            }
        )
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
    return [
        edit["code"]
        for row in case["rows"]
        for finding in row["findings"][:1]
        for edit in finding["edits"]
    ]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("names", ["conv{}", "layers_{}/kernel"])
def test_a_faithful_port_agrees(names: str, last: bool, invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=last, names=names, order=None if names == "conv{}" else [4, 2, 0, 1, 3])
    found = check(invoke)
    assert found["exit_code"] == 0
    assert [case["name"] for case in found["cases"]] == [f"conv{n}" for n in range(5)]
    assert found["notes"] == []


@pytest.mark.parametrize(
    ("fault", "code", "at"), [(flipped, "kernel-flipped", 1), (same, "wrong-padding", 3)]
)
def test_the_first_that_diverges_is_told_and_later_ones_are_only_fed(
    fault: Change, code: str, at: int, invoke: Invoke
) -> None:
    network("a", last=False)
    network("b", last=True, faults={at: fault}, names="block/{}")
    found = check(invoke)
    assert found["exit_code"] == 1
    assert found["notes"][0].startswith(
        f"the first that diverges is conv{at}, convolution {at + 1} of 5: "
    )
    assert [codes(case) for case in found["cases"]] == [
        [code] if number == at else [] for number in range(5)
    ]
    told = [" ".join(case["notes"]) for case in found["cases"]]
    assert "wrong itself: it was fed the same inputs" in told[at]
    assert all(
        ("right itself, but fed other inputs" in said) == (number > at)
        for number, said in enumerate(told)
    )
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
    assert [case["exit_code"] for case in found["cases"]] == [0, 0, 0, 1, 0]
    assert not codes(found["cases"][3])
    assert (
        "the first that diverges is conv3, convolution 4 of 5: its inputs are" in found["notes"][0]
    )
    assert "so look after conv2, which is right, and it is right itself" in found["notes"][0]
    table = invoke("check", "--source", "a", "--port", "b").stdout
    assert "each agrees by itself, but not what they are fed" in table


def smoothed(y: Any) -> Any:
    """As an interpolation with other weights."""
    return y + 1e-3 * (np.roll(y, 1, -1) - y)


BETWEEN: dict[str, Callable[[Any], Any]] = {
    "an epsilon of 1e-4 where 1e-5 was": lambda y: y * np.float32(1 - 4.5e-5),
    "a clip": lambda y: np.minimum(y, 1.5),
    "another interpolation": smoothed,
}


@pytest.mark.parametrize("fault", BETWEEN.values(), ids=BETWEEN)
def test_a_slight_fault_between_convolutions_is_told(
    fault: Callable[[Any], Any], invoke: Invoke
) -> None:
    network("a", last=False)
    network("b", last=True, after={2: fault})
    found = check(invoke)
    assert found["exit_code"] == 1
    assert [case["exit_code"] for case in found["cases"]] == [0, 0, 0, 1, 0]
    assert not codes(found["cases"][3])
    assert (
        "the first that diverges is conv3, convolution 4 of 5: its inputs are" in found["notes"][0]
    )
    assert "so look after conv2, which is right" in found["notes"][0]


def deep(folder: str, *, exact: bool, fault: int | None = None) -> None:
    """Sixteen convolutions with a sine after each, in two orders of summing: what rounding leaves
    grows to a large part of the whole.
    """
    random = np.random.default_rng(2)
    x = random.standard_normal((1, 8, 6, 6)).astype(np.float32)
    Path(folder).mkdir()
    cases: list[dict[str, Any]] = []
    for number in range(16):
        w = random.standard_normal((8, 8, 1, 1)).astype(np.float32)
        products = w[None, :, :, 0, 0, None] * x.reshape(1, 1, 8, 36)
        y = (
            products.sum(axis=2, dtype=np.float64)
            if exact
            else products[:, :, ::-1].cumsum(axis=2)[:, :, -1]
        ).reshape(1, 8, 6, 6)
        for name, array in (("x", x), ("w", w), ("y", y.astype(np.float32))):
            np.save(f"{folder}/{number}.{name}.npy", array)
        files = {
            "input": f"{number}.x.npy",
            "kernel": f"{number}.w.npy",
            "saved": {"port": f"{number}.y.npy"},
        }
        cases.append(
            {"name": f"conv{number}", **files, "input_layout": "NCHW", "kernel_layout": "OIHW"}
        )
        x = np.sin(1.2 * y).astype(np.float32)
        x = np.minimum(x, 0.8) if number == fault else x
    Path(f"{folder}/manifest.toml").write_text(text(cases, defaults={"backends": []}))


def test_rounding_that_grows_over_layers_is_rounding(invoke: Invoke) -> None:
    deep("a", exact=True)
    deep("b", exact=False)
    far = [np.abs(np.load(f"a/{n}.x.npy") - np.load(f"b/{n}.x.npy")).max() for n in range(16)]
    assert far[-1] > 1e-2, "or it does not grow"
    found = check(invoke)
    assert found["exit_code"] == 0, found["notes"]


def test_a_fault_is_told_though_rounding_grows(invoke: Invoke) -> None:
    deep("a", exact=True)
    deep("b", exact=False, fault=7)
    found = check(invoke)
    assert found["exit_code"] == 1
    assert (
        "the first that diverges is conv8, convolution 9 of 16: its inputs are" in found["notes"][0]
    )
    alone = check(invoke, "--case", "conv10")
    assert "right itself, but fed other inputs" in alone["cases"][0]["notes"][0]


FACTORS = np.random.default_rng(8).uniform(0.5, 2, 4).astype(np.float32)


def folded(x: Any, w: Any, options: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    return x, w * (FACTORS if w.shape[-1] == 4 else FACTORS[:, None, None, None]), options


@pytest.mark.parametrize("last", [False, True])
def test_a_normalization_folded_into_a_kernel_is_the_same_model(last: bool, invoke: Invoke) -> None:
    network("a", last=False, after={2: lambda y: y * FACTORS[:, None, None]})
    network("b", last=last, names="node{}", faults={2: folded}, recorded=True)
    for one, other in (("a", "b"), ("b", "a")):
        found = json.loads(
            invoke("check", "--source", one, "--port", other, "--format", "json").stdout
        )
        assert found["exit_code"] == 0, found["notes"]
        assert "a normalization is folded into the port's kernel" in found["cases"][2]["notes"]
        assert "by kernel, scaled by channel" in found["cases"][2]["notes"][0]


def test_a_fold_that_feeds_other_inputs_is_not_right(invoke: Invoke) -> None:
    network("a", last=False, after={2: lambda y: y * FACTORS[::-1, None, None]})
    network("b", last=True, faults={2: folded}, recorded=True)
    found = check(invoke)
    assert [case["exit_code"] for case in found["cases"]] == [0, 0, 1, 0, 0]
    assert "may be folded into its kernel, but conv3 after it is fed other inputs" in " ".join(
        found["cases"][2]["notes"]
    )
    assert codes(found["cases"][2]) == ["channels-scaled"]


def test_a_fold_in_the_last_layer_is_judged_by_its_own_kernel(invoke: Invoke) -> None:
    network("a", last=False)
    network(
        "b",
        last=True,
        recorded=True,
        faults={4: lambda x, w, options: (x, w * np.linspace(1, 2, 8, dtype=np.float32), options)},
    )
    assert check(invoke)["exit_code"] == 0
    network(
        "c",
        last=True,
        recorded=True,
        faults={
            4: lambda x, w, options: (
                x,
                w * np.linspace(1, 2, 8, dtype=np.float32),
                {**options, "padding": "0:2,0:2"},
            ),
        },
    )
    found = json.loads(invoke("check", "--source", "a", "--port", "c", "--format", "json").stdout)
    assert codes(found["cases"][4]) == ["wrong-padding"]
    assert (
        "a normalization is folded into the port's kernel; and the padding was 0:2,0:2 instead of 1"
        in found["notes"][0]
    )


def weights(change: Callable[[Any], Any]) -> Change:
    return lambda x, w, options: (x, change(w), options)


def one_other(w: Any) -> Any:
    w = w.copy()
    w[0, 0, 0, 0] += 0.5
    return w


WEIGHTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "float16": (
        lambda w: w.astype(np.float16).astype(np.float32),
        "the port's kernel is the source's, rounded to float16",
    ),
    "decimals": (lambda w: w.round(2), "the port's kernel is the source's, rounded to 2 decimals"),
    "one other": (one_other, "the port's kernel has other weights (1 of 324 differ, by up to 0.5)"),
    "others": (
        lambda w: np.random.default_rng(1).standard_normal(w.shape).astype("f4"),
        "the port's kernel has other weights (324 of 324",
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_other_weights_are_told_by_what_they_are(name: str, invoke: Invoke) -> None:
    change, said = WEIGHTS[name]
    network("a", last=False)
    network("b", last=True, recorded=True, faults={1: weights(change)})
    found = check(invoke)
    assert [case["exit_code"] for case in found["cases"]] == [0, 1, 0, 0, 0]
    assert said in found["notes"][0]
    assert found["cases"][1]["rows"][0]["verdict"] == "different"
    assert found["cases"][1]["rows"][0]["error"]["differing"]


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
    sides = [[CapturedLayer(entry) for entry in load(Path(side)).entries] for side in "ab"]
    pairs, lost, extra = pair(*sides)
    assert [(one.source.name, one.port.name, one.by) for one in pairs] == [
        (f"conv{n}", f"x{n}", "kernel, rounded") for n in range(5)
    ]
    assert not lost
    assert not extra


def test_other_weights_are_paired_by_order(folder: Path) -> None:
    network("a", last=False)
    network("b", last=False, names="x{}")
    for number in range(5):
        kernel = np.load(f"b/{number}.w.npy")
        np.save(
            f"b/{number}.w.npy",
            np.random.default_rng(number).standard_normal(kernel.shape).astype(np.float32) * 3,
        )
    sides = [[CapturedLayer(entry) for entry in load(Path(side)).entries] for side in "ab"]
    assert [(one.source.name, one.port.name, one.by) for one in pair(*sides)[0]] == [
        (f"conv{n}", f"x{n}", "order") for n in range(5)
    ]


def layers(folder: str, kernels: list[tuple[str, Any]]) -> list[CapturedLayer]:
    Path(folder).mkdir()
    cases: list[dict[str, Any]] = []
    for at, (name, kernel) in enumerate(kernels):
        np.save(f"{folder}/{at}.npy", kernel)
        cases.append(
            {
                "name": name,
                "input": f"{at}.npy",
                "kernel": f"{at}.npy",
                "saved": {"port": f"{at}.npy"},
                "kernel_layout": "OIHW",
            }
        )
    Path(f"{folder}/manifest.toml").write_text(text(cases, defaults={"backends": []}))
    return [CapturedLayer(entry) for entry in load(Path(folder)).entries]


A, B, C, D = np.random.default_rng(4).standard_normal((4, 3, 3, 3, 3)).astype(np.float32)
PAIRED: dict[str, tuple[list[tuple[str, Any]], list[tuple[str, Any]], list[str]]] = {
    "kernels before names": ([("x", A), ("y", B)], [("y", A), ("x", B)], ["y", "x"]),
    "rounded kernels before names": (
        [("x", A), ("y", B)],
        [("y", A.round(2)), ("x", B.round(2))],
        ["y", "x"],
    ),
    "a kernel and a name before a kernel": (
        [("x", A), ("y", A), ("z", A)],
        [("z", A), ("y", A), ("x", A)],
        ["x", "y", "z"],
    ),
    "one that stands twice, in order": (
        [("a", A), ("b", B), ("c", A)],
        [("p", A), ("q", C), ("r", A)],
        ["p", "q", "r"],
    ),
    "one that stands twice, and is left out": (
        [("a", A), ("b", B), ("c", A)],
        [("q", B), ("r", A)],
        ["-", "q", "r"],
    ),
    "names where kernels are others": ([("x", A), ("y", B)], [("y", C), ("x", D)], ["x", "y"]),
}


@pytest.mark.parametrize("name", PAIRED)
def test_which_layer_is_which(name: str, folder: Path) -> None:
    source, port, expected = PAIRED[name]
    found = {
        one.source.name: one.port.name for one in pair(layers("a", source), layers("b", port))[0]
    }
    assert [found.get(layer, "-") for layer, _ in source] == expected


def test_weights_exchanged_between_layers_are_told(invoke: Invoke) -> None:
    """Kernels would pair them crosswise; the inputs say that the names are right."""
    one, other = np.random.default_rng(6).standard_normal((2, 4, 4, 3, 3)).astype(np.float32)
    options = {"input_layout": "NCHW", "kernel_layout": "OIHW", "padding": 1}
    for folder, (first, second) in (("a", (one, other)), ("b", (other, one))):
        Path(folder).mkdir()
        x = np.random.default_rng(7).standard_normal((1, 4, 7, 8)).astype(np.float32)
        cases = []
        for name, kernel in (("p", first), ("q", second)):
            y = convolve(x, kernel, options)
            for letter, array in (("x", x), ("w", kernel), ("y", y)):
                np.save(f"{folder}/{name}.{letter}.npy", array)
            cases.append(
                {
                    "name": name,
                    "input": f"{name}.x.npy",
                    "kernel": f"{name}.w.npy",
                    "saved": {"port": f"{name}.y.npy"},
                    **options,
                }
            )
            x = np.maximum(y, 0)
        Path(f"{folder}/manifest.toml").write_text(text(cases, defaults={"backends": []}))
    found = check(invoke)
    assert (
        found["notes"][0]
        == "the first that diverges is p, convolution 1 of 2: the port's kernel is that of q"
    )


def test_biases_are_told_by_what_they_are(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True)
    random = np.random.default_rng(9)
    biases = {number: random.standard_normal(6).astype(np.float32) for number in (0, 1)}
    for folder in "ab":
        manifest = Path(f"{folder}/manifest.toml").read_text()
        for number in (0, 1):
            y = np.load(f"{folder}/{number}.y.npy")
            bias = biases[number if folder == "a" else 1 - number]
            np.save(f"{folder}/{number}.b.npy", bias)
            np.save(
                f"{folder}/{number}.y.npy", y + (bias if folder == "b" else bias[:, None, None])
            )
            manifest = manifest.replace(
                f'kernel = "{number}.w.npy"', f'kernel = "{number}.w.npy"\nbias = "{number}.b.npy"'
            )
        Path(f"{folder}/manifest.toml").write_text(manifest)
    found = check(invoke)
    said = [row["message"] for case in found["cases"][:2] for row in case["rows"]]
    assert said == ["the port's bias is that of conv1", "the port's bias is that of conv0"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--source", "a"], "--source: found it alone, expected --source FOLDER and --port FOLDER"),
        (["--source", "a", "--port", "b", "m.toml"], "--source a: found m.toml beside it"),
        (["--source", "a", "--port", "none"], "none: found no such file"),
        (["--source", "a", "--port", "b", "--case", "cov1"], "did you mean conv1?"),
        (
            ["--source", "a", "--port", "b", "--require", "torch"],
            "--require: found it beside --source and --port",
        ),
        (
            ["--source", "a", "--port", "b", "--backend", "torch"],
            "--backend: found it beside --source and --port",
        ),
        (
            ["--source", "a", "--port", "b", "--scheduler", "tcp://h:1"],
            "--scheduler: found it beside --source and --port",
        ),
        (
            ["--source", "a", "--port", "b", "--timeout", "5"],
            "--timeout: found it beside --source and --port",
        ),
    ],
)
def test_bad_usage_is_one_line(args: list[str], said: str, invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=False)
    result = invoke("check", *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_fail_fast_stops_at_the_first(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, faults={1: flipped})
    found = check(invoke, "--fail-fast")
    assert [case["name"] for case in found["cases"]] == ["conv0", "conv1"]
    assert found["notes"][0].startswith("the first that diverges is conv1, convolution 2 of 5: ")
    assert found["notes"][1:] == ["3 cases were not run (--fail-fast)"]


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
    assert (
        "the first that diverges is 0, convolution 1 of 4: the padding was 0:1,0:1 "
        "instead of 1" in found["notes"][0]
    )
    assert [case["exit_code"] for case in found["cases"]] == [1, 0, 0, 1]
    assert "paired with" in found["cases"][1]["notes"][0]
