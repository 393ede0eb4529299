"""The kinds of unknown numbers of a scaled and shifted input or kernel, and what they change.

Each kind says what the sums are linear in (`linear_unknowns.Unknowns`), which output channels share
its numbers (`block`), and makes the candidate in which the input or the kernel is scaled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.fit.linear_unknowns import Terms
from convdiff.diagnose.hypotheses.output_scale import Scaled
from convdiff.diagnose.hypotheses.scaled_operands import InputScaled, KernelScaled
from convdiff.diagnose.search.candidate import Candidate
from convdiff.records import Edit
from convdiff.spec.layout import Array

# How odd a scaled input and a scaled kernel are.
INPUT_ODDNESS, KERNEL_ODDNESS = 0.4, 0.5
# How odd one factor is on the sums but not on the bias.
SCALED_SUMS_ODDNESS = 0.35
# By how much, relative, factors must differ for them not to be a single one.
MIN_FACTOR_DIFFERENCE = 1e-4


def _sum_taps(array: Array, keep: int | None = None) -> Array:
    """(batch, rows, I, *taps) summed over all axes of the kernel but one: (batch, rows, numbers).

    Axis 0 is I, the others are the taps'.
    """
    others = tuple(axis for axis in range(2, array.ndim) if axis - 2 != keep)
    total = array.sum(axis=others)
    return np.asarray(total[..., None] if keep is None else total)


@dataclass(frozen=True)
class InputNumbers:
    """A factor and an offset of the input: one each, or one of each channel.

    Without `factors` they are 1; without `offsets` they are 0.
    """

    each_channel: bool
    factors: bool = True
    offsets: bool = True

    @property
    def block(self) -> str:
        """Which output channels share the numbers: "all", or those of a "group"."""
        return "group" if self.each_channel else "all"

    def numbers(self, inner: int) -> int:
        """How many numbers a block has, of `inner` input channels per group."""
        return (inner if self.each_channel else 1) * (self.factors + self.offsets)

    def columns(self, terms: Terms) -> Array:
        keep = 0 if self.each_channel else None
        parts = []
        if self.factors:
            parts.append(_sum_taps(terms.products * terms.inside, keep))
        if self.offsets:
            parts.append(_sum_taps(terms.inside * terms.kernel, keep))
        return np.concatenate(parts, axis=-1)

    def known_part(self, terms: Terms) -> Array:
        # The padding keeps the number that it holds.
        known = terms.products * (1 - terms.inside) if self.factors else terms.products
        return np.asarray(_sum_taps(known)[..., 0])

    def tells_offsets(self, terms: Terms) -> bool:
        """Whether offsets, if there are any, are no constants that a bias may be.

        Where no window reaches the padding, an offset is a constant of each output channel.  Beside
        a factor for each input channel it is still told, if there are more output channels.
        """
        if not self.offsets or not terms.inside.all():
            return True
        if not (self.each_channel and self.factors):
            return False
        offsets = _sum_taps(terms.inside * terms.kernel, 0)
        return all(len(np.unique(rows, axis=0)) > rows.shape[1] for rows in offsets)

    def families(self, numbers: Array) -> tuple[Array, Array]:
        """Factors and offsets, of each channel or one for all."""
        blocks = len(numbers)
        parts = numbers.reshape(blocks, self.factors + self.offsets, -1)
        ones = np.ones((1, 1))
        factors = parts[:, 0] if self.factors else ones
        offsets = parts[:, -1] if self.offsets else 0 * ones
        return factors.reshape(-1), offsets.reshape(-1)

    def joined(self, factors: Array, offsets: Array, blocks: int) -> Array:
        """The inverse of `families`."""
        used = [factors] * self.factors + [offsets] * self.offsets
        return np.stack([each.reshape(blocks, -1) for each in used], axis=1).reshape(blocks, -1)

    def applied(self, base: Candidate, factors: Array, offsets: Array) -> Candidate | None:
        """The candidate with its input scaled; its kernel where that is the usual reading."""
        spec, rank = base.operation.spec, base.operation.spec.rank
        is_one = np.ptp(factors) <= MIN_FACTOR_DIFFERENCE * np.abs(factors).max()
        is_padded = any(axis.lo > 0 or axis.hi > 0 for axis in base.geometry.axes)
        if is_one and not (offsets.any() and (is_padded or spec.transposed)):
            return self._with_one_factor(base, float(factors[0])) if not offsets.any() else None
        told = _told(factors), _told(offsets)
        if not offsets.any() and spec.groups == 1 and (spec.transposed or spec.in_channels > 4):
            return KernelNumbers(0).applied(base, factors, offsets)
        edit: Edit = {"code": InputScaled.code, "factors": told[0], "offsets": told[1]}
        x = base.input.array.to_array().astype(np.float64)
        wide = (each.reshape(1, -1, *(1,) * rank) for each in (factors, offsets))
        factor, offset = wide
        form = base.input.plus(edit, INPUT_ODDNESS, array=ArrayView.of(x * factor + offset))
        return replace(base, input=form, cost=base.cost + 1 + INPUT_ODDNESS)

    def _with_one_factor(self, base: Candidate, factor: float) -> Candidate | None:
        """One factor on all sums, where another edit kept it from being found alone."""
        if not base.edits or abs(factor - 1) <= MIN_FACTOR_DIFFERENCE:
            return None
        edit: Edit = {"code": Scaled.code, "factor": factor, "of": "sums"}
        x = base.input.array.to_array().astype(np.float64)
        form = base.input.plus(edit, SCALED_SUMS_ODDNESS, array=ArrayView.of(x * factor))
        return replace(base, input=form, cost=base.cost + 1 + SCALED_SUMS_ODDNESS)


@dataclass(frozen=True)
class KernelNumbers:
    """A factor for each index along an axis of the kernel (I, *space), 0 being I."""

    axis: int
    block: str = "all"

    def numbers(self, inner: int) -> int:
        """At most."""
        return inner

    def columns(self, terms: Terms) -> Array:
        return _sum_taps(terms.products, self.axis)

    def known_part(self, terms: Terms) -> Array:
        return np.zeros(np.broadcast_shapes(terms.windows.shape, terms.kernel.shape)[:2])

    def families(self, numbers: Array) -> tuple[Array, Array]:
        return numbers.reshape(-1), np.zeros(1)

    def joined(self, factors: Array, offsets: Array, blocks: int) -> Array:
        return factors.reshape(blocks, -1)

    def applied(self, base: Candidate, factors: Array, offsets: Array) -> Candidate | None:
        """The candidate with its kernel scaled."""
        spec = base.operation.spec
        if np.ptp(factors) <= MIN_FACTOR_DIFFERENCE * np.abs(factors).max():
            return None
        w = base.kernel.array.to_array().astype(np.float64)
        shape = [1] * w.ndim
        shape[1 + self.axis] = -1
        reversed_space = self.axis > 0 and spec.flip != spec.transposed
        told = factors[::-1] if reversed_space else factors
        letter = "I" + spec.axes
        edit: Edit = {
            "code": KernelScaled.code,
            "axis": letter[self.axis],
            "factors": told.tolist(),
        }
        array = ArrayView.of(w * factors.reshape(shape))
        form = base.kernel.plus(edit, KERNEL_ODDNESS, array=array)
        return replace(base, kernel=form, cost=base.cost + 1 + KERNEL_ODDNESS)


@dataclass(frozen=True)
class ShiftedKernel:
    """One factor and one offset for all weights of an output channel: weight standardization."""

    block: str = "channel"

    def numbers(self, inner: int) -> int:
        return 2

    def columns(self, terms: Terms) -> Array:
        windows = np.broadcast_to(terms.windows, terms.products.shape)
        return np.concatenate([_sum_taps(terms.products), _sum_taps(windows)], axis=-1)

    def known_part(self, terms: Terms) -> Array:
        return np.zeros(np.broadcast_shapes(terms.windows.shape, terms.kernel.shape)[:2])

    def families(self, numbers: Array) -> tuple[Array, Array]:
        return numbers[:, 0], numbers[:, 1]

    def joined(self, factors: Array, offsets: Array, blocks: int) -> Array:
        wide = np.broadcast_to(factors, (blocks,)), np.broadcast_to(offsets, (blocks,))
        return np.stack(wide, axis=1)

    def applied(self, base: Candidate, factors: Array, offsets: Array) -> Candidate | None:
        if not offsets.any():
            return None
        w = base.kernel.array.to_array().astype(np.float64)
        wide = (each.reshape(-1, *(1,) * (w.ndim - 1)) for each in (factors, offsets))
        factor, offset = wide
        told = _told(factors), _told(offsets)
        edit: Edit = {
            "code": KernelScaled.code,
            "axis": "O",
            "factors": told[0],
            "offsets": told[1],
        }
        form = base.kernel.plus(edit, KERNEL_ODDNESS, array=ArrayView.of(w * factor + offset))
        return replace(base, kernel=form, cost=base.cost + 1 + KERNEL_ODDNESS)


Kind = InputNumbers | KernelNumbers | ShiftedKernel


def _told(numbers: Array) -> float | list[float]:
    """One number if all are equal, else the list."""
    values: list[float] = numbers.tolist()
    return values[0] if len(set(values)) == 1 else values
