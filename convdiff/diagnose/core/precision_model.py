"""A precision model: one way that operands, sums and results may have been rounded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from convdiff.diagnose.core.operand_grid import GridRule, ValueGrid
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import ROUND_TO, significand_bits
from convdiff.records import Edit
from convdiff.spec.layout import Array

# The code of the hypothesis `ReducedPrecision`.
REDUCED_PRECISION = "reduced-precision"
# The 16-bit types, with the names that edits and `ROUND_TO` have for them.
SIXTEEN_BIT_FORMATS = {"float16": "fp16", "bfloat16": "bf16"}
# Five times the root mean square error, relative to |window| max|kernel|, of rounding both operands
# to bfloat16.
SCREENING_ERROR = 5 * 2.0**-9
# How many times the root mean square error of rounding to a grid, 1/sqrt(12) of a step, is allowed.
GRID_SCREENING_ERROR = 5 / np.sqrt(12)


def precision_edit(obtained: str, where: str) -> Edit:
    """The edit "`where` (inputs, input, kernel, accumulator, output) was rounded to `obtained`"."""
    return {"code": REDUCED_PRECISION, "obtained": obtained, "where": where}


@dataclass(frozen=True)
class PrecisionModel:
    """One way that an output's numbers may have been computed and stored.

    rounding: the errors that computing and storing explain.
    operand_format: the format (a key of `ROUND_TO`) that operands were rounded to first, or None.
    edits: the reduced-precision edits that describe the model; none for the asked precision.
    rivals: edits of other models that no array at hand tells from this one.
    uses_kernel_max: whether error estimates take a kernel's largest element for its norm.
    could_hide_fault: whether the explained errors are so large that a fault could hide in them.
    rounded_operands: the operands that were rounded to `operand_format`.
    kernel_grid, input_grid: the grid of a few bits that the kernel or the input was rounded to.
    kernel_peak: the least that error estimates take for a kernel's largest element.
    screening_errors: what `screening_model` allows for grids: relative to |window| max|kernel|, and
        absolute.
    """

    rounding: Rounding
    operand_format: str | None = None
    edits: tuple[Edit, ...] = ()
    rivals: tuple[tuple[Edit, ...], ...] = ()
    uses_kernel_max: bool = False
    could_hide_fault: bool = False
    rounded_operands: tuple[str, ...] = ("input", "kernel")
    kernel_grid: GridRule | None = None
    input_grid: ValueGrid | None = None
    kernel_peak: float = 0.0
    screening_errors: tuple[float, float] = (0.0, 0.0)

    @property
    def rounds_operands(self) -> bool:
        """Whether operands were rounded before they were multiplied."""
        return self.operand_format is not None or self.has_grids

    @property
    def has_grids(self) -> bool:
        """Whether an operand was rounded to a grid of a few bits."""
        return self.kernel_grid is not None or self.input_grid is not None

    @property
    def has_narrow_sums(self) -> bool:
        """Whether sums were accumulated in a narrower type than asked."""
        return any(edit.get("where") == "accumulator" for edit in self.edits)

    @cached_property
    def screening_model(self) -> PrecisionModel:
        """A model without rounded operands that allows for the error of rounding them.

        It screens combinations without rounding their operands; the model itself then checks what
        is left.  Errors of many rounded terms are independent, so they grow with the norm of the
        terms, of which |window| max|kernel| is a generous estimate.  Where the terms are alike the
        error grows with the sum itself, as that of storing it does.  Both errors are taken as
        bfloat16's, the widest.
        """
        if self.has_grids:
            relative, absolute = self.screening_errors
            rounding = replace(
                self.rounding,
                terms=self.rounding.terms + int(relative / self.rounding.unit_roundoff),
                decimal_error=self.rounding.decimal_error + absolute,
            )
            return PrecisionModel(rounding, uses_kernel_max=True, kernel_peak=self.kernel_peak)
        stored_dtype = (
            "bfloat16"
            if significand_bits(self.rounding.stored_dtype) > significand_bits("bfloat16")
            else self.rounding.stored_dtype
        )
        terms = int(SCREENING_ERROR / self.rounding.unit_roundoff)
        return PrecisionModel(
            replace(self.rounding, terms=terms, stored_dtype=stored_dtype), uses_kernel_max=True
        )

    @property
    def cost(self) -> float:
        """The cost of the model's edits: a little more than that of other edits."""
        return 1.1 * len(self.edits)

    def round_operand(self, values: Array, operand: str) -> Array:
        """Values of the "input" or "kernel" as the model rounds them.

        A kernel is (O, I per group, *space): the grid may depend on all of it.  The result is
        float64 if they are rounded, else `values` itself.
        """
        if operand == "input" and self.input_grid is not None:
            return self.input_grid.round(values)
        if operand == "kernel" and self.kernel_grid is not None:
            return self.kernel_grid.grid(values).round(values)
        if self.operand_format is None or operand not in self.rounded_operands:
            return values
        return np.asarray(ROUND_TO[self.operand_format](values), np.float64)

    def possible_biases(self, values: Array) -> tuple[Array, ...]:
        """The bias as the model may have added it, likeliest first.

        A tensor core multiplies in TF32 and adds the bias in float32.  A 16-bit layer has a 16-bit
        bias, unless only its operands are narrow, or only its input.
        """
        if (
            self.operand_format is None
            or "tf32" in self.operand_format
            or "kernel" not in self.rounded_operands
        ):
            return (values,)
        narrow = self.round_operand(values, "kernel")
        return (values,) if np.array_equal(narrow, values) else (narrow, values)
