"""Inputs and kernels that were scaled and shifted, alone and beside one or two other edits.

The factors and offsets are unknown numbers in which the output is linear (`linear_unknowns`).  The
asked convolution is tried first.  Beside other edits every combination is fitted to a few elements
of some output channels, all combinations at once, and only what fits there is solved in full; the
proof then runs with the scaled arrays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack
from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.core.normalizations import known_step
from convdiff.diagnose.core.output_change import FittedChange
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.fit.linear_unknowns import (
    FITTED_MARGIN,
    MAX_DIGITS,
    MIN_SPARE_ROWS,
    MORE_ROWS,
    ROWS_PER_NUMBER,
    Equations,
    Targets,
    Terms,
    rounded,
    solve,
)
from convdiff.diagnose.fit.scale_unknowns import InputNumbers, KernelNumbers, Kind, ShiftedKernel
from convdiff.diagnose.hypotheses.output_scale import ChannelsScaled, LinePerChannel
from convdiff.diagnose.search.batches import FormGroup
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.engine import Search
from convdiff.diagnose.search.geometry_table import GeometryTable
from convdiff.diagnose.search.intervals import ObtainedIntervals
from convdiff.diagnose.search.windows import SamplePoint, gather_windows, gather_windows_by_row
from convdiff.records import Edit
from convdiff.spec.layout import Array

# How odd factors and constants of the output channels are beside factors on the kernel.
LINE_ODDNESS = 0.6
# Numbers beyond which none is fitted, in all and in one block.
MAX_NUMBERS, MAX_NUMBERS_PER_BLOCK = 1024, 256
# Numbers of a block that are solved for if they are an input channel's factor and offset each.
MAX_NUMBERS_OF_INPUT = 128
# Numbers of one block beyond which none is fitted: beside edits of the output alone, and others.
MAX_NUMBERS_AS_ASKED, MAX_NUMBERS_BESIDE = 64, 12
# Products that one level multiplies to dismiss combinations, and combinations that are solved.
MAX_PRODUCTS_PER_LEVEL, MAX_SOLVED = 1 << 20, 12
# The residual, as a share of the largest value, of a combination that may fit.
MAX_RESIDUAL = 1e-4
# Weights that each factor is multiplied by, at the least: with fewer, any kernel fits.
MIN_WEIGHTS_PER_FACTOR = 2
# How many times as many elements are solved for where storing made them rough.
MORE_ROUGH_ROWS = 16
# Elements beyond the numbers of a block, where it has many, and where elements cost much.
MORE_ROWS_OF_MANY, LEAST_MORE_ROWS = 64, 8
# Elements drawn for each one that is used, and elements of one value that may be drawn.
DRAWS_PER_ROW, MAX_SHARED_VALUES = 8, 2
# Elements of a block up to which any of them may be used.
MAX_PERMUTED = 1 << 13
# Fits, beyond one of each combination, from which on the elements say nothing.  Forms that cut
# values off at several limits agree where none was.
MAX_FITTING = 64


class Combination(NamedTuple):
    """An input, a geometry, a kernel and an output that are to be related by unknown numbers."""

    x: InputForm
    table: GeometryTable
    number: int
    w: KernelForm
    y: OutputForm

    def candidate(self, precision: PrecisionModel) -> Candidate:
        """As it is, with nothing scaled."""
        geometry = self.table.form(self.number)
        cost = self.x.cost + self.w.cost + geometry.cost + self.y.cost + precision.cost
        return Candidate(self.x, self.w, geometry, self.y, precision, cost)


class _Elements(NamedTuple):
    """Elements of blocks of output channels: what their sums consist of, and are.

    The sums lie within `slack` of `values`, (blocks, rows); NaN is unknown.  `weights` is the
    number of weights, other than 0 and of different values, that a block has at the least.
    """

    terms: Terms
    values: Array
    slack: Array
    weights: int


class OperandScaleSearch:
    """Candidates with a scaled and shifted input or kernel, of the asked operation.

    `is_proven` runs the proof, which decides between tidy numbers and fitted ones.
    """

    def __init__(self, search: Search, is_proven: Callable[[Candidate], bool]) -> None:
        self.search = search
        self.is_proven = is_proven
        self._kept_for: tuple[Combination | None, PrecisionModel | None] = None, None
        self._kept: dict[str, _Elements | None] = {}

    @property
    def problem(self) -> Problem:
        return self.search.problem

    def level(self, edits: int, precision: PrecisionModel) -> Iterator[Candidate]:
        """Candidates with so many edits, of which one scales the input or the kernel."""
        if not 1 <= edits <= 3 or precision.operand_format is not None:
            return
        combinations = self._as_asked() if edits == 1 else self._likely(edits - 1, precision)
        for combination, kinds in combinations:
            for kind in kinds:
                candidate = self._fitted(combination, kind, precision)
                if candidate is not None:
                    yield candidate
                    break
        if edits == 2:
            for combination, _ in self._as_asked():
                yield from self._along_two_axes(combination, precision)

    def _kinds(self) -> list[Kind]:
        """What may be unknown, the fewest numbers first."""
        spec = self.problem.spec
        inner = spec.in_channels // spec.groups
        kinds: list[Kind] = [InputNumbers(False)]
        if spec.in_channels > 1:
            kinds += [InputNumbers(True, offsets=False), InputNumbers(True, factors=False)]
        if inner > 1 and spec.groups > 1 and not spec.transposed:
            kinds.append(KernelNumbers(0))
        kinds += [KernelNumbers(1 + axis) for axis, size in enumerate(spec.kernel_size) if size > 1]
        if math.prod(spec.kernel_size) * inner > 2 * MIN_WEIGHTS_PER_FACTOR:
            kinds.append(ShiftedKernel())
        if spec.in_channels > 1:
            kinds.append(InputNumbers(True))
        return kinds

    def _as_asked(self) -> Iterator[tuple[Combination, list[Kind]]]:
        table, groups = self.search.asked_geometry(), self.search.forms.output_groups(0, 0)
        inputs, kernels = self.search.forms.inputs(0, 0), self.search.forms.kernels(0, 0)
        if table is None or not groups or not inputs or not kernels:
            return
        for form in groups[0].forms:
            yield Combination(inputs[0], table, 0, kernels[0], form), self._kinds()

    # Solved in full

    def _fitted(
        self, combination: Combination, kind: Kind, precision: PrecisionModel
    ) -> Candidate | None:
        """The candidate with the numbers that fit, tidy ones where those explain the output."""
        if isinstance(kind, ShiftedKernel) and kind.block == "channel":
            # Most are dismissed at one output channel.
            first = self._equations(combination, replace(kind, block="one"), precision)
            fitted = None if first is None else solve(first)
            if first is None or fitted is None or not first.hold(fitted, FITTED_MARGIN):
                return None
        equations = self._equations(combination, kind, precision)
        fitted = None if equations is None else solve(equations)
        if equations is None or fitted is None or not np.isfinite(fitted).all():
            return None
        if not equations.hold(fitted, FITTED_MARGIN) or not equations.are_evidence(fitted):
            return None
        base = combination.candidate(precision)
        seen: list[Array] = []
        for numbers in _tidy(kind, equations, fitted):
            if any(np.array_equal(numbers, each) for each in seen):
                continue
            seen.append(numbers)
            candidate = kind.applied(base, *kind.families(numbers))
            # None where the tidy numbers are those of a simpler edit, or of none.
            if candidate is None or self.is_proven(candidate):
                return candidate
        return None

    def _equations(
        self, combination: Combination, kind: Kind, precision: PrecisionModel
    ) -> Equations | None:
        """The equations of a kind at elements drawn for each of its blocks; None if too few."""
        kernel = combination.w.array
        outer, inner, *taps = kernel.shape
        channels = _blocks(kind.block, outer, combination.w.operation.spec.groups)
        axis = kind.axis if isinstance(kind, KernelNumbers) else 0
        size = kind.numbers((inner, *taps)[axis])
        limit = MAX_NUMBERS_OF_INPUT if kind.block == "group" else MAX_NUMBERS_PER_BLOCK
        if size > limit or size * len(channels) > MAX_NUMBERS:
            return None
        drawn = self._elements(combination, kind.block, channels, precision)
        if drawn is None or drawn.values.shape[1] < size + MIN_SPARE_ROWS:
            return None
        has_both = isinstance(kind, ShiftedKernel) or (
            isinstance(kind, InputNumbers) and kind.factors and kind.offsets
        )
        factors = size // 2 if has_both else size
        if drawn.weights <= size or drawn.weights < MIN_WEIGHTS_PER_FACTOR * factors:
            return None
        if isinstance(kind, InputNumbers) and not kind.tells_offsets(drawn.terms):
            return None
        rounding = precision.rounding
        relative = rounding.bound_units * rounding.unit_roundoff
        return Equations.of(kind, drawn.terms, drawn.values, drawn.slack, relative)

    def _elements(
        self, combination: Combination, block: str, channels: Array, precision: PrecisionModel
    ) -> _Elements | None:
        """The elements of such blocks, enough for every kind; those of one combination are kept."""
        if combination is not self._kept_for[0] or precision is not self._kept_for[1]:
            self._kept_for = combination, precision
            self._kept = {}
        if block not in self._kept:
            self._kept[block] = self._draw_elements(combination, block, channels, precision)
        return self._kept[block]

    def _draw_elements(
        self, combination: Combination, block: str, channels: Array, precision: PrecisionModel
    ) -> _Elements | None:
        kernel = combination.w.array.to_array().astype(np.float64)
        inner, *taps = kernel.shape[1:]
        along_i = inner if combination.w.operation.spec.groups > 1 else 2
        most = {"all": max(along_i, *taps), "channel": 2, "one": max(inner, *taps)}.get(
            block, 2 * inner
        )
        most = min(most, MAX_NUMBERS_PER_BLOCK)
        affordable = MAX_PRODUCTS_PER_LEVEL // (len(channels) * inner * math.prod(taps))
        rows = MORE_ROWS + min(ROWS_PER_NUMBER * most, most + MORE_ROWS_OF_MANY)
        rounding = precision.rounding
        if rounding.stored_narrower or rounding.decimal_error:
            # Rough values tell the numbers only if there are many of them.
            rows *= MORE_ROUGH_ROWS
        rows = max(min(rows, affordable), most + LEAST_MORE_ROWS)
        index = _drawn(combination.y.array, channels, rows)
        if index is None:
            return None
        shape = index[0].shape
        flat = [each.reshape(-1) for each in index]
        low, high = self._sum_intervals(combination.y, flat, precision)
        known = np.isfinite(low) & np.isfinite(high)
        values = np.full(low.shape, np.nan)
        np.copyto(values, (low + high) / 2, where=known)
        slack = np.zeros(low.shape)
        np.copyto(slack, (high - low) / 2, where=known)
        relative = rounding.bound_units * rounding.unit_roundoff
        slack = slack + rounding.underflow_error + rounding.decimal_error
        slack = slack + relative * np.abs(self.problem.channel_bias[flat[1]])
        per_block = np.count_nonzero(kernel[channels].reshape(len(channels), -1), axis=1)
        terms = self._terms(combination, kernel, flat, (shape[0], shape[1]))
        # Weights by which the same values are multiplied everywhere count as one.
        different = len(np.unique(terms.windows[0].reshape(shape[1], -1), axis=1).T)
        weights = min(int(per_block.min()), different * channels.shape[1])
        return _Elements(terms, values.reshape(shape), slack.reshape(shape), weights)

    def _sum_intervals(
        self, form: OutputForm, index: Sequence[Array], precision: PrecisionModel
    ) -> tuple[Array, Array]:
        """Between what the sums lie at some elements, (elements,) each, without the bias."""
        points = _sample_points(index)
        intervals = ObtainedIntervals(
            [form], ArrayViewStack([form.array]), points, self.problem.channel_bias, precision
        )
        return intervals.low[:, 0], intervals.high[:, 0]

    def _terms(
        self, combination: Combination, kernel: Array, flat: list[Array], shape: tuple[int, int]
    ) -> Terms:
        """What the sums at these elements consist of, in blocks of `shape`."""
        outer, inner, *taps = kernel.shape
        spec, x = combination.w.operation.spec, combination.x
        count = len(flat[0])
        positions = np.stack(flat[2:], axis=1)
        numbers = np.full(count, combination.number)
        table = combination.table.windows_by_row(numbers, positions, (*taps,), x.size)
        first = flat[1] * spec.groups // outer * inner
        windows = gather_windows_by_row(
            ArrayViewStack([x.array]),
            np.zeros(count, int),
            np.broadcast_to(flat[0], (count,)) % x.array.shape[0],
            first[:, None] + np.arange(inner),
            table,
        )
        return Terms(
            windows.reshape(*shape, inner, *taps),
            kernel[flat[1]].reshape(*shape, inner, *taps),
            table.inside.reshape(*shape, 1, *taps).astype(np.float64),
        )

    # Beside other edits

    def _likely(
        self, others: int, precision: PrecisionModel
    ) -> Iterator[tuple[Combination, list[Kind]]]:
        """Combinations with so many edits that fit a few elements, and the kinds to solve for."""
        screened = self._screened(others, precision)
        for _, combination, kinds in sorted(screened, key=lambda found: found[0])[:MAX_SOLVED]:
            yield combination, kinds

    def _screened(
        self, others: int, precision: PrecisionModel
    ) -> list[tuple[float, Combination, list[Kind]]]:
        """As `_likely`, with the cost of each, in no order."""
        forms, found, budget = self.search.forms, [], MAX_PRODUCTS_PER_LEVEL
        # Beside edits of the output alone there is a single combination.
        for output_edits in (1, 0):
            for outputs in forms.output_groups(0, output_edits):
                usable = [f for f in outputs.forms if _leaves_sums(f)]
                limit = MAX_NUMBERS_BESIDE if output_edits < others else MAX_NUMBERS_AS_ASKED
                screen = _Screen.of(self, usable, precision, limit) if usable else None
                if screen is None:
                    continue
                for inputs, kernels, table in self._stages(others - output_edits, screen, others):
                    for matches in screen.matches(inputs, kernels, table, budget):
                        found += matches
                    budget -= screen.products
                    if budget <= 0:
                        return found
        return found

    def _stages(
        self, edits: int, screen: _Screen, others: int
    ) -> Iterator[tuple[FormGroup[InputForm], FormGroup[KernelForm], GeometryTable]]:
        """Inputs, kernels and geometries with so many edits, at most one of each stage."""
        forms = self.search.forms
        # The geometries are many: they come last, and as many as are left to be multiplied.
        for shares in sorted(itertools.product((0, 1), repeat=3), key=lambda each: each[2]):
            # Another geometry beside two other edits has too many forms.
            if sum(shares) != edits or (shares[2] and others > 1):
                continue
            for inputs, kernels in itertools.product(
                forms.input_groups(0, shares[0]), forms.kernel_groups(0, shares[1])
            ):
                if inputs.shape[0] != screen.shape[0]:
                    continue
                sizes = inputs.shape[2:], kernels.shape[2:], screen.shape[2:]
                for table in self.search.geometries(0, *sizes, shares[2]):
                    yield inputs, kernels, table

    # Factors along two axes of the kernel

    def _along_two_axes(
        self, combination: Combination, precision: PrecisionModel
    ) -> Iterator[Candidate]:
        """Factors along O and along another axis, as of a normalization folded along I.

        Those along the other axis show in one output channel, up to a factor of its own; the proof
        then lays a line through each channel.
        """
        spec = self.problem.spec
        sizes = spec.in_channels // spec.groups, *spec.kernel_size
        for axis, size in enumerate(sizes):
            if size < 2 or spec.out_channels < 2 or (axis == 0 and spec.groups > 1):
                continue
            kind = KernelNumbers(axis, block="one")
            equations = self._equations(combination, kind, precision)
            factors = None if equations is None else solve(equations)
            if equations is None or factors is None or not factors.all():
                continue
            if not equations.hold(factors, FITTED_MARGIN) or not equations.are_evidence(factors):
                continue
            size_of_all = float(np.exp(np.log(np.abs(factors)).mean()))
            sign = 1.0 if factors.sum() >= 0 else -1.0
            factors = rounded(sign * factors[0] / size_of_all, MAX_DIGITS)
            scaled = kind.applied(combination.candidate(precision), factors, np.zeros(1))
            if scaled is not None:
                edit: Edit = {"code": ChannelsScaled.code}
                change = LinePerChannel()
                output = scaled.output.plus(edit, LINE_ODDNESS, change=change, bias_factor=0)
                yield replace(scaled, output=output, cost=scaled.cost + 1 + LINE_ODDNESS)
                return


class _Screen:
    """Fits many combinations at once, at a few elements of output forms of one shape."""

    def __init__(
        self,
        search: OperandScaleSearch,
        forms: list[OutputForm],
        precision: PrecisionModel,
        kinds: list[tuple[Kind, list[Kind]]],
        index: list[Array],
    ) -> None:
        self.forms = forms
        self.shape = forms[0].array.shape
        self.spec = search.problem.spec
        self.kinds = kinds
        self.points = _sample_points(index)
        views = ArrayViewStack([form.array for form in forms])
        intervals = ObtainedIntervals(
            forms, views, self.points, search.problem.channel_bias, precision
        )
        low, high = intervals.low, intervals.high
        known = np.isfinite(low) & np.isfinite(high)
        values = np.full(low.shape, np.nan)
        np.copyto(values, (low + high) / 2, where=known)
        self.targets = Targets(values)
        # What storing the values may have cost, as a share of the largest.
        width = np.where(known, high - low, 0).max(axis=0)
        largest = np.where(known, np.abs(values), 0).max(axis=0)
        self.allowed = MAX_RESIDUAL + 4 * width / np.maximum(largest, 1e-300)
        self.products = 0

    @classmethod
    def of(
        cls,
        search: OperandScaleSearch,
        forms: list[OutputForm],
        precision: PrecisionModel,
        limit: int,
    ) -> _Screen | None:
        """For kinds of at most `limit` numbers, at elements of the channels of one group.

        None if there are too few elements.
        """
        spec = search.problem.spec
        kinds = _screened_kinds(search.problem, limit)
        channels = _blocks("group", spec.out_channels, spec.groups)[spec.groups // 2 :][:1]
        inner = spec.in_channels // spec.groups
        most = max(kind.numbers(max(inner, *spec.kernel_size)) for kind, _ in kinds)
        # Values that were cut off are told where they are read as they were saved.
        saved = {id(form.array) for form in search.search.forms.outputs(0)}
        first = next((form for form in forms if id(form.array) in saved), forms[0])
        index = _drawn(first.array, channels, 2 * min(most, limit) + MORE_ROWS // 2)
        if index is None or index[0].size < min(most, limit) + MIN_SPARE_ROWS:
            return None
        return cls(search, forms, precision, kinds, [each.reshape(-1) for each in index])

    def matches(
        self,
        inputs: FormGroup[InputForm],
        kernels: FormGroup[KernelForm],
        table: GeometryTable,
        budget: int,
    ) -> Iterator[list[tuple[float, Combination, list[Kind]]]]:
        """The combinations of these that fit, with their costs; the cheapest geometries first."""
        outer, inner, *taps = kernels.shape
        points = self.points
        channels = np.array([point.channel for point in points])
        start = int(channels[0]) * self.spec.groups // outer * inner
        per_geometry = len(inputs.forms) * len(kernels.forms) * len(points) * inner
        per_geometry *= math.prod(taps)
        chosen = np.argsort(table.costs, kind="stable")[: max(budget // per_geometry, 0)]
        self.products = per_geometry * len(chosen)
        if not len(chosen):
            self.products = 0
            return
        part = table.select(chosen)
        windows_at = part.windows_at([p.position for p in points], (*taps,), inputs.shape[2:])
        windows = gather_windows(inputs.arrays, slice(start, start + inner), points, windows_at)
        mesh = channels[:, None], np.arange(inner)[None]
        index = [each.reshape(*each.shape, *(1,) * len(taps)) for each in mesh]
        index += [
            np.arange(n).reshape(1, 1, *(-1 if a == axis else 1 for a in range(len(taps))))
            for axis, n in enumerate(taps)
        ]
        weights = kernels.arrays.gather(*index)
        # (inputs, geometries, kernels, points, I, *taps), the first three of them in one axis.
        windows = windows.swapaxes(1, 2).reshape(
            len(inputs.forms), len(part), 1, len(points), inner, *taps
        )
        inside = windows_at.inside.swapaxes(0, 1)[None, :, None, :, None].astype(np.float64)
        counts = len(inputs.forms), len(part), len(weights)
        terms = Terms(
            *(
                np.broadcast_to(each, counts + each.shape[3:]).reshape(-1, *each.shape[3:])
                for each in (windows, weights[None, None], inside)
            )
        )
        for kind, solved in self.kinds:
            residuals = self.targets.residuals(kind.columns(terms))
            hits = np.argwhere(residuals <= self.allowed)
            if len(hits) > MAX_FITTING + len(residuals):
                continue
            found = []
            for combination, form in hits.tolist():
                which, geometry, kernel = map(int, np.unravel_index(combination, counts))
                x, w, y = inputs.forms[which], kernels.forms[kernel], self.forms[form]
                fitting = Combination(x, part, geometry, w, y)
                cost = x.cost + w.cost + y.cost + float(part.costs[geometry])
                found.append((cost, fitting, solved))
            yield found


def _screened_kinds(problem: Problem, limit: int) -> list[tuple[Kind, list[Kind]]]:
    """What is fitted at few elements, and the kinds that are solved for where that fits."""
    spec = problem.spec
    inner = spec.in_channels // spec.groups
    one = InputNumbers(False)
    wider: list[Kind] = [
        InputNumbers(True, offsets=False),
        InputNumbers(True, factors=False),
        InputNumbers(True),
    ]
    kinds: list[tuple[Kind, list[Kind]]] = []
    if 2 * inner <= limit:
        kinds.append((wider[-1], [one, *(wider if spec.in_channels > 1 else [])]))
    else:
        kinds.append((one, [one]))
        if inner <= limit:
            kinds.append((wider[0], wider[:1]))
    for axis, size in enumerate(spec.kernel_size):
        if 1 < size <= limit:
            kinds.append((KernelNumbers(1 + axis), [KernelNumbers(1 + axis)]))
    return kinds


def _leaves_sums(form: OutputForm) -> bool:
    """Whether the sums are known from the obtained values, but for those that were cut off."""
    change = form.change
    return not (change.is_open or isinstance(change, FittedChange) or form.relu_before)


def _blocks(block: str, outputs: int, groups: int) -> Array:
    """(blocks, channels): the output channels that share numbers: "all", "group" or "channel".

    "one" is a single block of one channel.
    """
    if block == "one":
        return np.array([[outputs // 2]])
    counts = {"all": 1, "group": groups, "channel": outputs}
    return np.arange(outputs).reshape(counts[block], -1)


def _sample_points(index: Sequence[Array]) -> list[SamplePoint]:
    """Elements given as one index array (elements,) per axis of the output."""
    item, channel, *position = (each.tolist() for each in index)
    places = zip(*position, strict=True)
    return [SamplePoint(i, c, place) for i, c, place in zip(item, channel, places, strict=True)]


def _drawn(view: ArrayView, channels: Array, rows: int) -> list[Array] | None:
    """Elements of an output (N, O, *space), at most so many for each block: (blocks, rows) indices.

    Half of them lie at the border, which tells offsets.  No zeros and no values that many elements
    share, which may have been cut off there.  None if a block has none.
    """
    batch, _, *space = view.shape
    sizes = batch, channels.shape[1], *space
    generator = np.random.default_rng(23)
    if math.prod(sizes) <= MAX_PERMUTED:
        drawn = generator.permutation(math.prod(sizes))
        places = np.array(np.unravel_index(drawn, sizes)).T[:, 2:]
        at_border = ((places <= 1) | (places >= np.array(space) - 2)).any(axis=1)
        rank = np.where(at_border, np.cumsum(at_border), np.cumsum(~at_border))
        drawn = drawn[np.argsort(rank, kind="stable")]
    else:
        places = generator.integers(np.array(sizes), size=(DRAWS_PER_ROW * rows, len(sizes)))
        border = np.arange(0, len(places), 2)
        axis = generator.integers(len(space), size=len(border))
        ends = np.array([(0, min(1, n - 1), max(n - 2, 0), n - 1) for n in space])
        places[border, 2 + axis] = ends[axis, generator.integers(4, size=len(border))]
        flat = np.ravel_multi_index(tuple(places.T), sizes)
        drawn = flat[np.sort(np.unique(flat, return_index=True)[1])]
    item, within, *position = np.unravel_index(drawn, sizes)
    shape = len(channels), len(drawn)
    index = [np.broadcast_to(each, shape) for each in (item, channels[:, within], *position)]
    values = ArrayViewStack([view]).gather(*index)[0]
    usable = np.isfinite(values) & (values != 0)
    for end in (np.nanmin, np.nanmax):
        at_end = values == (end(values) if np.isfinite(values).any() else 0)
        if at_end.sum() > MAX_SHARED_VALUES:
            usable &= ~at_end
    count = min(rows, int(usable.sum(axis=1).min()))
    order = np.argsort(~usable, axis=1, kind="stable")[:, :count]
    return [np.take_along_axis(each, order, axis=1) for each in index] if count else None


def _tidy(kind: Kind, equations: Equations, fitted: Array) -> Iterator[Array]:
    """The numbers of a known normalization, those with the fewest digits, and as they are."""
    blocks = len(fitted)
    factors, offsets = kind.families(fitted)
    if isinstance(kind, InputNumbers):
        step = known_step(factors, offsets)
        if step is not None:
            count = max(factors.size, offsets.size)
            step_factors, step_offsets = (
                np.broadcast_to(each, count) for each in (step.factors, step.offsets)
            )
            numbers = kind.joined(step_factors, step_offsets, blocks)
            if equations.hold(numbers):
                yield numbers
    tidy = factors
    for digits in range(1, MAX_DIGITS + 1):
        tidy = rounded(factors, digits)
        if equations.hold(kind.joined(tidy, offsets, blocks)):
            break
    tidy_offsets = offsets
    for digits in range(MAX_DIGITS + 1):
        tidy_offsets = rounded(offsets, digits) if digits else np.zeros_like(offsets)
        if equations.hold(kind.joined(tidy, tidy_offsets, blocks)):
            break
    yield kind.joined(tidy, tidy_offsets, blocks)
    digits = MAX_DIGITS
    yield kind.joined(rounded(factors, digits), rounded(offsets, digits), blocks)
    yield fitted
