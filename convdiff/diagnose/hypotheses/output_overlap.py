"""The hypothesis that overlapping windows were added up, alone and beside a constant or a factor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.activation_change import RELU
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.output_change import (
    UNCHANGED,
    Fields,
    OpenChange,
    OutputChange,
    PartialSums,
    SumPair,
    Trial,
)
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import OutputHypothesis
from convdiff.diagnose.hypotheses.output_bias import BiasAdded
from convdiff.diagnose.hypotheses.output_scale import USUAL_FACTORS, Scaled
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.records import Edit
from convdiff.spec.layout import Array

# Windows that overlap at one position, at most.
MAX_COUNT = 64
COUNTS = np.arange(1.0, MAX_COUNT + 1)
# How near, relative, a factor that was read off the corners must be to a usual one to be that one.
USUAL_FACTOR_TOLERANCE = 1e-4


class OverlapAccumulated(OutputHypothesis):
    """Overlapping windows were added up: positions in several windows were counted several times.

    How it shows: obtained / reference is a small whole number that depends on the position only,
    and is 1 at the ends. Windows that do not overlap (a stride of at least the kernel's size) show
    nothing.
    Typical causes: += in a loop by hand whose windows overlap; col2im or torch's F.fold used as the
    inverse of im2col or F.unfold, where it is its adjoint; tiles of a large picture added up
    without regard to their overlap; a buffer not cleared between two passes.
    What tells it apart: an input long enough for positions with different counts; a count that is
    the same everywhere is a factor.
    Fix: assign (=) instead of adding (+=), or divide by how often each position was counted:
        numpy: `output[:, :, i:i + h, j:j + w] = tile`, not +=
        torch: `F.fold(F.unfold(x, k), size, k) / F.fold(F.unfold(torch.ones_like(x), k), size, k)`
            gives x back
        tensorflow: `tf.tensor_scatter_nd_update` assigns, `tf.tensor_scatter_nd_add` adds
        jax: `output.at[:, :, i:i + h, j:j + w].set(tile)`, not .add(tile)
        theano: `theano.tensor.set_subtensor(output[i], tile)`, not inc_subtensor
    """

    code: ClassVar[str] = "overlap-accumulated"
    shown_by: ClassVar[str] = "random values at every position"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """One unknown count per position, of sums or of what ReLU made of them."""
        if base.change in (UNCHANGED, RELU) and max(base.size) > 1:
            relu = base.change == RELU
            yield base.plus({"code": self.code}, 0.2, change=Counted(), relu_before=relu)

    def sentence(self, edit: Edit) -> str:
        counts = "; ".join(
            " ".join(map(str, axis[:12])) + (" ..." if len(axis) > 12 else "")
            for axis in edit["counts"]
        )
        return f"overlapping windows were added up, position by position {counts} times"


@dataclass(frozen=True)
class Counted(OpenChange):
    """Each position was multiplied by a small whole number, the same for all channels and items."""

    stored_again: ClassVar[bool] = True

    def possible_sums(self, obtained: Array) -> Array:
        return np.asarray(obtained[:, None] / COUNTS)

    def relates(self, pair: SumPair) -> Array:
        zero = pair.sums == 0
        count = np.where(zero, 1, pair.obtained / np.where(zero, 1, pair.sums))
        count = np.clip(np.rint(count), 1, MAX_COUNT)
        error = np.abs(count * pair.sums - pair.obtained)
        return np.asarray((error <= count * pair.slack + pair.written).all(axis=0))

    def verify(self, trial: Trial) -> Fields | None:
        counts = overlap_counts(trial.twice_stored, trial.obtained, trial.sums)
        return None if counts is None else {OverlapAccumulated.code: {"counts": counts}}

    def partial_sums(self, values: Array) -> PartialSums:
        return PartialSums(values, counted=True, as_obtained=False)


@dataclass(frozen=True)
class CountedWithConstants(OutputChange):
    """Counts per position beside an unknown constant per channel.

    Corners lie in one window each, so that their differences from the sums are the constants.
    """

    def verify(self, trial: Trial) -> Fields | None:
        obtained, sums = corners(trial.obtained), corners(trial.sums.output)
        rows = np.moveaxis(obtained - sums, 1, 0).reshape(obtained.shape[1], -1)
        constants = np.median(rows, axis=1)
        values = constants.reshape(1, -1, *(1,) * (obtained.ndim - 2))
        shifted = Reference(trial.sums.output, trial.sums.scale + np.abs(values))
        counts = overlap_counts(trial.twice_stored, trial.obtained - values, shifted)
        if counts is None:
            return None
        return {
            OverlapAccumulated.code: {"counts": counts},
            BiasAdded.code: {"values": constants.tolist()},
        }


@dataclass(frozen=True)
class CountedWithFactor(OutputChange):
    """Counts per position beside one unknown factor, which is read off the corners."""

    def verify(self, trial: Trial) -> Fields | None:
        factor = factor_between(corners(trial.obtained), corners(trial.sums.output))
        near = USUAL_FACTOR_TOLERANCE * abs(factor)
        factor = next((usual for usual in USUAL_FACTORS if abs(usual - factor) <= near), factor)
        if not factor:
            return None
        counts = overlap_counts(trial.twice_stored, trial.obtained / factor, trial.sums)
        if counts is None:
            return None
        return {OverlapAccumulated.code: {"counts": counts}, Scaled.code: {"factor": factor}}


def corners(array: Array) -> Array:
    """The corners of an array (N, C, *space), float64."""
    ends = (slice(None, None, max(size - 1, 1)) for size in array.shape[2:])
    return np.asarray(array[(slice(None), slice(None), *ends)], np.float64)


def factor_between(obtained: Array, sums: Array) -> float:
    """The one factor that brings the sums nearest to the obtained values, by least squares."""
    norm = float(np.vdot(sums, sums))
    return float(np.vdot(obtained, sums)) / norm if norm else 0.0


def overlap_counts(rounding: Rounding, obtained: Array, sums: Reference) -> list[list[int]] | None:
    """How often each position was counted, per spatial axis, if that explains every element.

    Counts are whole, differ between positions, and are a product of one count per axis, as those of
    overlapping windows are.
    """
    if obtained.shape != sums.output.shape:
        return None
    counts, known = _count_by_position(obtained, sums)
    if not known.any() or counts[known].min() < 1 or not 2 <= counts.max() <= 1e6:
        return None
    if counts[known].min() == counts.max():
        return None
    rank = obtained.ndim - 2
    axes = [counts.max(axis=tuple(a for a in range(rank) if a != axis)) for axis in range(rank)]
    if any(_is_single_peak(axis) for axis in axes):
        return None
    product = axes[0]
    for axis in axes[1:]:
        product = product[..., None] * axis
    product = np.where(product == 0, 1, product / counts.max() ** (rank - 1))
    if not np.array_equal(product[known], counts[known]):
        return None
    if not rounding.explains_all(obtained, sums.output * product, sums.scale * product):
        return None
    per_axis = [
        axis / counts.max() * _largest_count(counts, number) for number, axis in enumerate(axes)
    ]
    return [[max(round(float(count)), 1) for count in axis] for axis in per_axis]


def _count_by_position(obtained: Array, sums: Reference) -> tuple[Array, Array]:
    """The count at each position, (*space), and where it is known.

    It is read off the item and channel whose sum cancels least.  Where every sum is zero, as
    between the elements of a strided transposed convolution, any count is right.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.maximum(sums.scale.astype(np.float64), 1e-300)
        strength = np.nan_to_num(np.abs(sums.output) / scale)
        ratio = obtained.astype(np.float64) / sums.output
    ratio, strength = (np.moveaxis(a.reshape(-1, *a.shape[2:]), 0, -1) for a in (ratio, strength))
    strongest = strength.argmax(axis=-1)[..., None]
    counts = np.take_along_axis(ratio, strongest, axis=-1)[..., 0]
    known = np.take_along_axis(strength, strongest, axis=-1)[..., 0] > 0
    known &= np.isfinite(counts)
    return np.where(known, np.rint(np.where(known, counts, 0)), 0), known


def _is_single_peak(counts: Array) -> bool:
    """Whether one position alone, not the middle one, was counted more: no windows overlap so."""
    more = np.flatnonzero(counts > counts[counts > 0].min(initial=np.inf))
    return len(more) == 1 and len(counts) > 1 and not np.array_equal(counts, counts[::-1])


def _largest_count(counts: Array, axis: int) -> float:
    """The largest count along one axis alone.

    `counts` are products of one count per axis, each 1 at its least; 0 is not known.
    """
    lines = np.moveaxis(counts, axis, 0).reshape(counts.shape[axis], -1)
    if lines.shape[1] == 1:
        return float(counts.max())
    known = np.where(lines > 0, lines, np.nan)
    with np.errstate(all="ignore"):
        peaks = np.nan_to_num(known, nan=-np.inf).max(axis=0)
        lowest = np.nanargmin(np.where(np.isnan(known).all(axis=0), np.inf, peaks))
        line = known[:, lowest]
    return float(np.nanmax(line) / np.nanmin(line))
