"""The hypothesis of accumulated overlaps, alone and beside constants or a factor."""

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
    FittedChange,
    OpenChange,
    PartialSums,
    SumPair,
    WholeOutput,
)
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import OutputHypothesis
from convdiff.diagnose.hypotheses.output_bias import BiasAdded
from convdiff.diagnose.hypotheses.output_scale import (
    USUAL_FACTORS,
    Scaled,
    least_squares_factor,
)
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.records import Edit
from convdiff.spec.layout import Array

# The most windows that overlap at one position, in the search; and in a proof, along all axes.
MAX_COUNT = 64
MAX_PROVEN_COUNT = 1e6
COUNTS = np.arange(1.0, MAX_COUNT + 1)
# The relative difference up to which the factor of the corners is taken for a usual one.
USUAL_FACTOR_TOLERANCE = 1e-4
# Numbers of an axis that a sentence shows.
MAX_SHOWN_COUNTS = 12


class OverlapAccumulated(OutputHypothesis):
    """Overlapping windows were added up, so some positions count several times.

    How it shows: The ratio of obtained to expected values is a small whole number, which depends on
    the position only and is 1 at the ends. If the windows do not overlap, because the stride is at
    least the kernel's size, nothing shows.
    Typical causes: += in a hand-written loop whose windows overlap; col2im or torch's F.fold taken
    for the inverse of im2col or F.unfold, of which it is the adjoint; tiles of a large image added
    up without regard to their overlap; a buffer not cleared between two passes.
    What tells it apart: An input long enough for positions with different counts. A count that is
    the same everywhere is a factor.
    Fix: Assign (=) instead of adding (+=), or divide by how often each position was counted:
        numpy: `output[:, :, i:i + h, j:j + w] = tile`, not +=
        torch: `F.fold(F.unfold(x, k), size, k) / F.fold(F.unfold(torch.ones_like(x), k), size, k)`
            gives x back
        tensorflow: `tf.tensor_scatter_nd_update` assigns, `tf.tensor_scatter_nd_add` adds
        jax: `output.at[:, :, i:i + h, j:j + w].set(tile)`, not .add(tile)
        theano: `theano.tensor.set_subtensor(output[i], tile)`, not inc_subtensor
    """

    code: ClassVar[str] = "overlap-accumulated"
    changes_bias: ClassVar[bool] = True
    shown_by: ClassVar[str] = "random values at every position"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """An unknown count for each position, with or without ReLU before it."""
        if base.change in (UNCHANGED, RELU) and max(base.size) > 1:
            relu = base.change == RELU
            yield base.plus({"code": self.code}, 0.2, change=UnknownCounts(), relu_before=relu)

    def sentence(self, edit: Edit) -> str:
        counts = "; ".join(map(_counts_text, edit["counts"]))
        along = " along each axis" if len(edit["counts"]) > 1 else ""
        return f"overlapping windows were added up (counts per position{along}: {counts})"


def _counts_text(counts: list[int]) -> str:
    """The first `MAX_SHOWN_COUNTS` counts as text, followed by "..." if there are more."""
    shown = " ".join(map(str, counts[:MAX_SHOWN_COUNTS]))
    return shown + (" ..." if len(counts) > MAX_SHOWN_COUNTS else "")


@dataclass(frozen=True)
class UnknownCounts(OpenChange):
    """Each position was multiplied by a small whole number, for all channels and items alike."""

    stored_again: ClassVar[bool] = True

    def possible_sums(self, obtained: Array) -> Array:
        return np.asarray(obtained[:, None] / COUNTS)

    def relates(self, pair: SumPair) -> Array:
        is_zero = pair.sums == 0
        count = np.where(is_zero, 1, pair.obtained / np.where(is_zero, 1, pair.sums))
        count = np.clip(np.rint(count), 1, MAX_COUNT)
        error = np.abs(count * pair.sums - pair.obtained)
        return np.asarray((error <= count * pair.slack + pair.storage_error).all(axis=0))

    def verify(self, whole: WholeOutput) -> Fields | None:
        counts = overlap_counts(whole.twice_stored, whole.obtained, whole.sums)
        return None if counts is None else {OverlapAccumulated.code: {"counts": counts}}

    def partial_sums(self, values: Array) -> PartialSums:
        return PartialSums(values, counted=True, as_obtained=False)


@dataclass(frozen=True)
class UnknownCountsWithConstants(FittedChange):
    """Each position was multiplied by a count, and each channel shifted by an unknown constant.

    The constants are the differences at the corners, each of which lies in a single window.
    """

    def verify(self, whole: WholeOutput) -> Fields | None:
        obtained, sums = corners(whole.obtained), corners(whole.sums.output)
        rows = np.moveaxis(obtained - sums, 1, 0).reshape(obtained.shape[1], -1)
        constants = np.median(rows, axis=1)
        shift = constants.reshape(1, -1, *(1,) * (obtained.ndim - 2))
        # What is left has the rounding errors of values as large as the constants.
        shifted = Reference(whole.sums.output, whole.sums.scale + np.abs(shift))
        counts = overlap_counts(whole.twice_stored, whole.obtained - shift, shifted)
        if counts is None:
            return None
        return {
            OverlapAccumulated.code: {"counts": counts},
            BiasAdded.code: {"values": constants.tolist()},
        }


@dataclass(frozen=True)
class UnknownCountsWithFactor(FittedChange):
    """Each position was multiplied by a count, and everything by an unknown factor.

    The factor is that of the corners, each of which lies in a single window.
    """

    def verify(self, whole: WholeOutput) -> Fields | None:
        factor = least_squares_factor(corners(whole.obtained), corners(whole.sums.output))
        tolerance = USUAL_FACTOR_TOLERANCE * abs(factor)
        is_near = (usual for usual in USUAL_FACTORS if abs(usual - factor) <= tolerance)
        factor = next(is_near, factor)
        if not factor:
            return None
        counts = overlap_counts(whole.twice_stored, whole.obtained / factor, whole.sums)
        if counts is None:
            return None
        return {OverlapAccumulated.code: {"counts": counts}, Scaled.code: {"factor": factor}}


def corners(array: Array) -> Array:
    """The corners of an array (N, C, *space): (N, C, 2 or 1 per axis), float64."""
    ends = (slice(None, None, max(size - 1, 1)) for size in array.shape[2:])
    return np.asarray(array[(slice(None), slice(None), *ends)], np.float64)


def overlap_counts(rounding: Rounding, obtained: Array, sums: Reference) -> list[list[int]] | None:
    """How often each position was counted, per spatial axis, if that explains every element.

    The counts must be those of overlapping windows: whole numbers that differ between positions and
    are the product of one count per axis.  `obtained` and the arrays of `sums` are (N, O, *space).
    """
    if obtained.shape != sums.output.shape:
        return None
    counts, known = _count_by_position(obtained, sums)
    if not known.any() or counts[known].min() < 1 or not 2 <= counts.max() <= MAX_PROVEN_COUNT:
        return None
    if counts[known].min() == counts.max():
        return None
    rank = counts.ndim
    axis_maxima = [
        counts.max(axis=tuple(other for other in range(rank) if other != axis))
        for axis in range(rank)
    ]
    if any(_is_single_peak(axis_counts) for axis_counts in axis_maxima):
        return None
    product = axis_maxima[0]
    for axis_counts in axis_maxima[1:]:
        product = product[..., None] * axis_counts
    # Each maximum has the largest counts of the other axes as a factor.
    product = np.where(product == 0, 1, product / counts.max() ** (rank - 1))
    if not np.array_equal(product[known], counts[known]):
        return None
    if not rounding.explains_all(obtained, sums.output * product, sums.scale * product):
        return None
    per_axis = [
        axis_counts / counts.max() * _largest_count(counts, axis)
        for axis, axis_counts in enumerate(axis_maxima)
    ]
    return [[max(round(float(count)), 1) for count in axis_counts] for axis_counts in per_axis]


def _count_by_position(obtained: Array, sums: Reference) -> tuple[Array, Array]:
    """The count at each position, and whether it is known: (*space) each.

    The count is the ratio at the item and channel whose sum cancels least.  It is unknown if all
    sums of a position are zero, as between the elements of a strided transposed convolution, where
    any count fits.
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
    """Whether a single position that is not the middle one has a larger count than all others.

    Overlapping windows give no such counts (positions,).
    """
    larger = np.flatnonzero(counts > counts[counts > 0].min(initial=np.inf))
    return len(larger) == 1 and len(counts) > 1 and not np.array_equal(counts, counts[::-1])


def _largest_count(counts: Array, axis: int) -> float:
    """The largest count of one axis, given the products of one count per axis, (*space).

    The smallest count of each axis is 1.  A product of 0 is an unknown one.
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
