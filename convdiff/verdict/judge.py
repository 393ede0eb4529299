"""An answer judged: verdict by the error bound, then the diagnosis where it differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from convdiff.diagnose import (
    MOST_EDITS,
    Diagnosis,
    Explanation,
    PrecisionModel,
    Problem,
    best_model,
    clauses,
)
from convdiff.diagnose.core.precision_fit import UNREMARKABLE_RMS_UNITS
from convdiff.numerics.error_bound import (
    MAX_TO_MEDIAN,
    Comparison,
    Rounding,
    compare,
    within_normwise_bound,
)
from convdiff.numerics.precision import cast, significand_bits
from convdiff.numerics.reference import Reference, compute_reference
from convdiff.records import Answer, Case, ErrorStats, Finding, Row
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.verdict.localize import where
from convdiff.verdict.unflatten import first_part, unflattened

# The share of elements that differ below which the damage is local.
MOSTLY = 0.5

# Edits that are sought where sums kept in 16 bits would explain the output too.
MOST_HIDDEN = 2
# Edits whose numbers are fitted to the output.
FITTED = {"bias-added", "scaled", "channels-scaled"}

FAST = (
    "beyond rounding in a few elements, but no more than a fast algorithm (FFT, Winograd) adds "
    "to a channel as a whole"
)

_KINDS = {"float16": "float16", "float32": "float32", "float64": "float64"}


@dataclass(frozen=True)
class Operands:
    """The case's arrays as cast to one type, and what rounding in it costs."""

    dtype: str
    input: Array
    kernel: Array
    bias: Array | None

    @property
    def reach(self) -> float:
        """1 + the largest finite magnitudes of input and kernel."""
        return 1.0 + sum(_largest(array) for array in (self.input, self.kernel))


def _largest(array: Array) -> float:
    """The largest finite magnitude; 0 if there is none."""
    if not array.size:
        return 0.0
    top = max(abs(float(array.max())), abs(float(array.min())))
    return top if np.isfinite(top) else float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def _usual(bias: Array) -> float:
    """The largest magnitude of a bias, or not much more than is usual there: one channel's is not
    all others'.
    """
    sizes = np.abs(bias[np.isfinite(bias) & (bias != 0)]).astype(np.float64)
    return float(min(sizes.max(), MAX_TO_MEDIAN * np.median(sizes))) if sizes.size else 0.0


class Judge:
    """Judges answers to one case.  The reference is computed once for each type that arrays are
    cast to.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._operands: dict[str, Operands] = {}
        self._references: dict[str, Reference] = {}
        self._reach: dict[str, float] = {}

    def row(self, answer: Answer) -> Row:
        """The row for `answer`, whatever became of it."""
        # NaN, infinity and overflow are data here, compared by place and kind: numpy need not warn
        # of them.
        with np.errstate(all="ignore"):
            return self._row(answer)

    def row_without_diagnosis(self, answer: Answer, differing: Row) -> Row | None:
        """What is known, without a diagnosis, of an answer beyond rounding: nothing, unless a
        caller who knows more overrides this.
        """
        return None

    def _row(self, answer: Answer) -> Row:
        if answer.status != "ok" or answer.output is None:
            return Row(answer)
        output = answer.output
        if output.dtype.kind not in "fiub":
            return Row(
                answer, "incomparable", message=f"the output holds {output.dtype}, expected numbers"
            )
        if output.dtype.kind in "iub":
            output = output.astype(np.float64)
        spec = self.case.spec
        if output.shape != spec.shape("output"):
            output = with_axes(output, spec)
            flat = unflattened(output, spec)
            if flat is not None:
                made, order = flat
                row = self._row(replace(answer, output=made))
                said = (
                    f"it was flattened: {_dims(output.shape)}, read as {order} {_dims(made.shape)}"
                )
                return replace(row, message="; ".join(filter(None, (said, row.message))))
        if output.shape != spec.shape("output"):
            return self._of_another_shape(answer, output)
        obtained = normal_output(spec, output)
        compared: list[Comparison] = []
        for operands, rounding in self._roundings(answer, output):
            comparison = compare(obtained, self.reference(operands.dtype), rounding)
            comparison = replace(comparison, stats=self._located(comparison.stats))
            compared.append(comparison)
            if comparison.agrees:
                return self._agreeing(answer, output, operands, rounding, comparison)
            # A narrower output than was asked is another story than a fast algorithm.
            asked = significand_bits(rounding.stored_dtype) >= min(significand_bits(spec.dtype), 24)
            if asked and within_normwise_bound(obtained, self.reference(operands.dtype), rounding):
                return Row(answer, "rounding", comparison.stats, message=FAST)
        return self._differing(answer, output, compared[0], compared[self._diagnosed])

    def _located(self, stats: ErrorStats) -> ErrorStats:
        """The worst element's place in the output layout; comparisons give it as (N, C, *space)."""
        spec = self.case.spec
        places = dict(zip("NC" + spec.axes, stats.worst, strict=True))
        return replace(stats, worst=tuple(places[letter] for letter in spec.output_layout))

    def reference(self, dtype: str | None = None) -> Reference:
        """The reference for the arrays cast to `dtype` (default: the spec's)."""
        name = dtype or self.case.spec.dtype
        if name not in self._references:
            operands = self.operands(name)
            with np.errstate(all="ignore"):
                self._references[name] = compute_reference(
                    self.case.spec, operands.input, operands.kernel, operands.bias
                )
        return self._references[name]

    def operands(self, dtype: str) -> Operands:
        """The arrays cast to `dtype`."""
        if dtype not in self._operands:
            case = self.case
            bias = None if case.bias is None else cast(case.bias.array, dtype)
            self._operands[dtype] = Operands(
                dtype, cast(case.input.array, dtype), cast(case.kernel.array, dtype), bias
            )
        return self._operands[dtype]

    def _roundings(self, answer: Answer, output: Array) -> Iterator[tuple[Operands, Rounding]]:
        """What may have been computed in, tightest first: 16-bit types usually accumulate in
        float32.
        """
        asked = self.case.spec.dtype
        stored = (
            answer.stored
            if answer.stored == "bfloat16"
            else _KINDS.get(str(output.dtype), "float64")
        )
        types = [asked]
        if asked == "float64" and (answer.kind != "backend" or stored == "float32"):
            types.append("float32")
        for dtype in types:
            operands = self.operands(dtype)
            if dtype not in self._reach:
                self._reach[dtype] = operands.reach
            for computed in ("float32", dtype) if significand_bits(dtype) < 24 else (dtype,):
                narrow = (
                    dtype
                    if significand_bits(dtype) < significand_bits(stored)
                    and significand_bits(dtype) < 24
                    else stored
                )
                bias = 0.0 if operands.bias is None else _usual(operands.bias)
                yield (
                    operands,
                    Rounding(
                        computed, narrow, self.case.spec.terms, self._reach[dtype], bias_size=bias
                    ),
                )

    @property
    def _diagnosed(self) -> int:
        """Under which of the roundings a fault is sought: the tightest.

        Of float64 arrays the widest, since whoever went wrong may have computed in float32.
        """
        return -1 if self.case.spec.dtype == "float64" else 0

    def _diagnosed_under(self, answer: Answer, output: Array) -> tuple[Operands, Rounding]:
        return list(self._roundings(answer, output))[self._diagnosed]

    def _agreeing(
        self,
        answer: Answer,
        output: Array,
        operands: Operands,
        rounding: Rounding,
        comparison: Comparison,
    ) -> Row:
        if comparison.identical:
            return Row(answer, "identical", comparison.stats)
        suspicious = comparison.mean_square_units > UNREMARKABLE_RMS_UNITS**2 or significand_bits(
            rounding.stored_dtype
        ) < significand_bits(rounding.compute_dtype)
        if rounding.compute_dtype == "float32" and operands.dtype == "float32" and suspicious:
            precision = best_model(
                self._problem(output, operands, rounding),
                self.reference(operands.dtype),
                comparison,
            )
            if precision is not None:
                return Row(
                    answer, "reduced-precision", comparison.stats, (_precision_finding(precision),)
                )
        found = (
            self._hidden(output, rounding, comparison)
            if significand_bits(rounding.compute_dtype) < 24
            else None
        )
        if found is not None:
            return Row(answer, "different", comparison.stats, (found.finding(self.case.spec),))
        return Row(answer, "rounding", comparison.stats)

    def _hidden(
        self, output: Array, rounding: Rounding, comparison: Comparison
    ) -> Explanation | None:
        """The fault that explains tightly an output within the bound of sums kept in 16 bits, which
        is wide.

        Whoever computes in float32 where 16 bits were asked may not round the operands either.
        """
        tight, types = replace(rounding, compute_dtype="float32"), (self.case.spec.dtype, "float32")
        if not all(self._telling(output, dtype, tight) for dtype in types):
            return None
        problems = (self._problem(output, self.operands(dtype), tight) for dtype in types)
        usual = rounding.is_typical_max(comparison.stats.units)
        return next(filter(None, (_tight(problem, usual) for problem in problems)), None)

    def _telling(self, output: Array, dtype: str, rounding: Rounding) -> bool:
        """Whether the output is off by more than the most that this rounding leaves; where it is
        not, a fault may fit by chance.
        """
        expected = self.reference(dtype)
        error = normal_output(self.case.spec, output) - expected.output
        return bool(
            np.square(error).mean()
            > np.square(rounding.allowed_error(expected.output, expected.scale)).mean()
        )

    def _differing(
        self, answer: Answer, output: Array, comparison: Comparison, under: Comparison
    ) -> Row:
        """`comparison` is what is shown, `under` that by the rounding under which a fault is
        sought.
        """
        operands, rounding = self._diagnosed_under(answer, output)
        problem = self._problem(output, operands, rounding)
        expected = self.reference(operands.dtype)
        precision = best_model(problem, expected, under)
        # Sums kept in a narrow type are off by so much that a fault may hide in it: one that fits
        # tightly is the answer.
        hidden = (
            _tight(problem, usual=True)
            if precision is not None and precision.has_narrow_sums
            else None
        )
        if precision is not None and hidden is None:
            return Row(
                answer, "reduced-precision", comparison.stats, (_precision_finding(precision),)
            )
        place = where(self.case.spec, normal_output(self.case.spec, output), expected, rounding)
        if hidden is not None:
            return Row(
                answer,
                "different",
                comparison.stats,
                (hidden.finding(self.case.spec),),
                None,
                place,
            )
        known = self.row_without_diagnosis(
            answer, Row(answer, "different", comparison.stats, where=place)
        )
        if known is not None:
            return known
        # Where most elements are right, a few things are wrong: no tale of three edits that cancel
        # out everywhere else.
        mostly = comparison.stats.differing < MOSTLY * comparison.stats.elements
        diagnosis = Diagnosis(problem)
        found = diagnosis.explanation(2 if mostly else MOST_EDITS)
        if found is None:
            rest = diagnosis.unexplained(1 - comparison.stats.differing / comparison.stats.elements)
            return Row(
                answer, "different", comparison.stats, (), f"it differs {place}; {rest}", place
            )
        if all(edit["code"] == "reduced-precision" for edit in found.edits[0]):
            # Sums kept in 16 bits, and nothing beside; asked for in 16 bits that is rounding.
            told = (found.finding(self.case.spec),) if found.edits[0] else ()
            return Row(answer, "reduced-precision" if told else "rounding", comparison.stats, told)
        return Row(
            answer, "different", comparison.stats, (found.finding(self.case.spec),), None, place
        )

    def _of_another_shape(self, answer: Answer, output: Array) -> Row:
        spec = self.case.spec
        shapes = f"its shape is {_dims(output.shape)} where {_dims(spec.shape('output'))} was asked"
        known = self.row_without_diagnosis(answer, Row(answer, "different", where=shapes))
        if known is not None:
            return known
        if output.ndim != len(spec.output_layout) or 0 in output.shape:
            return Row(
                answer,
                "different",
                message=f"{shapes}; no single mistake known here makes another number of axes",
            )
        part = first_part(output, spec)
        if part is not None and self._agrees_in(part[0], answer, output):
            return Row(answer, "different", message=f"{shapes}: {part[1]}, which agree")
        operands, rounding = self._diagnosed_under(answer, output)
        found = Diagnosis(self._problem(output, operands, rounding)).explanation()
        if found is None:
            return Row(answer, "different", message=f"{shapes}; no explanation found")
        return Row(answer, "different", findings=(found.finding(spec),), where=shapes)

    def _agrees_in(self, part: tuple[slice, ...], answer: Answer, output: Array) -> bool:
        """Whether the output is that part of the asked one."""
        obtained = normal_output(self.case.spec, output)
        return any(
            compare(
                obtained,
                Reference(*(array[part] for array in self.reference(operands.dtype))),
                rounding,
            ).agrees
            for operands, rounding in self._roundings(answer, output)
        )

    def _problem(self, output: Array, operands: Operands, rounding: Rounding) -> Problem:
        return Problem(
            self.case.spec, operands.input, operands.kernel, operands.bias, output, rounding
        )


def _tight(problem: Problem, usual: bool) -> Explanation | None:
    """The fault that explains an output which sums kept in 16 bits would explain too.

    Where errors are as `usual` in such sums, none with fitted numbers: sums of large terms that
    cancel are off by much the same at all positions of a channel.
    """
    # A search for more takes its time, and would be for every output of this kind.
    found = Diagnosis(problem).explanation(1 if usual else MOST_HIDDEN, sums=False)
    fitted = found is not None and any(edit["code"] in FITTED for edit in found.edits[0])
    return None if usual and fitted else found


def with_axes(output: Array, spec: ConvSpec) -> Array:
    """`output` with the axes of size 1 that its maker left out, or has too many of, as the spec has
    them.

    np.convolve's (10,) is what a (1, 10, 1) of one batch item and one channel holds.  Unchanged
    where that is not all.
    """
    asked = spec.shape("output")
    # With as many axes as asked, the axes are in another order: that is a fault, not a habit.
    if output.ndim != len(asked) and [n for n in output.shape if n != 1] == [
        n for n in asked if n != 1
    ]:
        return output.reshape(asked)
    if output.ndim == len(asked) - 1:
        ones = [
            i for i, letter in enumerate(spec.output_layout) if letter in "NC" and asked[i] == 1
        ]
        if ones:
            return np.expand_dims(output, ones[0])
    return output


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "that of a single number"


def _precision_finding(precision: PrecisionModel) -> Finding:
    return Finding(precision.edits, clauses(precision.edits), rivals=precision.rivals)
