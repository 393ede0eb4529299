"""Captured layers of complex numbers are paired by their kernels and compared by their parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Invoke
from tests.port.captures import CHANNELS_FIRST, CaptureWriter, check_captures, codes


def draw(seed: int, *shape: int) -> Any:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def convolve(x: Any, w: Any) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwrs,ocrs->nohw", windows, w)


def capture(folder: str, *, conjugated: bool = False, real: bool = False) -> None:
    """Two layers; the second has a conjugated kernel, or keeps only the real part."""
    writer = CaptureWriter(folder)
    x = draw(0, 2, 2, 12, 12)
    for number in range(2):
        w = draw(number + 1, 2, 2, 3, 3)
        y = convolve(x, w.conj() if conjugated and number else w)
        y = y.real if real and number else y
        writer.add(f"conv{number}", {"x": x, "w": w, "y": y}, CHANNELS_FIRST)
        x = y
    writer.close()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [({}, []), ({"conjugated": True}, ["kernel-conjugated"]), ({"real": True}, ["part-kept"])],
)
def test_complex_layers(fault: dict[str, bool], expected: list[str], invoke: Invoke) -> None:
    capture("a")
    capture("b", **fault)
    report = check_captures(invoke)
    assert report["exit_code"] == bool(expected)
    assert [codes(case) for case in report["cases"]] == [[], expected]


def test_a_port_of_real_layers_is_told_apart(invoke: Invoke) -> None:
    capture("a")
    writer = CaptureWriter("b")
    x = draw(0, 2, 2, 12, 12).real
    for number in range(2):
        w = draw(number + 1, 2, 2, 3, 3).real
        y = convolve(x, w)
        writer.add(f"conv{number}", {"x": x, "w": w, "y": y}, CHANNELS_FIRST)
        x = y
    writer.close()
    assert check_captures(invoke)["exit_code"] == 1
