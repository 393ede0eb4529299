"""Hypotheses about the output whose numbers are read off it: overlapping windows, channels in
another order.

The search compares up to those numbers; the proof fits them, on some elements, and tests them on
all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

import numpy as np

from convdiff.diagnose.core.forms import OperationForm, OutputForm
from convdiff.diagnose.core.problem import Problem
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.records import Edit
from convdiff.spec.layout import Array


class Fit(Protocol):
    """A hypothesis about the output whose numbers are read off it."""

    def fit(self, rounding: Rounding, obtained: Array, reference: Reference) -> Edit | None:
        """The edit with its numbers, if with them every element is explained."""
        ...


class OverlapAccumulated:
    """Overlapping windows were added up: positions covered by several windows were counted several
    times.

    How it shows: obtained / reference is a small whole number that depends on the position only, 1
    at the ends. Windows that do not overlap (stride at least the kernel's size) show nothing.
    Typical causes: += in a loop by hand whose windows overlap; col2im or torch's F.fold used as the
    inverse of im2col or F.unfold, where it is its adjoint; tiles of a large picture added up
    without their overlap; a buffer not cleared between two passes.
    What tells it apart: an input long enough for positions with different counts; at a constant
    count it is a factor.
    Fix: assign (=) instead of adding (+=), or divide by how often each position was counted:
        numpy: `output[:, :, i:i + h, j:j + w] = tile`, not +=
        torch: `F.fold(F.unfold(x, k), size, k) / F.fold(F.unfold(torch.ones_like(x), k), size, k)` gives x back
        tensorflow: `tf.tensor_scatter_nd_update` assigns, `tf.tensor_scatter_nd_add` adds
        jax: `output.at[:, :, i:i + h, j:j + w].set(tile)`, not .add(tile)
        theano: `theano.tensor.set_subtensor(output[i], tile)`, not inc_subtensor
    """

    code: ClassVar[str] = "overlap-accumulated"

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """Counts unknown: compared up to a whole number per position, fitted by the proof.  Of
        sums, or of what ReLU made of them.
        """
        if base.values in ("plain", "relu") and max(base.size) > 1:
            yield base.plus(
                {"code": self.code}, 0.2, values="counts", rectified=base.values == "relu"
            )

    def fit(self, rounding: Rounding, obtained: Array, reference: Reference) -> Edit | None:
        """The edit if one whole count per position explains every element."""
        if obtained.shape != reference.output.shape:
            return None
        rank = obtained.ndim - 2
        with np.errstate(divide="ignore", invalid="ignore"):
            strength = np.nan_to_num(
                np.abs(reference.output) / np.maximum(reference.scale.astype(np.float64), 1e-300)
            )
            ratio = obtained.astype(np.float64) / reference.output
        by_place, strength = (
            np.moveaxis(a.reshape(-1, *a.shape[2:]), 0, -1) for a in (ratio, strength)
        )
        best = strength.argmax(axis=-1)[..., None]
        counts = np.take_along_axis(by_place, best, axis=-1)[..., 0]
        # Where every value is zero, as between the elements of a strided transposed convolution,
        # any count is right.
        known = (np.take_along_axis(strength, best, axis=-1)[..., 0] > 0) & np.isfinite(counts)
        counts = np.where(known, np.rint(np.where(known, counts, 0)), 0)
        if (
            not known.any()
            or counts[known].min() < 1
            or not 2 <= counts.max() <= 1e6
            or counts[known].min() == counts.max()
        ):
            return None
        axes = [counts.max(axis=tuple(a for a in range(rank) if a != axis)) for axis in range(rank)]
        if any(_lonely(axis) for axis in axes):
            return None
        separable = axes[0]
        for axis in axes[1:]:
            separable = separable[..., None] * axis
        separable = np.where(separable == 0, 1, separable / counts.max() ** (rank - 1))
        if not np.array_equal(separable[known], counts[known]):
            return None
        if not rounding.explains_all(
            obtained, reference.output * separable, reference.scale * separable
        ):
            return None
        peaks = [axis / counts.max() * _peak(counts, number) for number, axis in enumerate(axes)]
        return {
            "code": self.code,
            "counts": [[max(round(float(c)), 1) for c in axis] for axis in peaks],
        }

    def sentence(self, edit: Edit) -> str:
        counts = "; ".join(
            " ".join(map(str, axis[:12])) + (" ..." if len(axis) > 12 else "")
            for axis in edit["counts"]
        )
        return f"overlapping windows were added up, position by position {counts} times"


def _lonely(counts: Array) -> bool:
    """Whether one position alone was counted more often, and not the one in the middle: no windows
    overlap so.
    """
    more = np.flatnonzero(counts > counts[counts > 0].min(initial=np.inf))
    return len(more) == 1 and len(counts) > 1 and not np.array_equal(counts, counts[::-1])


def _peak(counts: Array, axis: int) -> float:
    """The largest count along one axis alone: the counts are products of one factor per axis, each
    1 at its least; 0 is not known.
    """
    lines = np.moveaxis(counts, axis, 0).reshape(counts.shape[axis], -1)
    if lines.shape[1] == 1:
        return float(counts.max())
    known = np.where(lines > 0, lines, np.nan)
    with np.errstate(all="ignore"):
        line = known[
            :,
            np.nanargmin(
                np.where(
                    np.isnan(known).all(axis=0),
                    np.inf,
                    np.nan_to_num(known, nan=-np.inf).max(axis=0),
                )
            ),
        ]
    return float(np.nanmax(line) / np.nanmin(line))


class OutputChannelsPermuted:
    """The output's channels come in another order.

    How it shows: each channel is another channel of the reference, and right there. One channel
    shows nothing, nor do filters that are alike.
    Typical causes: filters sorted or pruned on one side; weights matched by name in another order;
    branches concatenated in another order (torch.cat, tf.concat); a channel shuffle; shards of a
    layer gathered in another order.
    What tells it apart: filters that differ and a bias with distinct values, which a kernel in
    another order would leave in place.
    Fix: bring the kernel's output channels, and the bias with them, into one order on both sides:
        numpy: `kernel[permutation]` for OIHW makes the reference's channels come as obtained
        torch: `output[:, torch.argsort(torch.tensor(permutation))]` undoes it
        tensorflow: `tf.gather(output, tf.argsort(permutation), axis=-1)` undoes it in NHWC
        jax: `jnp.take(output, jnp.argsort(jnp.array(permutation)), axis=1)` undoes it in NCHW
    """

    code: ClassVar[str] = "output-channels-permuted"

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """The order unknown: compared with every channel, fitted by the proof.  A reversal is the
        likelier tale where it is one.
        """
        if (
            base.values in ("plain", "relu")
            and base.array.shape[1] > 1
            and not base.has("output-channels-reversed")
        ):
            yield base.plus(
                {"code": self.code}, 0.45, values="channels", rectified=base.values == "relu"
            )

    def fit(self, rounding: Rounding, obtained: Array, reference: Reference) -> Edit | None:
        """The permutation if each obtained channel is some channel of the reference; obtained[:, c]
        = reference[:, permutation[c]].
        """
        order = order_along(1, rounding, obtained, reference)
        return None if order is None else {"code": self.code, "permutation": order}

    def sentence(self, edit: Edit) -> str:
        order = edit["permutation"]
        return (
            "the output's channels come in the order "
            f"{', '.join(map(str, order[:8]))}{', ...' if len(order) > 8 else ''}"
        )


class OutputBatchPermuted:
    """The output's batch items come in another order.

    How it shows: each item of the output is another item's, and right there. A batch of one shows
    nothing, nor do items that are alike.
    Typical causes: a data loader that shuffles, files listed in another order (glob does not sort),
    outputs gathered from several workers or devices as they came.
    What tells it apart: nothing, for the input's items in the same order give the same array; items
    that differ tell it from all else.
    Fix: save both sides' arrays from one batch, or put them into one order:
        numpy: `output[np.argsort(permutation)]`
        torch: `torch.utils.data.DataLoader(dataset, shuffle=False)`
        tensorflow: `tf.data.Dataset.list_files(pattern, shuffle=False)`; without shuffle=False its order is random
        jax: `jnp.take(output, jnp.argsort(jnp.array(permutation)), axis=0)`
    """

    code: ClassVar[str] = "output-batch-permuted"

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """The order unknown: compared with every item, fitted by the proof; of two items there is
        only one other order.
        """
        items = base.array.shape[0]
        if items == 2 and not base.has(self.code):
            yield base.plus(
                {"code": self.code, "permutation": [1, 0]}, 0.35, array=base.array.flipped([0])
            )
        if items > 2 and base.values == "plain":
            yield base.plus({"code": self.code}, 0.35, values="items")

    def fit(self, rounding: Rounding, obtained: Array, reference: Reference) -> Edit | None:
        """The permutation if each obtained item is some item of the reference; obtained[i] =
        reference[permutation[i]].
        """
        order = order_along(0, rounding, obtained, reference)
        return None if order is None else {"code": self.code, "permutation": order}

    def sentence(self, edit: Edit) -> str:
        return "the output's batch items came in another order"


def order_along(
    axis: int, rounding: Rounding, obtained: Array, reference: Reference
) -> list[int] | None:
    """The order along an axis in which every obtained element agrees with the reference, if there
    is one other than the natural.
    """
    if obtained.shape != reference.output.shape or not 1 < obtained.shape[axis] <= 4096:
        return None
    lines = [
        np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1)
        for a in (obtained, reference.output, reference.scale)
    ]
    # Elements that sums of many terms make; between the inputs of a strided transposed convolution
    # there are zeros.
    telling = np.flatnonzero(lines[2].any(axis=0))
    telling = telling[:: max(1, len(telling) // 64)]
    if not telling.size:
        return None
    got, expected, scale = (a[:, telling].astype(np.float64) for a in lines)
    order = []
    free = np.ones(len(got), bool)
    for line in range(len(got)):
        units = rounding.excess_units(
            np.broadcast_to(got[line], expected.shape), expected, scale
        ).max(axis=1)
        matching = np.flatnonzero((units <= rounding.bound_units) & free)
        if not matching.size:
            return None
        chosen = line if line in matching else int(matching[0])
        free[chosen] = False
        order.append(chosen)
    if order == sorted(order):
        return None
    return (
        order
        if rounding.explains_all(
            obtained, reference.output.take(order, axis), reference.scale.take(order, axis)
        )
        else None
    )
