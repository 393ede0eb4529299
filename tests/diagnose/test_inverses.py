"""Edits compose and invert: what one side did to the other, undone, is what the other did to it; of
two, undoing one leaves the other.
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
from tests.diagnose.naive import Array, Geometry, convolve

Edit = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """A convolution as one side runs it: an input, a kernel (equal sizes where an exchange is to
    fit), numbers, and what comes after.
    """

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
        made = self.factor * convolve(self.x, self.w, g)
        return (made[:, ::-1] if self.reversed_output else made).astype(np.float32)

    def asked(self) -> dict[str, Any]:
        numbers = {
            "stride": self.stride,
            "dilation": self.dilation,
            "padding": [[self.lo, self.hi]] * 2,
        }
        return {**numbers, "input_layout": "NCHW", "kernel_layout": "OIHW"}


def geometry(name: str, value: int) -> tuple[Callable[[Side], Side], Callable[[Side, Side], Edit]]:
    return (
        lambda side: replace(side, **{name: value}),
        lambda a, b: {
            "code": f"wrong-{name}",
            "asked": [getattr(a, name)] * 2,
            "obtained": [getattr(b, name)] * 2,
        },
    )


# What is done to a side, and the edit that leads from one side to the other.
CHANGES: dict[str, tuple[Callable[[Side], Side], Callable[[Side, Side], Edit]]] = {
    "kernel-flipped": (
        lambda side: replace(side, w=side.w[:, :, ::-1, ::-1]),
        lambda a, b: {"code": "kernel-flipped", "axes": ["H", "W"]},
    ),
    "kernel-axes-permuted": (
        lambda side: replace(side, w=side.w.swapaxes(0, 1)),
        lambda a, b: {"code": "kernel-axes-permuted", "asked": "OIHW", "obtained": "IOHW"},
    ),
    "input-channels-reversed": (
        lambda side: replace(side, x=side.x[:, ::-1]),
        lambda a, b: {"code": "input-channels-reversed"},
    ),
    "input-reversed": (
        lambda side: replace(side, x=side.x[..., ::-1]),
        lambda a, b: {"code": "input-reversed", "axes": ["W"]},
    ),
    "wrong-stride": geometry("stride", 2),
    "wrong-dilation": geometry("dilation", 2),
    "wrong-padding": (
        lambda side: replace(side, lo=2, hi=0),
        lambda a, b: {
            "code": "wrong-padding",
            "asked": [[a.lo, a.hi]] * 2,
            "obtained": [[b.lo, b.hi]] * 2,
        },
    ),
    "output-channels-reversed": (
        lambda side: replace(side, reversed_output=not side.reversed_output),
        lambda a, b: {"code": "output-channels-reversed"},
    ),
}
# One of each pair changes the arrays before the convolution, the other its numbers or its output:
# they keep out of each other's way.
BEFORE = ["kernel-flipped", "kernel-axes-permuted", "input-channels-reversed", "input-reversed"]
AFTER = ["wrong-stride", "wrong-dilation", "wrong-padding", "output-channels-reversed"]


def drawn(seed: int) -> Side:
    rng = np.random.default_rng(seed)
    return Side(
        rng.standard_normal((2, 4, 9, 8)).astype(np.float32),
        rng.standard_normal((4, 4, 3, 3)).astype(np.float32),
    )


def told(asked: Side, obtained: Side) -> list[tuple[Edit, ...]]:
    """What is told of `obtained`'s output where `asked`'s arrays and numbers were asked."""
    finding = convdiff.diff(asked.x, asked.w, obtained.output(), **asked.asked()).findings[0]
    return [
        tuple(sorted(edits, key=lambda edit: edit["code"]))
        for edits in (finding.edits, *finding.rivals)
    ]


@pytest.mark.parametrize("name", [*BEFORE, *AFTER])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_an_edit_undone_is_its_inverse(name: str, seed: int) -> None:
    change, edit = CHANGES[name]
    one = drawn(seed)
    other = change(one)
    # The output stands on neither side's arrays: a change of it is asked for as any other side's.
    if name != "output-channels-reversed":
        assert (edit(other, one),) in told(other, one)
    assert (edit(one, other),) in told(one, other)


@given(seed=st.integers(0, 2**32 - 1), first=st.sampled_from(BEFORE), second=st.sampled_from(AFTER))
@settings(max_examples=40, deadline=None)
def test_of_two_edits_undoing_one_leaves_the_other(seed: int, first: str, second: str) -> None:
    (before, one), (after, other) = CHANGES[first], CHANGES[second]
    asked = drawn(seed)
    both = after(before(asked))
    assert both.output().tobytes() == before(after(asked)).output().tobytes()
    edits = one(asked, both), other(asked, both)
    assert tuple(sorted(edits, key=lambda edit: edit["code"])) in told(asked, both)
    assert (other(asked, both),) in told(before(asked), both)


@given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([2.0, 0.5, -1.0, 1 / 255, 3.7]))
@settings(max_examples=15, deadline=None)
def test_a_factor_undone_is_its_reciprocal(seed: int, factor: float) -> None:
    one = drawn(seed)
    there = (
        convdiff.diff(one.x, one.w, replace(one, factor=factor).output(), **one.asked())
        .findings[0]
        .edits[0]
    )
    assert there["factor"] == pytest.approx(factor, rel=1e-6)
    back = (
        convdiff.diff(one.x, one.w * np.float32(factor), one.output(), **one.asked())
        .findings[0]
        .edits[0]
    )
    assert back["factor"] == pytest.approx(1 / factor, rel=1e-6)
