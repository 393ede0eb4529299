"""A padding that held other numbers than asked: one for all input channels, or one for each.

What such a padding adds to a sum is linear in the numbers: each is multiplied by the weights of the
taps that fall on the padding, which depend on the position alone.  The numbers are therefore read
off the elements whose windows reach the padding, and tested on all elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from convdiff.diagnose.core.fitted_numbers import shortest_between
from convdiff.diagnose.core.output_change import Fields, FittedChange, OutputChange, WholeOutput
from convdiff.numerics.reference import Reference
from convdiff.spec.conv_spec import Correlation
from convdiff.spec.layout import Array
from convdiff.spec.pad_mode import pad_modes_of_axes
from convdiff.spec.pad_value import PadValue, values_of_channels

# The edit whose numbers are read off.
CODE = "wrong-pad-value"
# Bits that the elements must hold beyond those of the numbers, beside other edits and without.
MIN_EVIDENCE_BITS, MIN_EVIDENCE_BITS_ALONE = 40, 27
# Bits of a number's sign and decimal point, and of each of its digits.
SIGN_AND_POINT_BITS, DIGIT_BITS = 4, 3.32
# Numbers of a table of weights, and input channels with a number each, beyond which none is fitted.
MAX_TABLE_SIZE, MAX_CHANNELS = 1 << 24, 128
# Equations from which the numbers of the channels are fitted, for each number.
MAX_EQUATIONS_PER_NUMBER = 16
# Decimals to which the numbers of the channels are rounded, where that explains them as well.
MAX_DECIMALS = 9
# Decimals of numbers that are short: numbers fitted to something else hardly ever are.
SHORT_DECIMALS = 4


class PaddingWeights(NamedTuple):
    """The weights that fall on the padding, for each kind of position.

    Positions along an axis are of one kind if the same taps lie inside the input.  `table` is
    (O, I per group, kinds along each axis): the sum of the weights on the padding; `magnitudes` is
    that of their magnitudes.  `kinds` has, for each axis, the kind of each output position.
    """

    table: Array
    magnitudes: Array
    kinds: tuple[Array, ...]

    @classmethod
    def of(
        cls,
        kernel: Array,
        geometry: Correlation,
        input_size: tuple[int, ...],
        size: tuple[int, ...],
    ) -> PaddingWeights | None:
        """Those of a kernel in normal form; None if there are too many kinds of positions."""
        inside, kinds = [], []
        modes = pad_modes_of_axes(geometry.pad_mode, len(size))
        for n, k, m, stride, (lo, _), dilation, input_dilation, mode in zip(
            input_size, kernel.shape[2:], size, *geometry[:4], modes, strict=True
        ):
            read = np.arange(m)[:, None] * stride - lo + np.arange(k) * dilation
            # Padding in another mode than constant repeats the input, and holds no numbers.
            within = (mode != "constant") | ((read >= 0) & (read <= (n - 1) * input_dilation))
            patterns, kind = np.unique(within, axis=0, return_inverse=True)
            inside.append(patterns.astype(np.float64))
            kinds.append(kind.reshape(-1))
        outer = kernel.shape[0] * kernel.shape[1]
        if outer * np.prod([max(each.shape) for each in inside], dtype=float) > MAX_TABLE_SIZE:
            return None
        weights = kernel.astype(np.float64)
        return cls(_on_padding(weights, inside), _on_padding(np.abs(weights), inside), (*kinds,))

    def at_positions(self, by_kind: Array) -> Array:
        """(O, kinds along each axis) as (O, *space)."""
        index: tuple[Any, ...] = (slice(None), *np.ix_(*self.kinds))
        return np.asarray(by_kind[index])

    def added(self, numbers: Array, groups: int) -> Reference:
        """What a padding that holds `numbers`, (C,), adds to each sum, as (1, O, *space)."""
        outputs, inner = self.table.shape[:2]
        each = np.repeat(numbers.reshape(groups, inner), outputs // groups, axis=0)
        return Reference(
            *(
                self.at_positions(np.einsum("oi...,oi->o...", table, factors))[None]
                for table, factors in ((self.table, each), (self.magnitudes, np.abs(each)))
            )
        )

    @property
    def interior(self) -> tuple[slice, ...] | None:
        """The box of positions whose windows do not reach the padding, if there are any."""
        reached = self.at_positions(self.magnitudes.sum(axis=1)).any(axis=0)
        places = np.argwhere(~reached)
        if not len(places):
            return None
        box = zip(places.min(axis=0), places.max(axis=0), strict=True)
        return tuple(slice(int(first), int(last) + 1) for first, last in box)


def _on_padding(weights: Array, inside: list[Array]) -> Array:
    """The sums of the weights whose taps lie outside along some axis: (O, I, kinds...).

    `inside` has, for each axis, which taps lie inside the input, (kinds, taps), as 0 and 1.
    """
    total: Array | None = None
    for outside_axis in range(len(inside)):
        # Each tap counts at the first axis along which it lies outside.
        part = weights
        for axis, within in enumerate(inside):
            factors = within if axis < outside_axis else np.ones_like(within)
            factors = 1 - within if axis == outside_axis else factors
            part = np.moveaxis(np.tensordot(part, factors, (2 + axis, 1)), -1, 2 + axis)
        total = part if total is None else total + part
    assert total is not None
    return total


class Rests(NamedTuple):
    """The obtained values minus the sums with zeros in the padding, (N, O, *space).

    Each lies within `slack` of `value` where it is `known`.
    """

    value: Array
    slack: Array
    known: Array


@dataclass(frozen=True)
class PaddedWith(FittedChange):
    """The padding held other numbers than `asked`; then the sums were changed as `then` says.

    The sums are those with zeros in the padding.
    """

    then: OutputChange
    asked: PadValue = 0

    def verify(self, whole: WholeOutput) -> Fields | None:
        groups, size = whole.spec.groups, whole.obtained.shape[2:]
        assert whole.kernel is not None
        weights = PaddingWeights.of(whole.kernel, whole.geometry, whole.input_size, size)
        if weights is None or not weights.magnitudes.any():
            return None
        rests = self._rests(whole, weights)
        if rests is None:
            return None
        channels = whole.spec.in_channels
        asked = np.array(values_of_channels(self.asked, channels), np.float64)
        for numbers in self._numbers(whole, weights, rests):
            per_channel = np.broadcast_to(numbers, (channels,))
            if (per_channel == asked).all():
                continue
            added = weights.added(per_channel, groups)
            beside_asked = weights.added(per_channel - asked, groups).output
            if not _is_evidence(whole, beside_asked, rests, numbers):
                continue
            sums = Reference(whole.sums.output + added.output, whole.sums.scale + added.scale)
            fields = self.then.verify(replace(whole, sums=sums))
            if fields is not None:
                found = numbers.tolist() if numbers.size > 1 else float(numbers[0])
                return {**fields, CODE: {"obtained": found}}
        return None

    def _rests(self, whole: WholeOutput, weights: PaddingWeights) -> Rests | None:
        """What is left for the padding; None where `then` does not hold in the interior."""
        obtained, sums, rounding = whole.obtained, whole.sums, whole.rounding
        late = np.abs(whole.late_bias)
        stored = np.asarray(rounding.storage_error(obtained)) + rounding.unit_roundoff * late
        low, high = obtained - stored, obtained + stored
        if self.then.is_open:
            interior = weights.interior
            if interior is None:
                return None
            box = (slice(None), slice(None), *interior)
            inner = replace(
                whole, obtained=obtained[box], sums=Reference(sums.output[box], sums.scale[box])
            )
            fields = self.then.verify(inner)
            if fields is None:
                return None
            low, high = _undone(fields, low, high)
        else:
            with np.errstate(all="ignore"):
                low, high = self.then.sum_interval(obtained, low, high)
        least, most = rounding.limits
        low, high = low - rounding.shift, high - rounding.shift
        low, high = (
            np.where(obtained <= least, -np.inf, low),
            np.where(obtained >= most, np.inf, high),
        )
        known = np.isfinite(low) & np.isfinite(high) & np.isfinite(sums.output)
        value, width = np.zeros(obtained.shape), np.zeros(obtained.shape)
        np.copyto(value, (low + high) / 2 - sums.output, where=known)
        np.copyto(width, (high - low) / 2, where=known)
        own = rounding.bound_units * rounding.unit_roundoff * (sums.scale + late)
        if self.then.is_open:
            # What was read off in the interior is as far off as the values there are.
            own = own + own.max(initial=0)
        return Rests(value, width + own + rounding.underflow_error + rounding.decimal_error, known)

    def _numbers(
        self, whole: WholeOutput, weights: PaddingWeights, rests: Rests
    ) -> Iterator[Array]:
        """One number for all channels if there is one, then one for each channel; tidy first."""
        relative = whole.rounding.bound_units * whole.rounding.unit_roundoff
        one = _one_number(weights, rests, relative, self.asked)
        if one is not None:
            yield np.array([one])
        if 1 < whole.spec.in_channels <= MAX_CHANNELS:
            yield from _number_per_channel(weights, rests, relative, whole.spec.groups)


def _undone(fields: Fields, low: Array, high: Array) -> tuple[Array, Array]:
    """Between what the sums lie, given between what the obtained values do and what was read off.

    (N, O, *space): constants are taken off again, factors divided out, and orders put back.
    """
    for code, edit in fields.items():
        values: Any = edit.get("values", 0.0)
        constants = np.reshape(np.asarray(values, float), (1, -1, *(1,) * (low.ndim - 2)))
        factor = float(str(edit.get("factor", 1.0)))
        ends = (low - constants) / factor, (high - constants) / factor
        low, high = np.minimum(*ends), np.maximum(*ends)
        if "permutation" in edit:
            order: Any = edit["permutation"]
            axis = 1 if code == "output-channels-permuted" else 0
            low, high = (each.take(np.argsort(order), axis) for each in (low, high))
    return low, high


def _one_number(
    weights: PaddingWeights, rests: Rests, relative: float, asked: PadValue
) -> float | None:
    """The number that takes the fewest digits, of those that agree with every known rest."""
    per_number = weights.at_positions(weights.table.sum(axis=1))[None]
    sizes = weights.at_positions(weights.magnitudes.sum(axis=1))[None]
    # Weights that cancel say nothing of the number.
    telling = rests.known & (np.abs(per_number) > relative * sizes)
    if not telling.any():
        return None
    per_number, sizes = (
        np.broadcast_to(each, telling.shape)[telling] for each in (per_number, sizes)
    )
    value, slack = rests.value[telling], rests.slack[telling]
    best = np.argmax(np.abs(per_number) / (slack + relative * np.abs(value)))
    slack = slack + relative * sizes * abs(value[best] / per_number[best])
    ends = (value - slack) / per_number, (value + slack) / per_number
    low, high = float(np.minimum(*ends).max()), float(np.maximum(*ends).min())
    # If the asked one is among them, the padding need not have held anything else.
    if not low <= high or (not isinstance(asked, tuple) and low <= asked <= high):
        return None
    return shortest_between(low, high) if low * high > 0 else 0.0


def _number_per_channel(
    weights: PaddingWeights, rests: Rests, relative: float, groups: int
) -> Iterator[Array]:
    """The numbers of all input channels by least squares: rounded to a few decimals, and as fitted.

    None if they are not determined.  As many numbers as equations explain anything: then only short
    ones are believed.
    """
    outputs, inner = weights.table.shape[:2]
    table = weights.table.reshape(outputs, inner, -1)
    shape = tuple(weights.table.shape[2:])
    kind = np.ravel_multi_index(np.ix_(*weights.kinds), shape).reshape(-1)
    # Elements of one channel and one kind give the same equation: their mean.
    known = rests.known.reshape(*rests.known.shape[:2], -1)
    counts, means, slack = np.zeros((3, outputs, table.shape[2]))
    for total, each in ((counts, np.ones(())), (means, rests.value), (slack, rests.slack)):
        values = np.broadcast_to(each, rests.value.shape).reshape(known.shape)
        for channel, row in enumerate(np.where(known, values, 0).sum(axis=0)):
            total[channel] = np.bincount(kind, row, table.shape[2])
    means, slack = means / np.maximum(counts, 1), slack / np.maximum(counts, 1)
    fitted, equations, determined = [], [], True
    for group in range(groups):
        own = slice(group * outputs // groups, (group + 1) * outputs // groups)
        rows = np.moveaxis(table[own], 1, 2)
        reached = (counts[own] > 0) & rows.any(axis=2)
        design, right, error = rows[reached], means[own][reached], slack[own][reached]
        step = max(1, len(design) // (MAX_EQUATIONS_PER_NUMBER * inner))
        design, right = design[::step], right[::step]
        error = error[::step] + relative * np.abs(right)
        determined &= len(np.unique(design, axis=0)) > inner
        numbers, _, rank, _ = np.linalg.lstsq(design / error[:, None], right / error, rcond=1e-9)
        if rank < inner:
            return
        fitted.append(numbers)
        equations.append((design, right, error + relative * np.abs(design) @ np.abs(numbers)))
    exact = np.concatenate(fitted)
    if not np.isfinite(exact).all():
        return
    for decimals in range(MAX_DECIMALS + 1):
        tidy = np.round(exact, decimals)
        parts = zip(equations, np.split(tidy, groups), strict=True)
        if all(
            (np.abs(right - rows @ part) <= error).all() for (rows, right, error), part in parts
        ):
            yield tidy
            break
        if decimals == SHORT_DECIMALS and not determined:
            return
    yield np.array([float(f"{number:.7g}") for number in exact.tolist()])
    yield exact


def _is_evidence(whole: WholeOutput, added: Array, rests: Rests, numbers: Array) -> bool:
    """Whether the elements that the padding reaches say more than it takes to write the numbers."""
    size = np.broadcast_to(np.abs(added), rests.value.shape)
    telling = rests.known & (size > 2 * rests.slack)
    obtained = whole.obtained[telling]
    if len(np.unique(obtained)) <= numbers.size:
        return False
    bits = np.log2(size[telling] / rests.slack[telling])
    if (obtained == np.rint(obtained)).all():
        # Whole numbers agree by chance, however finely they are stored.
        bits = np.minimum(bits, np.log2(size[telling] + 1))
    written = [SIGN_AND_POINT_BITS + DIGIT_BITS * _digits(number) for number in numbers.tolist()]
    read_off = np.minimum(written, bits.mean())
    needed = MIN_EVIDENCE_BITS if whole.edits > 1 else MIN_EVIDENCE_BITS_ALONE
    return bool(bits.sum() - read_off.sum() >= needed)


def _digits(number: float) -> int:
    """The significant digits of a number, of nine at most."""
    mantissa = f"{abs(number):.8e}".partition("e")[0].replace(".", "")
    return len(mantissa.rstrip("0"))
