"""A port checked end to end: which layer diverges first, and what becomes of the later ones."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Invoke
from tests.port.captures import (
    Fault,
    check_captures,
    codes,
    exit_codes,
    flipped,
    network,
    notes,
    same_padding,
)
from tests.recorder.conftest import need, run_code


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("names", ["conv{}", "layers_{}/kernel"])
def test_a_faithful_port_agrees(names: str, last: bool, invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=last, names=names, order=None if names == "conv{}" else [4, 2, 0, 1, 3])
    report = check_captures(invoke)
    assert report["exit_code"] == 0
    assert [case["name"] for case in report["cases"]] == [f"conv{n}" for n in range(5)]
    assert report["notes"] == []


@pytest.mark.parametrize(
    ("fault", "code", "at"), [(flipped, "kernel-flipped", 1), (same_padding, "wrong-padding", 3)]
)
def test_the_first_faulty_layer_is_named_and_later_ones_are_correct(
    fault: Fault, code: str, at: int, invoke: Invoke
) -> None:
    network("a", last=False)
    network("b", last=True, faults={at: fault}, names="block/{}")
    report = check_captures(invoke)
    cases = report["cases"]
    assert report["exit_code"] == 1
    beginning = f"the first layer that diverges is conv{at}, convolution {at + 1} of 5: "
    assert report["notes"][0].startswith(beginning)
    assert [codes(case) for case in cases] == [
        [code] if number == at else [] for number in range(5)
    ]
    assert "the layer itself is wrong: its input agrees with the source's" in notes(cases[at])
    assert all(
        ("correct, but its input already differs" in notes(case)) == (number > at)
        for number, case in enumerate(cases)
    )
    assert cases[at]["command"] == f"convdiff check --source a --port b --case conv{at}"
    again = check_captures(invoke, "--case", f"conv{at}")
    assert [codes(case) for case in again["cases"]] == [[code]]


def test_a_second_fault_after_the_first_is_found_too(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, faults={1: flipped, 4: flipped})
    report = check_captures(invoke)
    assert exit_codes(report) == [0, 1, 0, 0, 1]
    assert "wrong, and its input already differs" in notes(report["cases"][4])


def test_a_fault_between_two_convolutions_is_placed_between_them(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, after={2: lambda y: y * 2})
    report = check_captures(invoke)
    assert report["exit_code"] == 1, "no convolution is wrong, but the port is"
    assert exit_codes(report) == [0, 0, 0, 1, 0]
    assert not codes(report["cases"][3])
    assert report["notes"][0] == (
        "the first layer that diverges is conv3, convolution 4 of 5: its input already differs "
        "(by 100%: it is the source's × 2), so look after conv2, which is correct; the layer "
        "itself is correct"
    )
    table = invoke("check", "--source", "a", "--port", "b").stdout
    assert "each convolution agrees on its own, but the inputs differ" in table


def test_a_layer_without_a_counterpart_is_named_and_fails(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=False, order=[0, 1, 3, 4])
    report = check_captures(invoke)
    assert report["notes"] == ["conv2 of the source has no counterpart in the port"]
    assert report["exit_code"] == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--source", "a"], "--source: found it alone, expected --source FOLDER and --port FOLDER"),
        (
            ["--source", "a", "--port", "b", "m.toml"],
            "--source a: found the manifest m.toml as well",
        ),
        (["--source", "a", "--port", "none"], "none: found no such file"),
        (["--source", "a", "--port", "b", "--case", "cov1"], "did you mean conv1?"),
        (
            ["--source", "a", "--port", "b", "--require", "torch"],
            "--require: found it together with --source and --port",
        ),
        (
            ["--source", "a", "--port", "b", "--backend", "torch"],
            "--backend: found it together with --source and --port",
        ),
        (
            ["--source", "a", "--port", "b", "--scheduler", "tcp://h:1"],
            "--scheduler: found it together with --source and --port",
        ),
        (
            ["--source", "a", "--port", "b", "--timeout", "5"],
            "--timeout: found it together with --source and --port",
        ),
    ],
)
def test_bad_usage_is_one_line(args: list[str], message: str, invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=False)
    result = invoke("check", *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_fail_fast_stops_at_the_first_failure(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, faults={1: flipped})
    report = check_captures(invoke, "--fail-fast")
    assert [case["name"] for case in report["cases"]] == ["conv0", "conv1"]
    beginning = "the first layer that diverges is conv1, convolution 2 of 5: "
    assert report["notes"][0].startswith(beginning)
    assert report["notes"][1:] == ["3 cases were not run (--fail-fast)"]


def failures(junit: str) -> list[str | None]:
    cases = ElementTree.parse(junit).iter("testcase")
    return [case.get("name") for case in cases if case.find("failure") is not None]


def test_a_differing_input_fails_in_every_report(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=True, after={1: lambda y: y * 2})
    report = check_captures(invoke, "--junit", "r.xml")
    assert [case["fed"]["same"] for case in report["cases"]] == [True, True, False, False, False]
    assert report["cases"][2]["fed"]["apart"] == pytest.approx(1, rel=1e-3)
    assert exit_codes(report) == [0, 0, 1, 0, 0]
    assert failures("r.xml") == ["conv2"]
    commands = invoke("check", "--source", "a", "--port", "b", "--format", "github").stdout
    errors = [line for line in commands.splitlines() if "::error" in line]
    assert len(errors) == 1
    assert "file=a/manifest.toml,line=" in errors[0]
    assert "its input already differs" in errors[0]
    assert "input differs" in invoke("check", "--source", "a", "--port", "b").stdout


def test_a_missing_layer_fails_in_every_report(invoke: Invoke) -> None:
    network("a", last=False)
    network("b", last=False, order=[0, 1, 3, 4])
    report = check_captures(invoke, "--junit", "r.xml")
    assert exit_codes(report) == [0, 0, 0, 0, 1]
    assert failures("r.xml") == ["conv2"]
    table = invoke("check", "--source", "a", "--port", "b").stdout
    assert "4 of 5 cases agree; 1 without a counterpart" in table
    assert "not what they are fed" not in table


TORCH_AND_KERAS = """
import os, numpy as np, torch, torch.nn as nn, keras, convdiff
from keras import layers as L
torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(),
    nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8),
    nn.Conv2d(8, 12, 1), nn.ReLU(),
    nn.ConvTranspose2d(12, 6, 3, 2, 1),
).eval()
x = torch.randn(2, 3, 16, 18)
with convdiff.capture(net, "a"), torch.no_grad():
    net(x)
weights = [net[at].weight.detach().numpy() for at in (0, 2, 4, 6)]
biases = [net[at].bias.detach().numpy() for at in (0, 2, 4, 6)]
port = keras.Sequential([
    L.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
    L.DepthwiseConv2D(3, padding="same"), L.BatchNormalization(epsilon=1e-5),
    L.Conv2D(12, 1, activation="relu"),
    L.Conv2DTranspose(6, 3, strides=2, padding="same"),
])
port.build((None, 16, 18, 3))
for at, (layer, w) in enumerate(zip([port.layers[i] for i in (0, 1, 3, 4)], weights)):
    order = (2, 3, 0, 1) if at == 1 else (2, 3, 1, 0)
    layer.set_weights([w.transpose(order), biases[at]])
with convdiff.capture(port, "b"):
    port(x.numpy().transpose(0, 2, 3, 1))
"""


def test_torch_and_keras_themselves(invoke: Invoke, folder: Path) -> None:
    """Keras' "same" with a stride is not torch's padding, and a transposed output is one longer."""
    need("torch", "torch")
    need("keras", "tensorflow")
    done = run_code(TORCH_AND_KERAS, folder)
    assert done.returncode == 0, done.stderr[-2000:]
    report = check_captures(invoke)
    beginning = "the first layer that diverges is 0, convolution 1 of 4: the padding was 0:1,0:1"
    assert report["notes"][0].startswith(beginning)
    assert exit_codes(report) == [1, 0, 0, 1]
    assert "paired with" in report["cases"][1]["notes"][0]
