"""What was said is checked, what is no convolution is told as what it is, and what cannot be told
is not claimed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convdiff.errors import ConvdiffError
from convdiff.probe.words import options, properties
from tests.cli.conftest import Invoke, folder, invoke  # noqa: F401
from tests.probe.conftest import Ask

PORT = """
import numpy as np

def windows(x, k, s=1):
    return np.lib.stride_tricks.sliding_window_view(x, k, (2, 3))[:, :, ::s, ::s]

def conv(x, w, s=1):
    return np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], s), w)

def padded(x, w, mode="constant", **how):
    return conv(np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), mode=mode, **how), w)

def plain(x, w): return conv(x, w)
def biased(x, w, b): return conv(x, w) + b[:, None, None]
def own_bias(x, w): return conv(x, w) + 2.5
def halved(x, w): return conv(x, w) / 2
def relu(x, w): return np.maximum(conv(x, w), 0)
def leaky(x, w):
    y = conv(x, w)
    return np.where(y < 0, 0.125 * y, y)
def tanh(x, w): return np.tanh(conv(x, w))
def rounds(x, w): return np.round(conv(x, w))
def ignoring(x, w): return conv(x, np.arange(6.0 * x.shape[1] * 9).reshape(6, x.shape[1], 3, 3))
def normalised(x, w): return conv(x, w / np.abs(w).sum() if w.any() else w)
def fives(x, w): return padded(x, w, constant_values=5)
def edges(x, w): return padded(x, w, "edge")
def three(x, w):
    if w.shape[2:] != (3, 3): raise ValueError("kernels of 3x3 only")
    return conv(x, w)
def interleaved(x, w):
    y = np.empty((x.shape[0], w.shape[0], x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1))
    for g in range(2): y[:, g::2] = conv(x[:, g::2], w[g::2])
    return y
def random(x, w): return conv(x, w) + np.random.standard_normal()
def one_size(x, w):
    if x.shape != (1, 1, 8, 8): raise ValueError("images of 8x8 only")
    return conv(x, w)
def broken(x, w): return undefined(x)
def unbatched(x, w): return conv(x[None], w)[0]
def cuda_convnet(x, w): return conv(x.transpose(3, 0, 1, 2), w.transpose(3, 0, 1, 2)).transpose(1, 2, 3, 0)
def half_type(x, w): return conv(x, w).astype(np.float16)
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("port") / "port.py"
    file.write_text(PORT)
    return file


def told(outcome: Any) -> dict[str, str]:
    return {name: value for name, value, _ in properties(outcome.found)}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("biased", {"bias": "yes", "kernel layout": "OIHW"}),
        ("own_bias", {"bias": "its own"}),
        ("halved", {"scale": "0.5", "linear": "yes"}),
        ("relu", {"linear": "no", "padding": "0", "bias": "none"}),
        ("leaky", {"linear": "no"}),
        ("edges", {"pad mode": "edge", "padding": "2"}),
        ("three", {"kernel layout": "OIHW"}),
        ("unbatched", {"input layout": "CHW", "output layout": "CHW"}),
        (
            "cuda_convnet",
            {"input layout": "CHWN", "kernel layout": "IHWO", "output layout": "CHWN"},
        ),
        ("half_type", {"precision": "TF32 or float16"}),
    ],
)
def test_identified(name: str, known: dict[str, str], ask: Ask, port: Path) -> None:
    outcome = ask("numpy", f"{port}:{name}")
    assert outcome.found is not None, (outcome.why, outcome.known)
    assert outcome.exit_code == 0
    assert known.items() <= told(outcome).items()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ignoring", "it does not depend on the kernel"),
        ("tanh", "it is not linear in the input: stays between -1 and 1 (sigmoid, tanh?)"),
        ("rounds", "whole numbers come out as from a convolution, fractions do not"),
        (
            "normalised",
            "it is not linear in the kernel: twice as much gives the same (normalised?)",
        ),
        ("interleaved", ""),
        ("random", "asked again it answers differently"),
    ],
)
def test_not_identified(name: str, why: str, ask: Ask, port: Path) -> None:
    outcome = ask("numpy", f"{port}:{name}")
    assert outcome.found is None and outcome.exit_code == 2
    assert outcome.why.startswith(why), outcome.why


def test_what_is_known_is_told(ask: Ask, port: Path) -> None:
    known = ask("numpy", f"{port}:fives").known
    assert known["an input of zeros"].endswith("padded with something other than 0?")
    assert ask("numpy", f"{port}:random").known["deterministic"].startswith("no")


def test_what_holds_in_one_size_is_not_said_of_others(ask: Ask, port: Path) -> None:
    found = ask("numpy", f"{port}:three").found
    assert found is not None and any("kernels of other sizes" in note for note in found.notes)
    outcome = ask("numpy", f"{port}:one_size", input_shape="1,1,8,8", kernel_shape="1,1,3,3")
    assert outcome.found is not None and "asked in one shape only" in outcome.found.notes[0]
    assert outcome.found.roles.supposed == {"N", "C", "I", "O"}


def test_a_kernel_of_one_element_shows_no_flip(ask: Ask, port: Path) -> None:
    outcome = ask("numpy", f"{port}:plain", input_shape="2,4,9,8", kernel_shape="5,4,1,1")
    assert outcome.found is not None
    assert told(outcome)["flip"] == told(outcome)["dilation"] == "not told"
    assert not any("flip" in word for word in options(outcome.found))


def test_code_that_cannot_run(ask: Ask, port: Path) -> None:
    for code, message in (
        (f"{port}:broken", "NameError: name 'undefined'"),
        ("input +", "SyntaxError"),
        (f"{port}:none", "no function"),
    ):
        with pytest.raises(ConvdiffError, match=message):
            ask("numpy", code)
    with pytest.raises(ConvdiffError, match=r"none of the shapes .* images of 8x8 only"):
        ask("numpy", f"{port}:one_size")


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"padding": 0, "input_layout": "NCHW", "stride": "1,1", "flip": False, "groups": 1}, {}),
        ({"padding": "valid"}, {}),
        ({"padding": 1}, {"--padding": "0"}),
        ({"padding": "same", "stride": 2}, {"--padding": "0", "--stride": "1"}),
        ({"flip": True}, {"--flip": "not flipped"}),
        ({"input_layout": "NHWC"}, {"--input-layout": "NCHW"}),
        (
            {"kernel_layout": "HWIO", "input_layout": "NHWC"},
            {"--input-layout": "NCHW", "--kernel-layout": "OIHW"},
        ),
        ({"transposed": True}, {"--transposed": "direct"}),
        ({"groups": 2}, {"--groups": "1"}),
        ({"as_": "torch"}, {}),
        ({"as_": "tensorflow"}, {"--as": "input NCHW, kernel OIHW"}),
        ({"as_": "theano"}, {"--flip": "not flipped"}),
    ],
)
def test_what_was_said_is_checked(
    said: dict[str, Any], wrong: dict[str, str], ask: Ask, port: Path
) -> None:
    outcome = ask("numpy", f"{port}:plain", **said)
    assert {one.option: one.found for one in outcome.differences} == wrong
    assert outcome.exit_code == (1 if wrong else 0)


def test_a_saying_that_agrees_is_preferred(ask: Ask) -> None:
    outcome = ask("numpy", "np.convolve(input, kernel)", transposed=True, kernel_layout="W")
    assert outcome.exit_code == 0 and outcome.found is not None and outcome.found.spec.transposed


def test_the_command(invoke: Invoke, port: Path) -> None:  # noqa: F811
    result = invoke("probe", f"numpy={port}:padded", "--padding", "2", "--format", "json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["probe"]["found"]["padding"] == [[2, 2], [2, 2]] and report["probe"][
        "agreeing"
    ] == ["--padding 2"]
    result = invoke("probe", f"numpy={port}:padded", "--padding", "1")
    assert result.exit_code == 1
    assert "✗ --padding 1 was said: it is 2" in result.stdout
    assert "cross-correlation" in result.stdout and "convdiff run INPUT KERNEL" in result.stdout
    assert invoke("probe", f"numpy={port}:tanh").exit_code == 2
    for text, message in (
        ("numpy", "a backend's name"),
        ("nump=input", "did you mean numpy"),
        ("numpy=nonsense(input)", "NameError"),
    ):
        result = invoke("probe", text)
        assert result.exit_code == 2 and message in result.stderr, result.stderr
    assert "--padding" in invoke("probe", "numpy=input", "--padding", "sme").stderr
