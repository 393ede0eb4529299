"""The scale of a quantized input, read off the output.

A scale that was calibrated on other inputs, or by an error measure, does not follow from the input
at hand.  Rounding to multiples of a step moves sums in a way of its own: of many steps, tried at
some elements, the right one leaves by far the smallest errors.  It is then made exact on the whole
output, where the whole numbers are known and the sums are a multiple of the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.activation_change import RELU
from convdiff.diagnose.core.forms import GeometryForm, OutputForm
from convdiff.diagnose.core.operand_grid import EIGHT_BITS, GridRule, ValueGrid, along_axes
from convdiff.diagnose.core.output_grid import zero_point_of
from convdiff.diagnose.core.quantized_models import QuantizedModels, RuledGrid
from convdiff.diagnose.hypotheses.output_values import ActivationApplied
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.engine import Search
from convdiff.diagnose.search.windows import gather_windows_by_row
from convdiff.numerics.reference import correlate
from convdiff.spec.layout import Array

# The steps that are tried, as shares of the input's range, and the ratio of two in order.
LEAST_STEP, LARGEST_STEP, RATIO = 1 / 340, 1 / 90, 1.002
# Numbers that are rounded at once, and the elements at which steps are compared, at least and most.
MAX_ROUNDED = 1 << 23
MIN_ELEMENTS, MAX_ELEMENTS = 24, 512
# Errors as asked, root mean square, as a share of what rounding both operands to 8 bits causes.
LEAST_ERROR, LARGEST_ERROR = 0.1, 4.0
# How many times smaller than the median error that of the right step is, at least, beyond 1, times
# the root of the number of elements: by chance it is less.
GAIN_OF_ONE = 4.0
# The steps that are made exact, and the rounds in which this is done.
MAX_REFINED, ROUNDS = 3, 6
# Steps near the best one that are tried, at either side, their distances, and the elements.
FINER_STEPS, FINER_RATIOS, MAX_CLOSE_ELEMENTS = 50, (2e-5, 1e-6), 4096
# The steps of a grid of 8 bits and of 7, and how many the input's range may be beyond.
MOST_NUMBERS, MAX_CUT = (255, 127), 24

# Products of one convolution up to which ends that cut off a smaller range are tried.
MAX_PRODUCTS_TO_CUT = 1 << 21

# The smallest and the largest whole number of a grid, and those of int8 and uint8.
Ends = tuple[float, float]
WHOLE_TYPES: tuple[Ends, ...] = ((-128.0, 127.0), (-127.0, 127.0), (0.0, 255.0))


class Elements(NamedTuple):
    """Some elements of the output: their windows, the sums, and the weights' output channels.

    `windows` is (elements, terms); `low` and `high` are the ends of the interval of each sum,
    without the bias.
    """

    windows: Array
    channels: Array
    low: Array
    high: Array

    def first(self, count: int) -> Elements:
        """The first of them, so many."""
        return Elements(*(array[:count] for array in self))


@dataclass(frozen=True)
class Asked:
    """The asked convolution, with an output form of its own."""

    geometry: GeometryForm
    output: OutputForm
    low: Array
    high: Array


def _errors(
    elements: Elements, kernels: Sequence[tuple[RuledGrid | None, Array]], step: float
) -> Array:
    """The mean square error for each kernel, (kernels,), with the input rounded to this step."""
    rounded = step * np.rint(elements.windows / step)
    weights = np.stack([kernel[elements.channels] for _, kernel in kernels], axis=2)
    sums = np.einsum("et,etk->ek", rounded, weights)
    return _error(sums, elements.low[:, None], elements.high[:, None])


def _error(sums: Array, low: Array, high: Array) -> Array:
    """How far the sums are beyond their intervals, along the first axis, but for a few windows.

    Those may hold values beyond the grid's ends.
    """
    beyond = np.maximum(np.maximum(low - sums, sums - high), 0)
    most = np.maximum(high - low, np.inf if (high == low).all() else 0)
    ordered = np.sort(np.square(np.minimum(beyond, most)), axis=0)
    return np.asarray(ordered[: max(1, len(ordered) * 49 // 50)].mean(axis=0))


class InputScaleSearch:
    """Candidates with an input of 8 bits whose scale is read off the output."""

    def __init__(self, search: Search) -> None:
        self.search = search

    def level(self, edits: int, models: QuantizedModels) -> Iterator[Candidate]:
        """Candidates with so many edits beside the rounding: none, or a ReLU."""
        asked = self._asked(models, relu=edits == 1) if edits <= 1 else None
        if asked is None:
            return
        elements = self._elements(asked)
        if elements is None or not self._errors_may_be_rounding(elements, models):
            return
        for ruled, step in self._likely_steps(elements):
            kernel = None if ruled is None else ruled.rule
            grid = self._exact_grid(asked, kernel, step)
            model = models.with_input(ruled, RuledGrid(GridRule(8), grid))
            (x,), (w,) = self.search.forms.inputs(0, 0), self.search.forms.kernels(0, 0)
            cost = asked.output.cost + model.cost
            yield Candidate(x, w, asked.geometry, asked.output, model, cost)

    def _asked(self, models: QuantizedModels, *, relu: bool) -> Asked | None:
        problem = self.search.problem
        table, groups = self.search.asked_geometry(), self.search.forms.output_groups(0, 0)
        if table is None or not groups or not np.isfinite(problem.obtained).all():
            return None
        output = groups[0].forms[0]
        obtained = output.array.to_array().astype(np.float64)
        rounding = models.rounding
        low, high = obtained - rounding.decimal_error, obtained + rounding.decimal_error
        least, most = rounding.limits
        low, high = (
            np.where(obtained <= least, -np.inf, low),
            np.where(obtained >= most, np.inf, high),
        )
        if relu:
            if problem.obtained_range[0] != 0:
                return None
            edit = {"code": ActivationApplied.code, "obtained": "relu"}
            output = output.plus(edit, 0.1, change=RELU)
            low = np.where(obtained <= 0, -np.inf, low)
        bias = problem.channel_bias.reshape(1, -1, *(1,) * problem.spec.rank)
        return Asked(table.form(0), output, low - bias, high - bias)

    def _elements(self, asked: Asked, count: int = MAX_ELEMENTS) -> Elements | None:
        """At most so many elements whose sums are known but for their rounding."""
        problem, spec = self.search.problem, self.search.problem.spec
        known = np.flatnonzero(np.isfinite(asked.low + asked.high))
        if known.size < MIN_ELEMENTS:
            return None
        chosen = np.random.default_rng(5).choice(known, min(count, known.size), False)
        item, channel, *places = np.unravel_index(chosen, asked.low.shape)
        inner = spec.in_channels // spec.groups
        first = channel // (spec.out_channels // spec.groups) * inner
        table = self.search.asked_geometry()
        assert table is not None
        windows = gather_windows_by_row(
            self.search.forms.input_groups(0, 0)[0].arrays,
            np.zeros(len(chosen), int),
            item,
            first[:, None] + np.arange(inner),
            table.windows_by_row(
                np.zeros(len(chosen), int),
                np.stack(places, axis=1),
                problem.w.shape[2:],
                spec.input_size,
            ),
        )
        low, high = asked.low.reshape(-1)[chosen], asked.high.reshape(-1)[chosen]
        return Elements(windows, channel, low, high)

    def _kernels(self) -> list[tuple[RuledGrid | None, Array]]:
        """The kernel as it is and on the common grids, (O, terms)."""
        w = self.search.problem.w
        kernels: list[tuple[RuledGrid | None, Array]] = [(None, w.astype(np.float64))]
        for rule in along_axes(EIGHT_BITS, w.shape):
            if rule.axis != 1:
                ruled = RuledGrid(rule, rule.grid(w))
                rounded = ruled.grid.round(w)
                if not np.allclose(rounded, w, 1e-6, 0):
                    kernels.append((ruled, rounded))
        return [(ruled, kernel.reshape(len(kernel), -1)) for ruled, kernel in kernels]

    def _errors_may_be_rounding(self, elements: Elements, models: QuantizedModels) -> bool:
        """Whether the errors of the asked convolution are as large as 8 bits cause."""
        w = self._kernels()[0][1]
        windows = elements.windows
        sums = np.einsum("et,et->e", windows, w[elements.channels])
        error = sums - (elements.low + elements.high) / 2
        steps = np.ptp(self.search.problem.x) / 255, np.abs(w).max() / 127
        usual = np.square(steps[0] * np.linalg.norm(w[elements.channels], axis=1))
        usual += np.square(steps[1] * np.linalg.norm(windows, axis=1))
        usual += np.square(2 * models.rounding.decimal_error)
        ratio = float(np.sqrt(np.square(error).mean() / max(usual.mean() / 12, 1e-300)))
        return LEAST_ERROR < ratio < LARGEST_ERROR

    def _likely_steps(self, elements: Elements) -> list[tuple[RuledGrid | None, float]]:
        """The grids of the kernel with the input's step that leave the smallest errors."""
        spread = float(np.ptp(self.search.problem.x))
        count = int(np.log(LARGEST_STEP / LEAST_STEP) / np.log(RATIO)) + 1
        steps = spread * LEAST_STEP * RATIO ** np.arange(count)
        windows = elements.windows
        used = max(MIN_ELEMENTS, min(len(windows), MAX_ROUNDED // (count * windows.shape[1])))
        kernels = self._kernels()
        some = elements.first(used)
        errors = np.stack([_errors(some, kernels, step) for step in steps])
        number = int(errors.min(axis=1).argmin())
        if errors[number].min() * (1 + GAIN_OF_ONE / np.sqrt(used)) > np.median(errors):
            return []
        # All elements tell the kernels apart.
        best = np.argsort(_errors(elements, kernels, steps[number]))[:MAX_REFINED]
        return [(kernels[kernel][0], float(steps[number])) for kernel in best.tolist()]

    def _exact_grid(self, asked: Asked, kernel: GridRule | None, step: float) -> ValueGrid:
        """The grid of about this step under which the most elements agree."""
        problem = self.search.problem
        x = problem.x.astype(np.float32)
        w = problem.w if kernel is None else kernel.grid(problem.w).round(problem.w)
        correlation, groups = asked.geometry.correlation(), problem.spec.groups
        size = asked.low.shape[2:]

        def sums_of(ends: Ends, step: float) -> Array:
            numbers = np.clip(np.rint(x / np.float32(step)), *ends)
            return correlate(numbers, w, correlation, groups, size)

        def score(ends: Ends, step: float) -> tuple[int, float]:
            values = step * sums_of(ends, step)
            agreeing = int(((values >= asked.low) & (values <= asked.high)).sum())
            known = np.isfinite(asked.low + asked.high)
            error = values[known] - (asked.low + asked.high)[known] / 2
            return agreeing, -float(np.square(error).sum())

        def refined(ends: Ends, step: float) -> float:
            best = score(ends, step)
            for _ in range(ROUNDS):
                nearer = _agreeing_step(sums_of(ends, step), asked.low, asked.high, step)
                its_score = score(ends, nearer)
                if its_score <= best:
                    break
                step, best = nearer, its_score
            return step

        step = self._nearer(asked, w.reshape(len(w), -1), step)
        products = problem.obtained.size * problem.spec.terms
        possible = _possible_ends(x, step, may_cut=products <= MAX_PRODUCTS_TO_CUT)
        ends = (
            possible[0] if len(possible) == 1 else max(possible, key=lambda ends: score(ends, step))
        )
        step = refined(ends, step)
        scale, zero_point, low, high = (
            np.asarray(number, np.float32)
            for number in (step, _zero_point(possible[0], ends), *ends)
        )
        return ValueGrid(scale, zero_point, low, high)

    def _nearer(self, asked: Asked, kernel: Array, step: float) -> float:
        """The step near this one under which the most elements agree, on finer and finer grids."""
        elements = self._elements(asked, MAX_CLOSE_ELEMENTS)
        if elements is None:
            return step
        for ratio in FINER_RATIOS:
            steps = step * (1 + ratio * np.arange(-FINER_STEPS, FINER_STEPS + 1))
            used = max(MIN_ELEMENTS, MAX_ROUNDED // (len(steps) * kernel.shape[1]))
            some = elements.first(used)
            agreeing, errors = np.empty(len(steps)), np.empty(len(steps))
            for number, tried in enumerate(steps):
                rounded = tried * np.rint(some.windows / tried)
                sums = np.einsum("et,et->e", rounded, kernel[some.channels])
                agreeing[number] = ((sums >= some.low) & (sums <= some.high)).sum()
                errors[number] = _error(sums, some.low, some.high)
            best = np.flatnonzero(agreeing == agreeing.max())
            step = float(steps[best[errors[best].argmin()]])
        return step


def _zero_point(found: Ends, ends: Ends) -> float:
    """The number that stands for 0 on a grid with these ends, for numbers with the ends `found`.

    Where one end cut numbers off, it is that of an unsigned type.
    """
    if ends not in WHOLE_TYPES and found[0] < ends[0]:
        return -ends[0]
    if ends not in WHOLE_TYPES and found[1] > ends[1]:
        return MOST_NUMBERS[0] - ends[1]
    return zero_point_of(*ends)


def _possible_ends(x: Array, step: float, *, may_cut: bool) -> list[Ends]:
    """The ends that a grid of 8 bits, or of 7, may have, as whole numbers.

    With `may_cut` also those of which one cuts off a range that is small enough for the grid.
    """
    low, high = (float(np.rint(end / step)) for end in (min(x.min(), 0), max(x.max(), 0)))
    # Types without a zero point, whatever the input's range is.
    possible = [ends for ends in WHOLE_TYPES if low < ends[0] or high > ends[1]]
    for most in MOST_NUMBERS:
        spare = int(high - low) - most
        if 0 < spare <= MAX_CUT:
            possible += [(low + cut, low + cut + most) for cut in range(spare + 1)]
    cuts = range(1, MAX_CUT + 1) if may_cut and high - low <= MOST_NUMBERS[0] else ()
    possible += [ends for cut in cuts for ends in ((low + cut, high), (low, high - cut))]
    return [(low, high), *possible]


def _agreeing_step(sums: Array, low: Array, high: Array, step: float) -> float:
    """The step by which the most of the sums lie between `low` and `high`, near the given one."""
    used = np.flatnonzero(np.abs(sums) > 0)
    sums, low, high = (array.reshape(-1)[used] for array in (sums, low, high))
    with np.errstate(invalid="ignore"):
        ends = np.sort(np.stack([low / sums, high / sums]), axis=0)
    if (high - low).max(initial=0) == 0:
        # The output was not rounded.
        finite = np.isfinite(low)
        return float((sums * low)[finite].sum() / np.square(sums[finite]).sum())
    near = (ends > step * 0.99) & (ends < step * 1.01)
    places = np.concatenate([ends[0][near[0]], ends[1][near[1]]])
    if not places.size:
        return step
    changes = np.repeat([1, -1], [int(near[0].sum()), int(near[1].sum())])
    order = np.argsort(places)
    counts = np.cumsum(changes[order])
    best = int(counts.argmax())
    ordered = places[order]
    return float((ordered[best] + ordered[min(best + 1, len(ordered) - 1)]) / 2)
