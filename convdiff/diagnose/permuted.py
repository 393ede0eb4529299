"""The input's channels in an unknown order, alone or beside other edits.

There are too many orders to try.  But with a geometry and an output order given, every output element is one linear equation in
the kernel's weights; where the solution predicts elements held back, it is the kernel that was used, and only its channels' order
is left to be read off: it is the given kernel's, or an edited one's, up to the order of its channels, a factor and a constant.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from convdiff.diagnose.candidate import Candidate
from convdiff.diagnose.equations import dense, elements, equations
from convdiff.diagnose.fitted import OutputBatchPermuted
from convdiff.diagnose.forms import OutputForm
from convdiff.diagnose.geometries import Geometries
from convdiff.diagnose.inputs import ENUMERATED
from convdiff.diagnose.making import Making
from convdiff.diagnose.placed import Bundle
from convdiff.diagnose.search import Search
from convdiff.layout import Array
from convdiff.precision import UNIT

# Elements held back from the fit, and how near the solution must come to them, as a share of the outputs' spread.
HELD = 24
# Equations for each unknown, where there are so many: of a strided transposed convolution each element has only some of the taps.
OVER = 3
CLOSE = 1e-3
# The same for a narrow type, in its unit roundoff.
NARROW = 24
# Multiplications that solving for the asked geometry may cost, and for the others; of those the likeliest are tried.
MOST_WORK = 3e8
MOST_WORK_OTHERS = 6e7
# Two kernels are the same if they are so near, as a share of the kernel's spread.
SAME = 0.02


@dataclass
class PermutedInput:
    """Explanations with the input's channels permuted, of the asked operation."""

    search: Search
    making: Making
    _solvable: dict[tuple[int, int], list[tuple[Geometries, int, OutputForm]]] = field(default_factory=dict)

    def level(self, edits: int) -> Iterator[Candidate]:
        """Candidates with so many edits, the permutation among them; at most one in each other stage."""
        problem = self.search.problem
        if problem.spec.in_channels <= ENUMERATED or not np.isfinite(problem.obtained).all():
            return
        for geometry in (0, 1):
            for output in (0, 1):
                kernel = edits - 1 - geometry - output
                if kernel in (0, 1):
                    for geometries, number, form in self.solvable(geometry, output):
                        yield from self._orders(geometries, number, form, kernel)

    def solvable(self, geometry_edits: int, output_edits: int) -> list[tuple[Geometries, int, OutputForm]]:
        """The geometries and output orders, with so many edits each, under which some kernel explains the output."""
        key = geometry_edits, output_edits
        if key in self._solvable:
            return self._solvable[key]
        found = self._solvable[key] = []
        spec = self.search.problem.spec
        for y in self.search.output_groups(0, output_edits):
            linear = [form for each in y.forms for form in _linear(each)]
            (x,) = self.search.groups("inputs", 0, 0)
            if not linear or y.shape[0] != x.shape[0]:
                continue
            # Bias and factor are read off the solution: forms that differ in nothing else are one.
            distinct = list({id(form.array): form for form in reversed(linear)}.values())
            for geometry in self.search.geometries(0, x.shape[2:], spec.kernel_size, y.shape[2:], geometry_edits, 1 << 20):
                likeliest = self._affordable(geometry, geometry_edits)
                for number, form in self._consistent(likeliest, y.shape, distinct):
                    found.append((likeliest, number, distinct[form]))
        return found

    @property
    def _unknowns(self) -> int:
        """The weights of one output channel, and its constant."""
        spec = self.search.problem.spec
        return spec.in_channels * math.prod(spec.kernel_size) + 1

    def _affordable(self, geometry: Geometries, edits: int) -> Geometries:
        """As many as may be solved for, the likeliest."""
        most = int((MOST_WORK_OTHERS if edits else MOST_WORK) // self._unknowns**3)
        return geometry if len(geometry) <= most else geometry.only(np.sort(np.argsort(geometry.costs, kind="stable")[:most]))

    def _consistent(self, geometry: Geometries, shape: tuple[int, ...], forms: list[OutputForm]) -> Iterator[tuple[int, int]]:
        """Numbers of the geometries and forms whose equations have a solution that predicts what was held back."""
        unknowns, places = self._unknowns, shape[0] * math.prod(shape[2:])
        if not len(geometry) or places < unknowns + HELD // 2:
            return
        chosen = np.random.default_rng(11).permutation(places)[: OVER * unknowns + HELD]
        targets = Bundle([form.array for form in forms]).look_up(*elements(chosen, shape, channel=0)).T
        rows = equations(self.search.problem, geometry, chosen, shape)
        held = min(HELD, len(chosen) - unknowns)
        fit = rows[:, held:]
        crossed = fit.swapaxes(1, 2) @ fit
        # A tap that meets nothing but padding has any weight: the smallest will do.
        crossed += 1e-12 * np.trace(crossed, axis1=1, axis2=2)[:, None, None] * np.eye(unknowns)
        weights = np.linalg.solve(crossed, fit.swapaxes(1, 2) @ targets[held:])
        error = np.abs(rows[:, :held] @ weights - targets[:held]).max(axis=1)
        good = error <= max(CLOSE, NARROW * UNIT[self.making.rounding.stored]) * targets.std(axis=0)
        yield from zip(*(each.tolist() for each in np.nonzero(good)), strict=True)

    def _orders(self, geometry: Geometries, number: int, form: OutputForm, kernel_edits: int) -> Iterator[Candidate]:
        """Kernels with so many edits that are the solved one up to the order of its channels, and a factor or a constant."""
        problem = self.search.problem
        spec = problem.spec
        solved = self._solved(geometry.only(np.array([number])), form)
        if solved is None:
            return
        weights, constants = solved
        (x,) = self.search.forms("inputs", 0, 0)
        for kernel in self.search.forms("kernels", 0, kernel_edits):
            given = dense(kernel.array.whole().astype(np.float64), spec.groups, spec.in_channels)
            if given.shape[2:] != weights.shape[2:]:
                continue
            order, factor = _order(weights, given)
            if order is None or order == sorted(order):
                continue
            output = self._output(form, constants, factor, spread=float(np.abs(given).sum(axis=(1, 2)).max()))
            if output is not None:
                edit = {"code": "input-channels-permuted", "permutation": order}
                edit = {"code": "input-channels-reversed"} if order == sorted(order)[::-1] else edit
                made = x.plus(edit, 0.4, array=x.array.along(1, order))
                shape = geometry.form(number)
                yield Candidate(made, kernel, shape, output, self.making, made.cost + kernel.cost + shape.cost + output.cost)

    def _solved(self, geometry: Geometries, form: OutputForm) -> tuple[Array, Array] | None:
        """(O, C, *taps) and (O,): the weights and constants that explain the output under this one geometry."""
        spec, shape = self.search.problem.spec, form.array.shape
        places = shape[0] * math.prod(shape[2:])
        chosen = np.random.default_rng(12).permutation(places)[: OVER * self._unknowns]
        rows = equations(self.search.problem, geometry, chosen, shape)[0]
        item, _, *place = elements(chosen, shape, channel=0)
        channel = np.arange(shape[1])[None]
        targets = Bundle([form.array]).look_up(item[:, None], channel, *(p[:, None] for p in place))[0]
        found = np.linalg.lstsq(rows, targets, rcond=1e-9)[0]
        if not np.isfinite(found).all():
            return None
        return np.ascontiguousarray(found[:-1].T).reshape(shape[1], spec.in_channels, *spec.kernel_size), found[-1]

    def _output(self, form: OutputForm, constants: Array, factor: float, spread: float) -> OutputForm | None:
        """The output form that adds these constants and this factor to the order of `form`, with an edit for them at most."""
        bias = self.search.problem.channel_bias
        near = SAME * max(spread, float(np.abs(bias).max(initial=0)))
        # All forms that lie as `form` does: the plain one, those with the bias otherwise, up to a constant, up to a factor.
        forms: list[OutputForm] = [form, *(each for edits in (0, 1) for each in self.search.forms("outputs", 0, len(form.edits) + edits))]
        alike = [other for other in forms if other.array is form.array and other.values in ("plain", "offset", "factor")]
        scaled = abs(factor - 1) > SAME
        for other in alike:
            if other.values == "factor":
                fits = scaled and bool((np.abs(constants - factor * bias) <= near).all())
            else:
                fits = not scaled and (other.values == "offset" or bool((np.abs(constants - other.bias_factor * bias) <= near).all()))
            if fits:
                return other
        return None


def _linear(form: OutputForm) -> list[OutputForm]:
    """The form, or those of every order of a few items, if the convolution's values themselves stand in it; else none."""
    items = form.array.shape[0]
    if form.values != "items" or items > ENUMERATED:
        return [form] if form.values == "plain" else []
    made = []
    for order in itertools.islice(itertools.permutations(range(items)), 1, None):
        edits = tuple({**edit, "permutation": list(order)} if edit["code"] == OutputBatchPermuted.code else edit for edit in form.edits)
        made.append(replace(form, edits=edits, values="plain", array=form.array.along(0, np.argsort(order))))
    return made


def _order(solved: Array, given: Array) -> tuple[list[int] | None, float]:
    """For each channel of the given kernel the one of the solved in its place, and the factor between them; None if there is none."""
    scale = float(np.linalg.norm(solved) / max(float(np.linalg.norm(given)), 1e-300))
    one, other = (np.moveaxis(kernel, 1, 0).reshape(kernel.shape[1], -1) for kernel in (given * scale, solved))
    for sign in (1.0, -1.0):
        distance = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1) - 2 * sign * (one @ other.T)
        order = distance.argmin(axis=1)
        apart = float(np.sqrt(max(distance.min(axis=1).max(), 0)))
        if len(set(order.tolist())) == len(order) and apart <= SAME * float(np.sqrt(np.square(one).sum(axis=1).mean())):
            return order.tolist(), sign * scale
    return None, 1.0
