"""Hypotheses about the output whose numbers are read off it: overlapping windows, channels in another order.

The search compares up to those numbers; the proof fits them, on some elements, and tests them on all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from convdiff.case import Edit
from convdiff.compare import Rounding
from convdiff.diagnose.forms import OperationForm, OutputForm
from convdiff.diagnose.problem import Problem
from convdiff.layout import Array
from convdiff.reference import Truth


class OverlapAccumulated:
    """Overlapping windows were added up: positions covered by several windows were counted several times.

    How it shows: obtained / reference is a small whole number that depends on the position only, 1 at the ends.
    Typical causes: += in a hand-written loop whose windows overlap, col2im used as the inverse of im2col.
    Fix: assign (=) instead of adding (+=), or let the windows not overlap.
    """

    code: ClassVar[str] = "overlap-accumulated"

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:
        """Counts unknown: compared up to a whole number per position, fitted by the proof."""
        if base.values == "plain" and max(base.size) > 1:
            yield base.plus({"code": self.code}, 0.2, values="counts")

    def fit(self, rounding: Rounding, obtained: Array, truth: Truth) -> Edit | None:
        """The edit if one whole count per position explains every element."""
        if obtained.shape != truth.output.shape:
            return None
        rank = obtained.ndim - 2
        with np.errstate(invalid="ignore"):
            strength = np.nan_to_num(np.abs(truth.output) / np.maximum(truth.scale.astype(np.float64), 1e-300))
        flat = np.moveaxis(strength.reshape(-1, *truth.output.shape[2:]), 0, -1)
        best = flat.argmax(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = obtained.astype(np.float64) / truth.output
        by_place = np.moveaxis(ratio.reshape(-1, *truth.output.shape[2:]), 0, -1)
        counts = np.take_along_axis(by_place, best[..., None], axis=-1)[..., 0]
        if not np.isfinite(counts).all() or counts.min() < 0.5 or counts.max() > 1e6:
            return None
        counts = np.rint(counts)
        axes = [counts.max(axis=tuple(a for a in range(rank) if a != axis)) for axis in range(rank)]
        separable = axes[0]
        for axis in axes[1:]:
            separable = separable[..., None] * axis
        separable = separable / counts.max() ** (rank - 1)
        if counts.max() < 2 or not np.array_equal(separable, counts) or counts.min() == counts.max():
            return None
        units = rounding.excess(obtained, truth.output * counts, truth.scale * counts)
        if not (units <= rounding.bound).all():
            return None
        peaks = [axis / counts.max() * _peak(counts, number) for number, axis in enumerate(axes)]
        return {"code": self.code, "counts": [[round(float(c)) for c in axis] for axis in peaks]}

    def sentence(self, edit: Edit) -> str:
        counts = "; ".join(" ".join(map(str, axis[:12])) + (" ..." if len(axis) > 12 else "") for axis in edit["counts"])
        return f"overlapping windows were added up, position by position {counts} times"


def _peak(counts: Array, axis: int) -> float:
    """The largest count along one axis alone: the counts are products of one factor per axis, each 1 at its least."""
    others = tuple(counts.shape[a] for a in range(counts.ndim) if a != axis)
    lines = np.moveaxis(counts, axis, 0).reshape(counts.shape[axis], *((-1,) if others else ()))
    if not others:
        return float(counts.max())
    line = lines[:, lines.max(axis=0).argmin()]
    return float(line.max() / line.min())


class OutputChannelsPermuted:
    """The output's channels come in another order.

    How it shows: each channel is another channel of the reference.
    Typical causes: filters sorted or pruned on one side, weights matched by name in another order.
    Fix: bring the kernel's output channels into one order on both sides.
    """

    code: ClassVar[str] = "output-channels-permuted"

    def forms(self, problem: Problem, operation: OperationForm, base: OutputForm) -> Iterator[OutputForm]:
        """The order unknown: compared with every channel, fitted by the proof.  A reversal is the likelier tale where it is one."""
        if base.values == "plain" and base.array.shape[1] > 1 and not base.has("output-channels-reversed"):
            yield base.plus({"code": self.code}, 0.45, values="permuted")

    def fit(self, rounding: Rounding, obtained: Array, truth: Truth) -> Edit | None:
        """The permutation if each obtained channel is some channel of the reference; obtained[:, c] = reference[:, permutation[c]]."""
        if obtained.shape != truth.output.shape or not 1 < obtained.shape[1] <= 4096:
            return None
        by_channel = [np.moveaxis(a, 1, 0).reshape(a.shape[1], -1) for a in (obtained, truth.output, truth.scale)]
        got, expected, scale = (a[:, :: max(1, a.shape[1] // 64)].astype(np.float64) for a in by_channel)
        if expected.shape[1] < 2:
            return None
        order = []
        free = np.ones(len(got), bool)
        for channel in range(len(got)):
            units = rounding.excess(np.broadcast_to(got[channel], expected.shape), expected, scale).max(axis=1)
            matching = np.flatnonzero((units <= rounding.bound) & free)
            if not matching.size:
                return None
            chosen = channel if channel in matching else int(matching[0])
            free[chosen] = False
            order.append(chosen)
        if order == sorted(order):
            return None
        units = rounding.excess(obtained, truth.output[:, order], truth.scale[:, order])
        return {"code": self.code, "permutation": order} if (units <= rounding.bound).all() else None

    def sentence(self, edit: Edit) -> str:
        order = edit["permutation"]
        return f"the output's channels come in the order {', '.join(map(str, order[:8]))}{', ...' if len(order) > 8 else ''}"
