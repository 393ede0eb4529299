"""The precision models that are possible for an output, and the one that fits it.

The error bound alone cannot see TF32 in a long sum.  Where errors are larger than sums usually show
them, every model is therefore tried: one that rounds operands is the answer if it leaves a far
smaller error than the asked precision does.  Sums accumulated in a narrow type leave no smaller
error; they are recognized by errors of the size and evenness that such sums have.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from convdiff.diagnose.core.output_grid import QUANTIZED
from convdiff.diagnose.core.partial_sums import usual_rms_units
from convdiff.diagnose.core.precision_evidence import (
    OPERAND_SAMPLE,
    natural_decimals,
    printed_grids,
)
from convdiff.diagnose.core.precision_model import (
    SIXTEEN_BIT_FORMATS,
    PrecisionModel,
    precision_edit,
)
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.core.winograd import winograd_name
from convdiff.numerics.error_bound import Comparison, Rounding
from convdiff.numerics.precision import ROUND_TO, half_ulp
from convdiff.numerics.reference import Reference, compute_reference
from convdiff.spec.canonical import normal_output
from convdiff.spec.layout import Array

# Root mean square units that correct sums of any length stay below: nothing to explain.
UNREMARKABLE_RMS_UNITS = 0.5
# A model with rounded operands must leave errors this many times smaller, root mean square.
MIN_IMPROVEMENT = 4.0
# Rounding both operands moves an element by at most this share of S (bfloat16: a little more than
# 2^-8 for each).
MAX_OPERAND_ERROR = 2.0**-6.9
# A single element is wrong, and not merely rounded, if its error is beyond both limits: times what
# is usual for that element in narrow sums, and times the root mean square of all errors.
MAX_TIMES_USUAL, MAX_TIMES_RMS = 8.0, 10.0
# Narrow sums show root mean square errors up to the first, and so many times those of their partial
# sums more.
MIN_TYPICAL_RMS_UNITS, MAX_TIMES_USUAL_RMS = 1.5, 3.0
# The least root mean square units that the second limit is taken of.
MIN_RMS_UNITS = 0.3
# Outputs with fewer elements cannot tell a fault from narrow sums.
MIN_ELEMENTS_FOR_NARROW_SUMS = 64
# Products from which on a model is tried on a few elements first.
MANY_PRODUCTS = 1 << 22


def operand_models(problem: Problem) -> Iterator[PrecisionModel]:
    """Models of float32 sums whose operands were rounded to a format that hardware multiplies in.

    Both operands first, then one alone: weights or features may be stored in 16 bits.  Formats that
    hold the operands already are left out.
    """
    rounding = problem.rounding
    if rounding.compute_dtype != "float32":
        return
    samples = [
        array.reshape(-1)[:: max(1, array.size // OPERAND_SAMPLE)]
        for array in (problem.input, problem.kernel)
    ]
    tf32, fp16 = precision_edit("tf32", "inputs"), precision_edit("fp16", "inputs")
    both = (
        # Within float16's range, TF32 and float16 round alike.
        PrecisionModel(rounding, "tf32", (tf32,), rivals=((fp16,),)),
        PrecisionModel(rounding, "tf32 (truncated)", (tf32,)),
        PrecisionModel(rounding, "bf16", (precision_edit("bf16", "inputs"),)),
        PrecisionModel(rounding, "fp16", (fp16,)),
    )
    changed = {
        precision.operand_format: [
            not np.array_equal(precision.round_operand(sample, "kernel"), sample, equal_nan=True)
            for sample in samples
        ]
        for precision in both
    }
    yield from (precision for precision in both if any(changed[precision.operand_format]))
    for operand, name in itertools.product(("kernel", "input"), SIXTEEN_BIT_FORMATS.values()):
        # If rounding leaves the other operand as it is, the models above say the same.
        if all(changed[name]):
            yield PrecisionModel(
                rounding, name, (precision_edit(name, operand),), rounded_operands=(operand,)
            )


def narrow_sum_models(problem: Problem) -> Iterator[PrecisionModel]:
    """Models of sums accumulated in the 16-bit type of the output, for a fault beside them.

    They allow for the errors that such sums usually show; their bound would hide any fault.
    """
    rounding = problem.rounding
    if rounding.compute_dtype != "float32" or problem.obtained.size < MIN_ELEMENTS_FOR_NARROW_SUMS:
        return
    stored = {rounding.stored_dtype}
    stored |= {precision.rounding.stored_dtype for precision in problem.suggested_models}
    for dtype in sorted(stored & set(SIXTEEN_BIT_FORMATS)):
        narrow = replace(rounding, compute_dtype=dtype, stored_dtype=dtype)
        if narrow.distinguishes_faults:
            name = SIXTEEN_BIT_FORMATS[dtype]
            edits = () if problem.spec.dtype == dtype else (precision_edit(name, "accumulator"),)
            yield PrecisionModel(
                replace(narrow, terms=int(narrow.typical_max_units)),
                name,
                edits,
                could_hide_fault=True,
            )


def rounded_problems(precision: PrecisionModel, problem: Problem) -> Iterator[Problem]:
    """`problem` with its operands rounded as in the model, once for each bias it may have added."""
    if precision.operand_format is None:
        yield replace(problem, rounding=precision.rounding)
        return
    round_to = ROUND_TO[precision.operand_format]
    x, w = (
        round_to(np.asarray(array)) if operand in precision.rounded_operands else array
        for operand, array in (("input", problem.input), ("kernel", problem.kernel))
    )
    rounded = replace(problem, input=x, kernel=w, rounding=precision.rounding)
    if problem.bias is None:
        yield rounded
        return
    for bias in precision.possible_biases(np.asarray(problem.bias)):
        yield replace(rounded, bias=bias)


def is_worth_fitting(comparison: Comparison, rounding: Rounding) -> bool:
    """Whether an output within the error bound may still have been computed in less precision."""
    return rounding.stored_narrower or comparison.mean_square_units > UNREMARKABLE_RMS_UNITS**2


def best_model(
    problem: Problem, reference: Reference, comparison: Comparison
) -> PrecisionModel | None:
    """The first model of reduced precision that explains every element, or None.

    `reference` is that of the asked precision, and `comparison` the output's with it.
    """
    obtained = normal_output(problem.spec, problem.obtained)
    for precision in _models_to_try(problem, reference, comparison):
        for rounded in rounded_problems(precision, problem):
            if _fits(precision, problem, rounded, obtained, reference, comparison):
                return precision
        if precision.has_narrow_sums:
            algorithm = _winograd_name(precision, problem, obtained, reference)
            if algorithm is not None:
                (edit,) = precision.edits
                return replace(precision, edits=({**edit, "algorithm": f"Winograd {algorithm}"},))
    return None


def _winograd_name(
    precision: PrecisionModel, problem: Problem, obtained: Array, reference: Reference
) -> str | None:
    """The Winograd algorithm whose transforms and sums, in the model's type, have such errors."""
    rounding = precision.rounding
    storage = half_ulp(reference.output, rounding.stored_dtype)
    return winograd_name(problem, obtained, reference, storage, rounding.unit_roundoff)


def _models_to_try(
    problem: Problem, reference: Reference, comparison: Comparison
) -> Iterator[PrecisionModel]:
    worst = comparison.stats.units
    for precision in problem.suggested_models:
        if precision.has_narrow_sums and worst <= problem.rounding.bound_units:
            # The asked precision explains the output already, with a smaller bound.
            continue
        if precision.rounding.decimal_error and _is_exact_on_grid(problem, reference, precision):
            continue
        yield precision
    if worst * problem.rounding.unit_roundoff <= MAX_OPERAND_ERROR:
        yield from operand_models(problem)


def _is_exact_on_grid(problem: Problem, reference: Reference, precision: PrecisionModel) -> bool:
    """Whether the exact sums lie on the model's grid: then nobody rounded them to it."""
    grid = problem.output_grid
    if grid is not None and any(edit["code"] == QUANTIZED for edit in precision.edits):
        return grid.holds(reference.output)
    exact = reference.output.astype(problem.obtained.dtype)
    natural = natural_decimals(problem.operands, problem.spec.pad_value)
    return any(
        precision_edit(digits, "output") in precision.edits
        for digits, _ in printed_grids(exact, natural)
    )


def _fits(
    precision: PrecisionModel,
    problem: Problem,
    rounded: Problem,
    obtained: Array,
    reference: Reference,
    comparison: Comparison,
) -> bool:
    """Whether a model explains every element, and clearly better than the asked precision.

    `rounded` is `problem` under the model; `reference` and `comparison` are as in `best_model`.
    """
    rounding = precision.rounding
    rms_as_asked = np.sqrt(comparison.mean_square_units)
    if precision.operand_format is not None:
        sampled = _sampled_units(rounded, obtained)
        if sampled.size and _root_mean_square(sampled) * MIN_IMPROVEMENT > rms_as_asked:
            return False
        reference = compute_reference(rounded.spec, rounded.input, rounded.kernel, rounded.bias)
    units = rounding.excess_units(obtained, reference.output, reference.scale)
    if not (units <= rounding.bound_units).all():
        return False
    if precision.has_narrow_sums:
        return _resembles_narrow_sums(units, reference, problem, rounding)
    if precision.operand_format is None:
        return True
    # In the units of the asked precision.
    rms = _root_mean_square(units) * rounding.unit_roundoff / problem.rounding.unit_roundoff
    return bool(rms * MIN_IMPROVEMENT < rms_as_asked)


def _resembles_narrow_sums(
    units: Array, reference: Reference, problem: Problem, rounding: Rounding
) -> bool:
    """Whether errors (units of the narrow type) have the size and evenness of narrow sums' errors.

    They are as large as usual altogether, and nowhere far larger than elsewhere, which would be a
    wrong element.
    """
    rms = _root_mean_square(units)
    with np.errstate(all="ignore"):
        # A sum that grows from term to term loses more at each: up to sqrt(n) units where no terms
        # cancel.
        usual_units = 1 + np.sqrt(rounding.terms) * np.nan_to_num(
            np.abs(reference.output) / reference.scale
        )
        times_usual = units / usual_units
    is_typical = _root_mean_square(times_usual) <= 1 or (
        rounding.is_typical_rms(rms)
        and rms <= MIN_TYPICAL_RMS_UNITS + MAX_TIMES_USUAL_RMS * usual_rms_units(problem)
    )
    return is_typical and bool(
        times_usual.max() <= MAX_TIMES_USUAL
        or units.max() <= MAX_TIMES_RMS * max(rms, MIN_RMS_UNITS)
    )


def _sampled_units(problem: Problem, obtained: Array) -> Array:
    """The excess units of the first batch item; empty where trying all elements is cheap."""
    spec = problem.spec
    if (
        spec.batch == 1
        or obtained.size * spec.terms < MANY_PRODUCTS
        or "N" not in spec.input_layout
    ):
        return np.empty(0)
    item = np.take(problem.input, [0], axis=spec.input_layout.index("N"))
    expected = compute_reference(replace(spec, batch=1), item, problem.kernel, problem.bias)
    return problem.rounding.excess_units(obtained[:1], expected.output, expected.scale)


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt(np.square(values).mean()))
