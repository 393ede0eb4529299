"""Which layer of the port is which of the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.manifest import load
from convdiff.port.captured_layer import CapturedLayer
from convdiff.port.pairing import pair_layers
from tests.cli.conftest import Invoke
from tests.port.captures import PADDED, CaptureWriter, check_captures, convolve, network

NamedKernels = list[tuple[str, Any]]


def captured_layers(folder: str) -> list[CapturedLayer]:
    return [CapturedLayer(entry) for entry in load(Path(folder)).entries]


def test_rounded_kernels_are_paired(folder: Path) -> None:
    network("a", last=False)
    network("b", last=True, names="x{}", order=[3, 1, 4, 0, 2])
    for number in range(5):
        kernel = np.load(f"b/{number}.w.npy")
        np.save(f"b/{number}.w.npy", kernel.astype(np.float16).astype(np.float32))
    pairing = pair_layers(captured_layers("a"), captured_layers("b"))
    assert [(pair.source.name, pair.port.name, pair.paired_by) for pair in pairing.pairs] == [
        (f"conv{n}", f"x{n}", "rounded kernel") for n in range(5)
    ]
    assert not pairing.missing
    assert not pairing.extra


def test_unrelated_kernels_are_paired_by_order(folder: Path) -> None:
    network("a", last=False)
    network("b", last=False, names="x{}")
    for number in range(5):
        shape = np.load(f"b/{number}.w.npy").shape
        kernel = np.random.default_rng(number).standard_normal(shape).astype(np.float32) * 3
        np.save(f"b/{number}.w.npy", kernel)
    pairing = pair_layers(captured_layers("a"), captured_layers("b"))
    assert [(pair.source.name, pair.port.name, pair.paired_by) for pair in pairing.pairs] == [
        (f"conv{n}", f"x{n}", "order") for n in range(5)
    ]


def layers_of_kernels(folder: str, kernels: NamedKernels) -> list[CapturedLayer]:
    """Layers of which only the kernels matter."""
    writer = CaptureWriter(folder)
    for at, (name, kernel) in enumerate(kernels):
        arrays = {"x": kernel, "w": kernel, "y": kernel}
        writer.add(name, arrays, {"kernel_layout": "OIHW"}, files=str(at))
    writer.close()
    return captured_layers(folder)


A, B, C, D = np.random.default_rng(4).standard_normal((4, 3, 3, 3, 3)).astype(np.float32)
# The source's layers, the port's, and the port's counterpart of each of the source's.
PAIRED: dict[str, tuple[NamedKernels, NamedKernels, list[str]]] = {
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
    "a kernel that occurs twice, in order": (
        [("a", A), ("b", B), ("c", A)],
        [("p", A), ("q", C), ("r", A)],
        ["p", "q", "r"],
    ),
    "a kernel that occurs twice, once missing": (
        [("a", A), ("b", B), ("c", A)],
        [("q", B), ("r", A)],
        ["-", "q", "r"],
    ),
    "names where kernels differ": ([("x", A), ("y", B)], [("y", C), ("x", D)], ["x", "y"]),
}


@pytest.mark.parametrize("name", PAIRED)
def test_the_most_reliable_rule_pairs_first(name: str, folder: Path) -> None:
    source, port, expected = PAIRED[name]
    pairing = pair_layers(layers_of_kernels("a", source), layers_of_kernels("b", port))
    counterparts = {pair.source.name: pair.port.name for pair in pairing.pairs}
    assert [counterparts.get(layer, "-") for layer, _ in source] == expected


def test_exchanged_weights_do_not_exchange_the_layers(invoke: Invoke) -> None:
    """By their kernels the layers would be paired crosswise; their inputs confirm the names."""
    kernels = np.random.default_rng(6).standard_normal((2, 4, 4, 3, 3)).astype(np.float32)
    for folder, order in (("a", kernels), ("b", kernels[::-1])):
        writer = CaptureWriter(folder)
        x = np.random.default_rng(7).standard_normal((1, 4, 7, 8)).astype(np.float32)
        for name, kernel in zip("pq", order, strict=True):
            y = convolve(x, kernel, PADDED)
            writer.add(name, {"x": x, "w": kernel, "y": y}, PADDED)
            x = np.maximum(y, 0)
        writer.close()
    assert check_captures(invoke)["notes"][0] == (
        "the first layer that diverges is p, convolution 1 of 2: the port's kernel is that of q"
    )
