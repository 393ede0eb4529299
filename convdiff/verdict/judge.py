"""The judge: the verdict on an answer, and its diagnosis where it differs.

The package's docstring describes the steps in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from convdiff.diagnose import MAX_EDITS, Diagnosis, Explanation, Problem, best_model, clauses
from convdiff.diagnose.core.integer_storage import EIGHT_BIT_TYPES
from convdiff.diagnose.core.output_grid import raw_grid
from convdiff.diagnose.core.precision_evidence import natural_decimals
from convdiff.diagnose.core.precision_fit import is_worth_fitting
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.numerics.arithmetic import Arithmetic, Operands, possible_arithmetics, stored_dtype
from convdiff.numerics.error_bound import Comparison, Rounding, compare, within_normwise_bound
from convdiff.numerics.precision import is_narrow, significand_bits
from convdiff.numerics.reference import Reference, compute_reference
from convdiff.records import Answer, Case, ErrorStats, Finding, Row
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.verdict import messages
from convdiff.verdict.localize import differing_region, dropped, held_instead
from convdiff.verdict.magnitude import magnitude_edit
from convdiff.verdict.unflatten import first_part, unflattened

if TYPE_CHECKING:
    from convdiff.diagnose.diagnosis import Unexplained
    from convdiff.verdict.complex_judge import ComplexJudge

# The share of differing elements below which the fault is local, and the most edits it may have.
MAX_LOCAL_SHARE, MAX_LOCAL_EDITS = 0.5, 2
# The most edits of a fault in narrow sums: where errors are typical of such sums, and otherwise.
MAX_EDITS_IF_TYPICAL, MAX_EDITS_IF_LARGE = 1, 2
# How many times as large as the reference an output may be that is compared with another.
MAX_SCALE = 1e6


class AnyDiagnosis(Protocol):
    """What the judge asks of a diagnosis: see `Diagnosis`."""

    def explanation(self, max_edits: int = MAX_EDITS) -> Explanation | None:
        """The simplest proven explanation, if there is one."""

    def unexplained(self, agreeing: float) -> Unexplained:
        """What is known of the output without an explanation."""


class TriedArithmetic(NamedTuple):
    """An output compared with the reference under one possible arithmetic."""

    arithmetic: Arithmetic
    comparison: Comparison


class Judge:
    """Judges answers to one case.

    The reference is computed once for each type that the arrays are cast to.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._operands: dict[str, Operands] = {}
        self._references: dict[str, Reference] = {}
        self._complex_judge: ComplexJudge | None = None

    def row(self, answer: Answer) -> Row:
        """The row for `answer`, whatever its status."""
        # NaN, infinity and overflow are compared like other values, so NumPy need not warn of them.
        with np.errstate(all="ignore"):
            return self._row(answer)

    def row_without_diagnosis(self, answer: Answer, differing: Row) -> Row | None:
        """The row of an answer whose difference needs no search, as something else explains it.

        None here; subclasses that know more about the case override this.  `differing` is the row
        without an explanation.
        """
        return None

    def are_alike(self, answer: Answer, other: Answer) -> bool:
        """Whether two outputs differ by no more than rounding may move both.

        Neither need agree with the reference, whose scale stands for theirs.
        """
        assert answer.output is not None and other.output is not None
        first, second = (
            with_unit_axes(each, self.case.spec) for each in (answer.output, other.output)
        )
        if first.shape != second.shape or first.shape != self.case.spec.shape("output"):
            return False
        with np.errstate(all="ignore"):
            outputs = [
                normal_output(self.case.spec, each).astype(np.float64) for each in (first, second)
            ]
            arithmetics = [
                next(iter(self._possible_arithmetics(answer, first))),
                next(iter(self._possible_arithmetics(other, second))),
            ]
            reference = self.reference(arithmetics[0].operands.dtype)
            sizes = [
                float(np.nanmax(np.abs(each), initial=0)) for each in (*outputs, reference.output)
            ]
            largest = max(sizes[:2]) / sizes[2] if sizes[2] else 1.0
            # Both are off by rounding.
            scale = reference.scale * 2 * min(max(largest, 1.0), MAX_SCALE)
            return any(
                rounding.explains_all(obtained, expected, scale)
                for obtained, expected, rounding in (
                    (outputs[0], outputs[1], arithmetics[0].rounding),
                    (outputs[1], outputs[0], arithmetics[1].rounding),
                )
            )

    def problem(self, answer: Answer) -> Problem:
        """What a diagnosis of this answer is asked, whatever its verdict is.

        For answers whose output has the asked number of axes.
        """
        assert answer.output is not None
        output = with_unit_axes(answer.output, self.case.spec)
        if self.is_complex(output):
            return self.complex_judge.problem(answer, output)
        arithmetics = list(self._possible_arithmetics(answer, output))
        return self._problem(answer, output, arithmetics[self._index_to_diagnose])

    def reference(self, dtype: str | None = None) -> Reference:
        """The reference for the arrays cast to `dtype` (default: the spec's)."""
        if self.case.spec.is_complex:
            return self.complex_judge.reference()
        dtype = dtype or self.case.spec.dtype
        if dtype not in self._references:
            operands = self.operands(dtype)
            with np.errstate(all="ignore"):
                # Numbers in the padding are rounded to the type of the arrays.
                spec = replace(self.case.spec, dtype=dtype)
                self._references[dtype] = compute_reference(
                    spec, operands.input, operands.kernel, operands.bias
                )
        return self._references[dtype]

    def operands(self, dtype: str) -> Operands:
        """The arrays cast to `dtype`."""
        if dtype not in self._operands:
            self._operands[dtype] = Operands.of(self.case, dtype)
        return self._operands[dtype]

    def is_complex(self, output: Array) -> bool:
        """Whether the case's arrays or this output hold complex numbers."""
        return self.case.spec.is_complex or output.dtype.kind == "c"

    @property
    def complex_judge(self) -> ComplexJudge:
        """The judge of complex outputs, and of all outputs where the case's arrays are complex."""
        if self._complex_judge is None:
            # Not at the top of the module: real arrays need none of it.
            from convdiff.verdict.complex_judge import ComplexJudge

            self._complex_judge = ComplexJudge(self)
        return self._complex_judge

    def _row(self, answer: Answer) -> Row:
        if answer.status != "ok" or answer.output is None:
            return Row(answer)
        output, spec = answer.output, self.case.spec
        if output.dtype.kind not in "fiubc":
            return Row(answer, "incomparable", message=messages.not_numbers(output))
        if output.dtype.kind in "iub":
            output = output.astype(np.float64)
        if (
            spec.is_complex
            and output.shape == (*spec.shape("output"), 2)
            and (output.dtype.kind == "f")
        ):
            row = self._row(replace(answer, output=output[..., 0] + 1j * output[..., 1]))
            return replace(row, message=messages.joined(messages.PARTS_AS_AXIS, row.message))
        if output.shape != spec.shape("output"):
            output = with_unit_axes(output, spec)
            flattened = unflattened(output, spec)
            if flattened is not None:
                unflat, order = flattened
                row = self._row(replace(answer, output=unflat.astype(answer.output.dtype)))
                note = messages.flattened(output.shape, unflat.shape, order)
                return replace(row, message=messages.joined(note, row.message))
        if self.is_complex(output):
            return self.complex_judge.row(answer, output)
        return self._row_of_shaped(answer, output)

    def _row_of_shaped(self, answer: Answer, output: Array) -> Row:
        """The row of an output of numbers, whatever shape it has."""
        if output.shape != self.case.spec.shape("output"):
            return self._row_of_other_shape(answer, output)
        return self._row_of_asked_shape(answer, output)

    def _row_of_asked_shape(self, answer: Answer, output: Array) -> Row:
        trials: list[TriedArithmetic] = []
        for arithmetic in self._possible_arithmetics(answer, output):
            trial = self._trial(output, arithmetic)
            if trial.comparison.agrees:
                return self._agreeing_row(answer, output, trial)
            if self._is_fast_algorithm(output, arithmetic):
                stats, fault = trial.comparison.stats, None
                if is_narrow(arithmetic.rounding.compute_dtype):
                    fault = self._fault_within_narrow_bound(
                        answer, output, arithmetic.rounding, trial.comparison
                    )
                if fault is not None:
                    return self._explained_row(answer, stats, fault)
                note = messages.fast_algorithm(stats.differing, stats.elements)
                return Row(answer, "rounding", stats, message=note)
            trials.append(trial)
        return self._differing_row(answer, output, trials)

    def _possible_arithmetics(self, answer: Answer, output: Array) -> Iterator[Arithmetic]:
        return possible_arithmetics(
            self.case.spec,
            stored_dtype(output, answer.stored),
            answer.kind == "backend",
            self.operands,
        )

    def _trial(self, output: Array, arithmetic: Arithmetic) -> TriedArithmetic:
        spec = self.case.spec
        comparison = compare(
            normal_output(spec, output),
            self.reference(arithmetic.operands.dtype),
            arithmetic.rounding,
        )
        stats = _in_output_layout(comparison.stats, spec)
        return TriedArithmetic(arithmetic, replace(comparison, stats=stats))

    def _is_fast_algorithm(self, output: Array, arithmetic: Arithmetic) -> bool:
        """Whether the errors may be those of FFT or Winograd in the asked precision.

        An output stored in a narrower type than asked is a matter of precision instead.
        """
        spec, rounding = self.case.spec, arithmetic.rounding
        asked_bits = min(significand_bits(spec.dtype), significand_bits("float32"))
        return significand_bits(rounding.stored_dtype) >= asked_bits and within_normwise_bound(
            normal_output(spec, output), self.reference(arithmetic.operands.dtype), rounding
        )

    def _agreeing_row(self, answer: Answer, output: Array, trial: TriedArithmetic) -> Row:
        """The row of an output within the bound, which may hide reduced precision or a fault."""
        (operands, rounding), comparison = trial
        if comparison.identical:
            return Row(answer, "identical", comparison.stats)
        if operands.dtype == rounding.compute_dtype == "float32" and is_worth_fitting(
            comparison, rounding
        ):
            problem = self._problem(answer, output, trial.arithmetic)
            precision = best_model(problem, self.reference(operands.dtype), comparison)
            if precision is not None:
                return _reduced_precision_row(answer, comparison.stats, precision)
        if is_narrow(rounding.compute_dtype):
            fault = self._fault_within_narrow_bound(answer, output, rounding, comparison)
            if fault is not None:
                return self._explained_row(answer, comparison.stats, fault)
        return Row(answer, "rounding", comparison.stats)

    def _fault_within_narrow_bound(
        self, answer: Answer, output: Array, rounding: Rounding, comparison: Comparison
    ) -> Explanation | None:
        """The fault of an output that only the wide bound of 16-bit sums explains.

        It is sought under the bound of float32 sums, with the operands in the asked type or, where
        they may not have been rounded either, in float32.
        """
        obtained = normal_output(self.case.spec, output)
        float32_sums = replace(rounding, compute_dtype="float32")
        dtypes = (self.case.spec.dtype, "float32")
        # Where float32 sums explain the errors on average, a fault may fit by chance.
        if not all(
            float32_sums.rms_exceeds_allowed(obtained, *self.reference(dtype)) for dtype in dtypes
        ):
            return None
        typical = rounding.is_typical_max(comparison.stats.units)
        for dtype in dtypes:
            problem = self._problem(answer, output, Arithmetic(self.operands(dtype), float32_sums))
            fault = _fault_in_narrow_sums(problem, typical=typical)
            if fault is not None:
                return fault
        return None

    def _differing_row(self, answer: Answer, output: Array, trials: list[TriedArithmetic]) -> Row:
        """The row of an output that is beyond the bound of every possible arithmetic."""
        stats = trials[0].comparison.stats
        arithmetic, comparison = trials[self._index_to_diagnose]
        problem = self._problem(answer, output, arithmetic)
        reference = self.reference(arithmetic.operands.dtype)
        precision = best_model(problem, reference, comparison)
        # Narrow sums explain errors so large that a fault may hide in them: one that fits without
        # them is the answer.
        fault = None
        if precision is not None and precision.has_narrow_sums:
            fault = _fault_in_narrow_sums(problem, typical=True)
        if precision is not None and fault is None:
            return _reduced_precision_row(answer, stats, precision)
        region = self._differing_region(output, reference, arithmetic.rounding)
        if fault is not None:
            return self._explained_row(answer, stats, fault, region)
        known = self.row_without_diagnosis(answer, Row(answer, "different", stats, where=region))
        if known is not None:
            return known
        quantized = self._with_known_grid(problem, reference)
        if quantized is not None:
            sums = normal_output(quantized.spec, quantized.obtained)
            comparison = compare(sums, reference, quantized.rounding)
            precision = best_model(quantized, reference, comparison)
            if precision is not None:
                return _reduced_precision_row(answer, stats, precision)
        row = self._diagnosed_row(answer, stats, problem, reference, region)
        if quantized is None or row.findings:
            return row
        other = self._diagnosed_row(answer, stats, quantized, reference, region)
        return other if other.findings else row

    def _with_known_grid(self, problem: Problem, reference: Reference) -> Problem | None:
        """The problem of the sums that whole numbers stand for, quantized with a zero point."""
        # Without the bias, whose absence leaves whole numbers too.
        if not problem.obtained_integral or natural_decimals(problem.operands[:2]) == 0:
            return None
        spec, numbers = self.case.spec, problem.obtained
        low, high = problem.obtained_range
        integer_type = problem.integer_type or ("uint8" if low >= 0 else "int8")
        if integer_type not in EIGHT_BIT_TYPES or low < -128 or high > (127 if low < 0 else 255):
            return None
        grid = raw_grid(normal_output(spec, numbers), reference.output, integer_type)
        if grid is None or (grid.zero_point == 0 and problem.integer_type != "int8"):
            return None
        sums = (numbers - grid.zero_point) * grid.step
        return replace(problem, obtained=sums, integer_type=None, known_grid=grid)

    def _differing_region(self, output: Array, reference: Reference, rounding: Rounding) -> str:
        spec = self.case.spec
        return differing_region(spec, normal_output(spec, output), reference, rounding)

    def _diagnosis(self, problem: Problem) -> AnyDiagnosis:
        return Diagnosis(problem)

    @property
    def _spec_of_words(self) -> ConvSpec:
        """The convolution that sentences about findings refer to."""
        return self.case.spec

    @property
    def _index_to_diagnose(self) -> int:
        """Which of the possible arithmetics a diagnosis assumes: that of the smallest bound.

        For float64 arrays the last, since a faulty convolution may have been computed in float32.
        """
        return -1 if self.case.spec.dtype == "float64" else 0

    def _diagnosed_row(
        self,
        answer: Answer,
        stats: ErrorStats,
        problem: Problem,
        reference: Reference,
        region: str,
    ) -> Row:
        """The row of a differing output that the diagnosis explains, or describes."""
        diagnosis = self._diagnosis(problem)
        # Where most elements agree, little is wrong: not three edits that cancel out elsewhere.
        is_local = stats.differing < MAX_LOCAL_SHARE * stats.elements
        explanation = diagnosis.explanation(MAX_LOCAL_EDITS if is_local else MAX_EDITS)
        if explanation is None:
            obtained = normal_output(self.case.spec, problem.obtained)
            magnitude = self._magnitude_row(answer, stats, obtained)
            if magnitude is not None:
                return replace(magnitude, where=region)
            known = diagnosis.unexplained(1 - stats.differing / stats.elements)
            text = _held_instead(problem, reference, known.text(self._spec_of_words))
            return Row(
                answer,
                "different",
                stats,
                message=messages.unexplained(region, text),
                where=region,
            )
        if not explanation.simplest:
            # 16-bit sums explain it, and 16 bits were asked.
            return Row(answer, "rounding", stats)
        if explanation.only_rounds:
            finding = explanation.finding(self._spec_of_words)
            return Row(answer, "reduced-precision", stats, (finding,))
        return self._explained_row(answer, stats, explanation, region)

    def _explained_row(
        self,
        answer: Answer,
        stats: ErrorStats,
        explanation: Explanation,
        region: str | None = None,
    ) -> Row:
        finding = explanation.finding(self._spec_of_words)
        return Row(answer, "different", stats, (finding,), where=region)

    def _row_of_other_shape(self, answer: Answer, output: Array) -> Row:
        spec = self.case.spec
        shapes = self._other_shape(output)
        known = self.row_without_diagnosis(answer, Row(answer, "different", where=shapes))
        if known is not None:
            return known
        magnitude = self._magnitude_of_channels(answer, output)
        if magnitude is not None:
            return replace(magnitude, where=shapes)
        if 0 in output.shape:
            return Row(answer, "different", message=messages.empty_output(shapes))
        if output.ndim != len(spec.output_layout):
            return Row(answer, "different", message=messages.other_number_of_axes(shapes))
        part = self._first_part(output)
        if part is not None and self._agrees_with_part(answer, output, part[0]):
            return Row(answer, "different", message=messages.agreeing_part(shapes, part[1]))
        arithmetics = list(self._possible_arithmetics(answer, output))
        problem = self._problem(answer, output, arithmetics[self._index_to_diagnose])
        explanation = self._diagnosis(problem).explanation()
        if explanation is None:
            return Row(answer, "different", message=messages.unexplained_shape(shapes))
        finding = explanation.finding(self._spec_of_words)
        return Row(answer, "different", findings=(finding,), where=shapes)

    def _other_shape(self, output: Array) -> str:
        """That an output has another shape than asked, in words."""
        return messages.other_shape(output.shape, self.case.spec.shape("output"))

    def _first_part(self, output: Array) -> tuple[tuple[slice, ...], str] | None:
        """As `first_part`."""
        return first_part(output, self.case.spec)

    def _magnitude_of_channels(self, answer: Answer, output: Array) -> Row | None:
        """The row of an output that is the magnitude over all asked channels; None if it is not."""
        spec = self.case.spec
        if "C" not in spec.output_layout or not output.size:
            return None
        channels = spec.output_layout.index("C")
        if output.ndim == len(spec.output_layout) - 1:
            output = np.expand_dims(output, channels)
        shape = list(spec.shape("output"))
        shape[channels] = 1
        if list(output.shape) != shape:
            return None
        return self._magnitude_row(answer, None, normal_output(spec, output))

    def _magnitude_row(
        self, answer: Answer, stats: ErrorStats | None, obtained: Array
    ) -> Row | None:
        """The row of an output, (N, C, *space), that is the magnitude of several sums."""
        spec = self.case.spec
        others = [
            normal_output(spec, with_unit_axes(stored.array, spec))
            for name, stored in self.case.saved
            if name != answer.name
            and with_unit_axes(stored.array, spec).shape == spec.shape("output")
            and stored.array.dtype.kind in "fiu"
        ]
        for arithmetic in self._possible_arithmetics(answer, obtained):
            reference = self.reference(arithmetic.operands.dtype)
            edit = magnitude_edit(spec, obtained.astype(np.float64), reference, arithmetic, others)
            if edit is not None:
                finding = Finding((edit,), clauses((edit,)))
                return Row(answer, "different", stats, (finding,))
        return None

    def _agrees_with_part(self, answer: Answer, output: Array, part: tuple[slice, ...]) -> bool:
        """Whether the output agrees with that part of the reference, (N, C)."""
        obtained = normal_output(self.case.spec, output)
        return any(
            compare(
                obtained,
                Reference(*(array[part] for array in self.reference(operands.dtype))),
                rounding,
            ).agrees
            for operands, rounding in self._possible_arithmetics(answer, output)
        )

    def _problem(self, answer: Answer, output: Array, arithmetic: Arithmetic) -> Problem:
        operands, rounding = arithmetic
        return Problem(
            self.case.spec,
            operands.input,
            operands.kernel,
            operands.bias,
            output,
            rounding,
            self._integer_type(answer),
        )

    def _integer_type(self, answer: Answer) -> str | None:
        """The integer type that an answer was stored in, or that of the input if it may have been.

        Outputs of the input's integer type are often held in an array of floats afterwards.
        """
        output, given = answer.output, self.case.input.array
        assert output is not None
        if output.dtype.kind in "iu":
            return output.dtype.name
        if given.dtype.kind not in "iu" or not output.size:
            return None
        limits = np.iinfo(given.dtype)
        within = limits.min <= np.min(output) and np.max(output) <= limits.max
        return given.dtype.name if within and bool((output == np.rint(output)).all()) else None


def _held_instead(problem: Problem, reference: Reference, known: str) -> str:
    """`known`, after what the elements that differ hold; alone that where it says it all."""
    obtained = normal_output(problem.spec, problem.obtained)
    without = dropped(obtained, reference, problem.rounding)
    if without:
        return without
    held = held_instead(problem.spec, obtained, reference, problem.rounding)
    return messages.joined(held or None, known)


def _fault_in_narrow_sums(problem: Problem, *, typical: bool) -> Explanation | None:
    """The fault that explains, under the problem's rounding, what 16-bit sums explain too.

    Where errors are `typical` of such sums, no fault with fitted numbers is believed: sums of large
    terms that cancel are off by much the same at all positions of a channel.
    """
    # A search for more edits is slow, and every output of this kind would need it.
    explanation = Diagnosis(problem).explanation(
        MAX_EDITS_IF_TYPICAL if typical else MAX_EDITS_IF_LARGE, narrow_sums=False
    )
    if explanation is None or not typical:
        return explanation
    return None if explanation.is_fitted else explanation


def _reduced_precision_row(answer: Answer, stats: ErrorStats, precision: PrecisionModel) -> Row:
    finding = Finding(precision.edits, clauses(precision.edits), rivals=precision.rivals)
    return Row(answer, "reduced-precision", stats, (finding,))


def _in_output_layout(stats: ErrorStats, spec: ConvSpec) -> ErrorStats:
    """`stats` with the worst element's index, which is (N, C, *space), in the output layout."""
    index = dict(zip("NC" + spec.axes, stats.worst, strict=True))
    return replace(stats, worst=tuple(index[letter] for letter in spec.output_layout))


def with_unit_axes(output: Array, spec: ConvSpec) -> Array:
    """`output` with axes of size 1 added or removed to give the asked shape, if that suffices.

    np.convolve returns (10,) for what the spec calls (1, 10, 1): one batch item and one channel.
    Otherwise a missing batch or channel axis of size 1 is added, or `output` returned as it is.
    """
    asked = spec.shape("output")
    # With as many axes as asked, the axes are in another order: that is a fault, not a convention.
    if output.ndim != len(asked) and [n for n in output.shape if n != 1] == [
        n for n in asked if n != 1
    ]:
        return output.reshape(asked)
    if output.ndim == len(asked) - 1:
        unit_axes = [
            axis
            for axis, letter in enumerate(spec.output_layout)
            if letter in "NC" and asked[axis] == 1
        ]
        if unit_axes:
            return np.expand_dims(output, unit_axes[0])
    return output
