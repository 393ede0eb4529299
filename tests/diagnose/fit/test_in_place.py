"""Loops that wrote into the array that they read, replayed, and what looks like them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from convdiff.api import Result, diff

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (15, 18)).astype(np.float64)
BLUR = np.outer([1, 2, 1], [1, 2, 1]) / 16
KERNEL = RNG.standard_normal((3, 3)) / 3


def loop(
    x: Any,
    kernel: Any,
    order: tuple[int, ...] = (0, 1),
    backward: tuple[int, ...] = (),
    bias: float = 0,
) -> Any:
    """The loop over the inner elements of `x`, which it overwrites."""
    x = x.copy()
    half = [k // 2 for k in kernel.shape]
    places = [range(h, n - h) for h, n in zip(half, x.shape, strict=True)]
    places = [place[::-1] if axis in backward else place for axis, place in enumerate(places)]
    for at in itertools.product(*(places[axis] for axis in order)):
        center = [at[order.index(axis)] for axis in range(x.ndim)]
        window = tuple(slice(c - h, c + h + 1) for c, h in zip(center, half, strict=True))
        x[tuple(center)] = (x[window] * kernel).sum() + bias
    return x


def padded_loop(x: Any, kernel: Any, **options: Any) -> Any:
    """The loop over all elements, in a copy with zeros around it."""
    inside = tuple(slice(k // 2, k // 2 + n) for k, n in zip(kernel.shape, x.shape, strict=True))
    return loop(np.pad(x, [(k // 2, k // 2) for k in kernel.shape]), kernel, **options)[inside]


def found(result: Result) -> dict[str, Any]:
    assert result.findings, result.row.message
    return {edit["code"]: edit for edit in result.findings[0].edits}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("backward", [(), (0,), (1,), (0, 1)])
def test_every_direction_of_the_loop(order: tuple[int, ...], backward: tuple[int, ...]) -> None:
    y = padded_loop(PICTURE, KERNEL, order=order, backward=backward)
    edits = found(diff(PICTURE, KERNEL, y, padding="same"))
    assert set(edits) == {"updated-in-place"}
    assert edits["updated-in-place"]["order"] == ["HW"[axis] for axis in order]
    assert set(edits["updated-in-place"]["backward"]) == {"HW"[axis] for axis in backward}


def test_a_border_that_the_loop_leaves_holds_the_input() -> None:
    result = diff(PICTURE, BLUR, loop(PICTURE, BLUR), padding="same")
    edits = found(result)
    assert set(edits) == {"updated-in-place", "not-computed"}
    assert edits["not-computed"]["width"] == [[1, 1], [1, 1]]
    assert edits["not-computed"]["left"] == "input"
    assert "written into the input while it was read, in a loop along H and W" in (
        result.findings[0].summary
    )


def test_a_border_that_was_cropped_afterwards() -> None:
    y = loop(PICTURE, BLUR)[1:-1, 1:-1]
    assert set(found(diff(PICTURE, BLUR, y, padding=0))) == {"updated-in-place"}


def test_a_picture_of_whole_numbers() -> None:
    x = PICTURE.astype(np.uint8)
    edits = found(diff(x, BLUR, loop(x, BLUR), padding="same"))
    assert set(edits) == {"updated-in-place", "not-computed", "stored-as-integer"}
    assert edits["stored-as-integer"]["rounding"] == "toward-zero"


@pytest.mark.parametrize("kernel", [(3,), (5,), (4,)])
def test_a_signal(kernel: tuple[int, ...]) -> None:
    x, k = RNG.standard_normal(40), RNG.standard_normal(kernel) / 2
    half = kernel[0] // 2
    z = np.pad(x, (half, kernel[0] - 1 - half))
    for at in range(len(x)):
        z[at + half] = z[at : at + len(k)] @ k
    y = z[half : half + len(x)]
    edits = found(diff(x, k, y, padding=[[half, kernel[0] - 1 - half]]))
    assert set(edits) == {"updated-in-place"}


@pytest.mark.parametrize("flipped", [(0, 1), (0,), (1,)])
def test_beside_a_flip(flipped: tuple[int, ...]) -> None:
    y = padded_loop(PICTURE, np.flip(KERNEL, flipped), order=(1, 0), backward=(1,))
    edits = found(diff(PICTURE, KERNEL, y, padding="same"))
    assert set(edits) == {"updated-in-place", "kernel-flipped"}
    assert edits["kernel-flipped"]["axes"] == ["HW"[axis] for axis in flipped]
    assert edits["updated-in-place"]["order"] == ["W", "H"]
    assert edits["updated-in-place"]["backward"] == ["W"]


def test_beside_a_missing_bias_and_where_a_flip_was_asked() -> None:
    y = padded_loop(PICTURE, KERNEL)
    assert set(found(diff(PICTURE, KERNEL, y, padding="same", bias=[3.0]))) == {
        "updated-in-place",
        "bias-missing",
    }
    edits = found(diff(PICTURE, KERNEL, y, padding="same", flip=True))
    assert set(edits) == {"updated-in-place", "kernel-not-flipped"}


def test_rows_written_at_once() -> None:
    z = np.pad(PICTURE, 1)
    for row in range(15):
        taps = itertools.product(range(3), range(3))
        z[row + 1, 1:-1] = sum(KERNEL[i, j] * z[row + i, j : j + 18] for i, j in taps)
    edits = found(diff(PICTURE, KERNEL, z[1:-1, 1:-1], padding="same"))
    assert edits["updated-in-place"]["order"] == ["H"]


@pytest.mark.parametrize("order", [["C", "H", "W"], ["H", "W", "C"], ["H", "W"]])
def test_several_channels_that_mix(order: list[str]) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 3, 8, 9)).astype(np.float32)
    w = (rng.standard_normal((3, 3, 3, 3)) / 5).astype(np.float32)
    z = np.pad(x[0], [(0, 0), (1, 1), (1, 1)]).astype(np.float64)
    pixels = list(itertools.product(range(8), range(9)))
    if order == ["H", "W"]:
        for i, j in pixels:
            z[:, i + 1, j + 1] = (z[:, i : i + 3, j : j + 3] * w).sum(axis=(1, 2, 3))
    else:
        channels_first = order[0] == "C"
        places = [(o, p) for o in range(3) for p in pixels]
        for o, (i, j) in places if channels_first else sorted(places, key=lambda place: place[1]):
            z[o, i + 1, j + 1] = (z[:, i : i + 3, j : j + 3] * w[o]).sum()
    y = z[None, :, 1:-1, 1:-1].astype(np.float32)
    edits = found(diff(x, w, y, padding=1))
    assert edits["updated-in-place"]["order"] == order


def test_a_kernel_that_reads_only_what_is_still_the_input_changes_nothing() -> None:
    kernel = np.array([[0, 0, 0], [0, 0.5, 0.2], [0.1, 0.1, 0.1]])
    assert diff(PICTURE, kernel, padded_loop(PICTURE, kernel), padding="same").agrees


def test_what_is_no_update_in_place() -> None:
    rng = np.random.default_rng(2)
    once = convolved(PICTURE)
    twice = convolved(once)
    noisy = padded_loop(PICTURE, KERNEL)
    noisy[:, 9:] += rng.standard_normal(noisy[:, 9:].shape)
    for y in (twice, noisy, rng.standard_normal(PICTURE.shape)):
        result = diff(PICTURE, KERNEL, y, padding="same")
        codes = {edit["code"] for finding in result.findings for edit in finding.edits}
        assert "updated-in-place" not in codes


def convolved(x: Any) -> Any:
    """The convolution of `x` with `KERNEL`, padded with zeros."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, 1), (3, 3))
    return (windows * KERNEL).sum(axis=(2, 3))
