"""Precision models of quantized operands: input, kernel or both on grids of a few bits."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.operand_grid import (
    COARSE_KERNEL_RULES,
    COMMON_INPUT_RULES,
    EIGHT_BITS,
    FINE_KERNEL_RULES,
    FIXED_POINT_KERNEL_RULES,
    FLOAT_FORMATS,
    FLOATS,
    INPUT_RULES,
    POWER_OF_TWO,
    GridRule,
    ValueGrid,
    along_axes,
)
from convdiff.diagnose.core.output_grid import QUANTIZED, OutputGrid
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.numerics.error_bound import Rounding
from convdiff.records import Edit
from convdiff.spec.layout import Array

# How many times the root mean square error of rounding to a grid is allowed when combinations are
# screened: 1/sqrt(12) of a step.
SCREENED_STEPS = 5 / float(np.sqrt(12))
# Products with scales that were stored in float32, and rounded, add so many terms to the bound.
TERMS_OF_SCALES = 4
# The steps that the largest weight must have in fixed point, at least.
MIN_STEPS = 4
# Kernels with more weights take too long to be rounded in every way.
MAX_WEIGHTS = 1 << 20
# Elements of an operand that are held against a grid, to see whether they lie on it already.
OPERAND_SAMPLE = 1 << 14
AXES = {None: "tensor", 0: "O", 1: "I"}


class RuledGrid(NamedTuple):
    """A grid and the rule by which it follows from the values."""

    rule: GridRule
    grid: ValueGrid


# The grids of kernel and input.
GridPair = tuple[RuledGrid | None, RuledGrid | None]


class QuantizedModels:
    """The models of quantized operands for one problem, made when they are first asked for.

    Without `output_grid` the output was not rounded; with it, it was rounded to that grid.
    """

    def __init__(self, problem: Problem, output_grid: OutputGrid | None = None) -> None:
        self.problem = problem
        self.output_grid = output_grid

    @cached_property
    def alone(self) -> list[PrecisionModel]:
        """Kernels of 8 bits or in fixed point, inputs with all usual scales, and both."""
        peak = float(np.abs(self.problem.w).max())
        fixed_point = [
            rule for rule in FIXED_POINT_KERNEL_RULES if MIN_STEPS * (rule.scale or 0) <= peak
        ]
        kernels = self._kernel_grids([*FINE_KERNEL_RULES, *fixed_point])
        both = _pairs(self._kernel_grids(EIGHT_BITS), self._input_grids(COMMON_INPUT_RULES))
        both += _pairs(self._kernel_grids([POWER_OF_TWO]), self._input_grids([POWER_OF_TWO]))
        return self._models([*_kernels(kernels), *_inputs(self._input_grids(INPUT_RULES)), *both])

    @cached_property
    def coarse(self) -> list[PrecisionModel]:
        """Kernels of fewer bits, and of 8-bit floats, also with such inputs."""
        both = [
            pair
            for name in FLOAT_FORMATS
            for rules in [[rule for rule in FLOATS if rule.float_format == name]]
            for pair in _pairs(self._kernel_grids(rules), self._input_grids(rules))
        ]
        return self._models([*_kernels(self._kernel_grids(COARSE_KERNEL_RULES)), *both])

    @cached_property
    def beside_an_edit(self) -> list[PrecisionModel]:
        """Of `alone` the commonest."""
        kernels = [each for each in self._kernel_grids(EIGHT_BITS) if each.rule.axis != 1]
        inputs = self._input_grids((GridRule(8), GridRule(8, 127.0), GridRule(7)))
        return self._models([*self._beside_edits, *_pairs(kernels, inputs)])

    @cached_property
    def beside_edits(self) -> list[PrecisionModel]:
        """Those of one operand of 8 bits."""
        return self._models(self._beside_edits)

    @property
    def _beside_edits(self) -> list[GridPair]:
        kernels, inputs = self._kernel_grids(EIGHT_BITS), self._input_grids(COMMON_INPUT_RULES)
        return [*_kernels(kernels), *_inputs(inputs)]

    def with_input(self, kernel: RuledGrid | None, x: RuledGrid) -> PrecisionModel:
        """The model of these grids; None for a kernel that was not rounded."""
        return self._models([(kernel, x)])[0]

    @property
    def possible(self) -> bool:
        """Whether quantized operands are looked for: float32, finite, and not too many weights."""
        problem = self.problem
        return (
            problem.rounding.compute_dtype == "float32"
            and 0 < problem.w.size <= MAX_WEIGHTS
            and problem.x.size > 0
            and bool(np.isfinite(problem.w).all() and np.isfinite(problem.x).all())
        )

    @cached_property
    def rounding(self) -> Rounding:
        """What computing and storing explains, of the output's grid too."""
        rounding = self.problem.rounding
        rounding = replace(rounding, terms=rounding.terms + TERMS_OF_SCALES)
        return rounding if self.output_grid is None else self.output_grid.rounding(rounding)

    def _kernel_grids(self, rules: Iterable[GridRule]) -> list[RuledGrid]:
        """The grids that do not hold the kernel already."""
        w = self.problem.w
        ruled = [RuledGrid(rule, rule.grid(w)) for rule in along_axes(rules, w.shape)]
        return [each for each in ruled if not np.allclose(each.grid.round(w), w, 1e-6, 0)]

    def _input_grids(self, rules: Iterable[GridRule]) -> list[RuledGrid]:
        """The grids that do not hold the input already."""
        x = self.problem.x.reshape(-1)
        sample = x[:: max(1, x.size // OPERAND_SAMPLE)]
        ruled = [RuledGrid(rule, rule.grid(x)) for rule in rules]
        return [each for each in ruled if not np.allclose(each.grid.round(sample), sample, 1e-6, 0)]

    def _models(self, pairs: Sequence[GridPair]) -> list[PrecisionModel]:
        """A model for each pair of grids; they share their rounding and what screening allows."""
        w = self.problem.w.astype(np.float64).reshape(self.problem.w.shape[0], -1)
        norm, total = np.linalg.norm(w, axis=1).max(), np.abs(w.sum(axis=1)).max()
        peak = float(np.abs(w).max()) or 1.0
        shares = (
            kernel.rule.step_of_largest if kernel.rule.scale is None else kernel.rule.scale / peak
            for kernel, _ in pairs
            if kernel
        )
        share = max(shares, default=0.0)
        step = max((float(np.max(x.grid.scale)) for _, x in pairs if x), default=0.0)
        errors = SCREENED_STEPS * share, step * float(max(SCREENED_STEPS * norm, total / 2))
        rounding = self.rounding
        if self.problem.bias is not None:
            # The bias is stored in integers too, with the product of both scales.
            bias_steps = (
                float(np.max(kernel.grid.scale) * np.max(x.grid.scale))
                for kernel, x in pairs
                if kernel and x and kernel.rule.float_format is None
            )
            half_step = max(bias_steps, default=0.0) / 2
            rounding = replace(rounding, decimal_error=rounding.decimal_error + half_step)
        on_output = () if self.output_grid is None else (self.output_grid.edit,)
        return [
            PrecisionModel(
                rounding,
                edits=(
                    *([grid_edit("inputs", x)] if x else []),
                    *([grid_edit("kernel", kernel)] if kernel else []),
                    *on_output,
                ),
                could_hide_fault=self.output_grid is not None,
                kernel_grid=kernel.rule if kernel else None,
                input_grid=x.grid if x else None,
                kernel_peak=peak,
                screening_errors=errors,
            )
            for kernel, x in pairs
        ]


def _kernels(grids: Iterable[RuledGrid]) -> list[GridPair]:
    return [(each, None) for each in grids]


def _inputs(grids: Iterable[RuledGrid]) -> list[GridPair]:
    return [(None, each) for each in grids]


def _pairs(kernels: Iterable[RuledGrid], inputs: Iterable[RuledGrid]) -> list[GridPair]:
    return list(itertools.product(kernels, inputs))


def grid_edit(where: str, ruled: RuledGrid) -> Edit:
    """The edit "the input, or the kernel, was rounded to this grid"."""
    rule, grid = ruled
    edit: Edit = {
        "code": QUANTIZED,
        "where": where,
        "bits": rule.bits,
        "per": AXES[rule.axis],
        "scale": _numbers(grid.scale, 5),
        "zero_point": _numbers(grid.zero_point, 5),
    }
    return edit if rule.float_format is None else edit | {"type": rule.float_format}


def _numbers(values: Array, digits: int) -> object:
    """One number, or a list of them, with so many digits."""
    numbers = [float(f"{value:.{digits}g}") for value in np.ravel(values)]
    whole = [int(number) if number == int(number) else number for number in numbers]
    return whole[0] if np.ndim(values) == 0 else whole
