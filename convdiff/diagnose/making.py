"""How the numbers may have been made: the type that operands were rounded to, and what the rest may be off by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convdiff.case import Edit
from convdiff.compare import Rounding
from convdiff.diagnose.problem import Problem
from convdiff.layout import Array
from convdiff.precision import ROUNDINGS


@dataclass(frozen=True)
class Making:
    """One way the numbers may have been made: operands rounded or not, what the rest may be off by, the edits that say it."""

    rounding: Rounding
    operands: str | None = None
    edits: tuple[Edit, ...] = ()
    rivals: tuple[tuple[Edit, ...], ...] = ()

    @property
    def cost(self) -> float:
        """A little more than another edit."""
        return 1.1 * len(self.edits)

    def rounds(self, values: Array) -> Array:
        """Float64 copies of operands as this making rounds them."""
        return values if self.operands is None else np.asarray(ROUNDINGS[self.operands](values), np.float64)

    def rounds_bias(self, values: Array) -> Array:
        """A tensor core multiplies in TF32 and adds the bias in float32; 16-bit layers have a 16-bit bias."""
        return values if self.operands is None or "tf32" in self.operands else self.rounds(values)

    def problem(self, problem: Problem) -> Problem:
        """`problem` with its operands rounded as this making says."""
        if self.operands is None:
            return replace(problem, rounding=self.rounding)
        rounded = ROUNDINGS[self.operands]
        bias = None if problem.bias is None else self.rounds_bias(np.asarray(problem.bias))
        return replace(
            problem, input=rounded(np.asarray(problem.input)), kernel=rounded(np.asarray(problem.kernel)), bias=bias,
            rounding=self.rounding,
        )
