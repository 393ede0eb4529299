"""How the numbers may have been made: the type that operands were rounded to, and what the rest may
be off by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import ROUNDINGS, width
from convdiff.records import Edit
from convdiff.spec.layout import Array

# Five times the root mean square error, in |window| max|kernel|, of rounding both operands to
# bfloat16.
ROUGH = 5 * 2.0**-9


@dataclass(frozen=True)
class PrecisionModel:
    """One way the numbers may have been made: operands rounded or not, what the rest may be off by,
    the edits that say it.

    `operands` is what both were rounded to, or those that `sides` names.
    """

    rounding: Rounding
    operands: str | None = None
    edits: tuple[Edit, ...] = ()
    rivals: tuple[tuple[Edit, ...], ...] = ()
    # Whether a kernel counts by its largest element, not by its length, in what rounding may
    # change.
    by_peaks: bool = False
    # Whether what the rest may be off by is so much that it could hide a fault.
    wide: bool = False
    sides: tuple[str, ...] = ("input", "kernel")

    @property
    def accumulates(self) -> bool:
        """Whether sums were kept in a narrow type."""
        return any(edit["where"] == "accumulator" for edit in self.edits)

    @cached_property
    def rough(self) -> PrecisionModel:
        """Operands as they are, and as much slack as rounding them would need: what it leaves is
        then looked at as this making says.

        Roundings of many terms are independent: errors go with the length of the terms, of which
        |window| max|kernel| is a generous estimate; where terms are alike they go with the value
        itself, as storing it would.  Both are taken as bfloat16's, the widest.
        """
        stored = (
            "bfloat16" if width(self.rounding.stored) > width("bfloat16") else self.rounding.stored
        )
        return PrecisionModel(
            replace(self.rounding, terms=int(ROUGH / self.rounding.unit), stored=stored),
            by_peaks=True,
        )

    @property
    def cost(self) -> float:
        """A little more than another edit."""
        return 1.1 * len(self.edits)

    def rounds(self, values: Array, side: str) -> Array:
        """The `side` ("input" or "kernel") as this making rounds it: a float64 copy where it does,
        else as it is.
        """
        if self.operands is None or side not in self.sides:
            return values
        return np.asarray(ROUNDINGS[self.operands](values), np.float64)

    def biases(self, values: Array) -> tuple[Array, ...]:
        """A bias as this making may have added it, likeliest first.

        A tensor core multiplies in TF32 and adds the bias in float32; 16-bit layers have a 16-bit
        bias, unless only the operands are narrow, or only the input is.
        """
        if self.operands is None or "tf32" in self.operands or "kernel" not in self.sides:
            return (values,)
        narrow = self.rounds(values, "kernel")
        return (values,) if np.array_equal(narrow, values) else (narrow, values)

    def problems(self, problem: Problem) -> Iterator[Problem]:
        """`problem` with its operands rounded as this making says, for each way it may have added
        the bias.
        """
        if self.operands is None:
            yield replace(problem, rounding=self.rounding)
            return
        x, w = (
            ROUNDINGS[self.operands](np.asarray(array)) if side in self.sides else array
            for side, array in (("input", problem.input), ("kernel", problem.kernel))
        )
        made = replace(problem, input=x, kernel=w, rounding=self.rounding)
        for bias in (None,) if problem.bias is None else self.biases(np.asarray(problem.bias)):
            yield replace(made, bias=bias)
