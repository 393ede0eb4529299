"""Edits have inverses and compose: with the sides exchanged the inverse edit is found.

If two edits were made and one of them is asked for, the other is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convdiff
from convdiff.records import Edit
from tests.diagnose.naive import Array, Geometry, convolve


@dataclass(frozen=True)
class Side:
    """One side of a comparison: its arrays, its geometry, and what it does to the output."""

    x: Array
    w: Array
    stride: int = 1
    dilation: int = 1
    lo: int = 1
    hi: int = 1
    factor: float = 1.0
    reversed_output: bool = False

    def output(self) -> Array:
        g = Geometry((self.stride,) * 2, ((self.lo, self.hi),) * 2, (self.dilation,) * 2)
        output = self.factor * convolve(self.x, self.w, g)
        return (output[:, ::-1] if self.reversed_output else output).astype(np.float32)

    def options(self) -> dict[str, Any]:
        numbers = {
            "stride": self.stride,
            "dilation": self.dilation,
            "padding": [[self.lo, self.hi]] * 2,
        }
        return {**numbers, "input_layout": "NCHW", "kernel_layout": "OIHW"}


# A change to a side, and the edit that is expected if the first side is asked for and the second
# side's output is obtained.
Change = tuple[Callable[[Side], Side], Callable[[Side, Side], Edit]]


def geometry_change(name: str, value: int) -> Change:
    return (
        lambda side: replace(side, **{name: value}),
        lambda asked, obtained: {
            "code": f"wrong-{name}",
            "asked": [getattr(asked, name)] * 2,
            "obtained": [getattr(obtained, name)] * 2,
        },
    )


CHANGES: dict[str, Change] = {
    "kernel-flipped": (
        lambda side: replace(side, w=side.w[:, :, ::-1, ::-1]),
        lambda asked, obtained: {"code": "kernel-flipped", "axes": ["H", "W"]},
    ),
    "kernel-axes-permuted": (
        lambda side: replace(side, w=side.w.swapaxes(0, 1)),
        lambda asked, obtained: {
            "code": "kernel-axes-permuted",
            "asked": "OIHW",
            "obtained": "IOHW",
        },
    ),
    "input-channels-reversed": (
        lambda side: replace(side, x=side.x[:, ::-1]),
        lambda asked, obtained: {"code": "input-channels-reversed"},
    ),
    "input-reversed": (
        lambda side: replace(side, x=side.x[..., ::-1]),
        lambda asked, obtained: {"code": "input-reversed", "axes": ["W"]},
    ),
    "wrong-stride": geometry_change("stride", 2),
    "wrong-dilation": geometry_change("dilation", 2),
    "wrong-padding": (
        lambda side: replace(side, lo=2, hi=0),
        lambda asked, obtained: {
            "code": "wrong-padding",
            "asked": [[asked.lo, asked.hi]] * 2,
            "obtained": [[obtained.lo, obtained.hi]] * 2,
        },
    ),
    "output-channels-reversed": (
        lambda side: replace(side, reversed_output=not side.reversed_output),
        lambda asked, obtained: {"code": "output-channels-reversed"},
    ),
}
# Changes of the arrays, and changes of the geometry or the output: one of each commute.
BEFORE = ["kernel-flipped", "kernel-axes-permuted", "input-channels-reversed", "input-reversed"]
AFTER = ["wrong-stride", "wrong-dilation", "wrong-padding", "output-channels-reversed"]


def random_side(seed: int) -> Side:
    """A side whose input and kernel have equal channel counts, so that exchanged axes fit."""
    rng = np.random.default_rng(seed)
    return Side(
        rng.standard_normal((2, 4, 9, 8)).astype(np.float32),
        rng.standard_normal((4, 4, 3, 3)).astype(np.float32),
    )


def explanations(asked: Side, obtained: Side) -> list[tuple[Edit, ...]]:
    """The finding and its rivals for `obtained`'s output where `asked` was asked for."""
    result = convdiff.diff(asked.x, asked.w, obtained.output(), **asked.options())
    first = result.findings[0]
    return [sorted_by_code(edits) for edits in (first.edits, *first.rivals)]


def sorted_by_code(edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    return tuple(sorted(edits, key=lambda edit: edit["code"]))


@pytest.mark.parametrize("name", [*BEFORE, *AFTER])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_exchanging_the_sides_inverts_the_edit(name: str, seed: int) -> None:
    change, edit = CHANGES[name]
    side = random_side(seed)
    changed = change(side)
    assert (edit(side, changed),) in explanations(side, changed)
    # No option asks for a reversed output, so that one cannot be the side that is asked for.
    if name != "output-channels-reversed":
        assert (edit(changed, side),) in explanations(changed, side)


@given(seed=st.integers(0, 2**32 - 1), first=st.sampled_from(BEFORE), second=st.sampled_from(AFTER))
@settings(max_examples=40, deadline=None)
def test_asking_for_one_of_two_edits_leaves_the_other(seed: int, first: str, second: str) -> None:
    (change_first, first_edit), (change_second, second_edit) = CHANGES[first], CHANGES[second]
    asked = random_side(seed)
    both = change_second(change_first(asked))
    assert both.output().tobytes() == change_first(change_second(asked)).output().tobytes()
    edits = sorted_by_code((first_edit(asked, both), second_edit(asked, both)))
    assert edits in explanations(asked, both)
    assert (second_edit(asked, both),) in explanations(change_first(asked), both)


@given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([2.0, 0.5, -1.0, 1 / 255, 3.7]))
@settings(max_examples=15, deadline=None)
def test_exchanging_the_sides_inverts_a_factor(seed: int, factor: float) -> None:
    side = random_side(seed)
    scaled_output = replace(side, factor=factor)
    ((edit,), *_) = explanations(side, scaled_output)
    assert edit["factor"] == pytest.approx(factor, rel=1e-6)
    scaled_kernel = replace(side, w=side.w * np.float32(factor))
    ((edit,), *_) = explanations(scaled_kernel, side)
    assert edit["factor"] == pytest.approx(1 / factor, rel=1e-6)
