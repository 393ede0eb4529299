"""The judge of complex outputs: the real judge on their parts, its rows in complex terms again.

`numerics.complex_parts` describes the parts, and the error bound on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convdiff.diagnose.complex_diagnosis import ComplexDiagnosis
from convdiff.diagnose.core.problem import Problem
from convdiff.numerics.arithmetic import Arithmetic
from convdiff.numerics.complex_parts import (
    EXTRA_ROUNDINGS,
    channel_parts,
    joined_parts,
    output_parts,
    real_parts,
    with_common_scale,
    with_whole_nonfinite,
)
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.records import Answer, Case, ErrorStats, Row, Stored
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.verdict import messages
from convdiff.verdict.judge import Judge
from convdiff.verdict.localize import differing_region
from convdiff.verdict.unflatten import first_part

if TYPE_CHECKING:
    from convdiff.verdict.judge import AnyDiagnosis


class ComplexJudge:
    """Judges outputs of one case of which an array or the output is complex.

    `outer` is the judge of the case.
    """

    def __init__(self, outer: Judge) -> None:
        self._outer = outer
        self.parts = PartsJudge(outer)

    def row(self, answer: Answer, output: Array) -> Row:
        """The row of `answer`; `output` is its output in the layout that was asked for."""
        if output.ndim != len(self._outer.case.spec.output_layout):
            spec = self._outer.case.spec
            shapes = messages.other_shape(output.shape, spec.shape("output"))
            return Row(answer, "different", message=messages.other_number_of_axes(shapes))
        return self.parts.row_of(answer, output)

    def problem(self, answer: Answer, output: Array) -> Problem:
        """What the diagnosis of the parts is asked."""
        return self.parts.problem(self.parts.answer(answer, output))

    def reference(self) -> Reference:
        """The complex output, and its scale."""
        output, scale = self.parts.reference()
        return Reference(joined_parts(output), scale[:, 0::2])


class PartsJudge(Judge):
    """The judge of the parts of one case's outputs.

    Its case is the real convolution; findings and sentences refer to the complex one.
    """

    def __init__(self, outer: Judge) -> None:
        case = outer.case
        bias = None if case.bias is None else case.bias.array
        parts = real_parts(case.spec, case.input.array, case.kernel.array, bias)
        super().__init__(
            Case(
                parts.spec,
                _stored(parts.input),
                _stored(parts.kernel),
                None if parts.bias is None else _stored(parts.bias),
            )
        )
        self._outer = outer
        self._answer: Answer | None = None

    def answer(self, answer: Answer, output: Array) -> Answer:
        """`answer` with the parts of `output` for its output."""
        parts = with_whole_nonfinite(output_parts(self._outer.case.spec, output))
        return replace(answer, output=parts, stored=None)

    def row_of(self, answer: Answer, output: Array) -> Row:
        """The row of `answer`, whose complex output is `output`."""
        parts = self.answer(answer, output)
        assert parts.output is not None
        self._answer = answer
        row = self._row_of_shaped(parts, parts.output)
        return row if row.answer is answer else self._complex_row(row, answer, output)

    def reference(self, dtype: str | None = None) -> Reference:
        """The reference of the parts, with one scale for both parts of an element."""
        dtype = dtype or self.case.spec.dtype
        if dtype not in self._references:
            output, scale = with_common_scale(super().reference(dtype))
            self._references[dtype] = Reference(with_whole_nonfinite(output), scale)
        return self._references[dtype]

    def row_without_diagnosis(self, answer: Answer, differing: Row) -> Row | None:
        assert self._answer is not None
        return self._outer.row_without_diagnosis(
            self._answer, replace(differing, answer=self._answer, error=None)
        )

    def _possible_arithmetics(self, answer: Answer, output: Array) -> Iterator[Arithmetic]:
        for operands, rounding in super()._possible_arithmetics(answer, output):
            terms = rounding.terms + EXTRA_ROUNDINGS
            yield Arithmetic(operands, replace(rounding, terms=terms))

    def _problem(self, answer: Answer, output: Array, arithmetic: Arithmetic) -> Problem:
        return replace(super()._problem(answer, output, arithmetic), complex_parts=True)

    def _integer_type(self, answer: Answer) -> str | None:
        return None

    def _diagnosis(self, problem: Problem) -> AnyDiagnosis:
        return ComplexDiagnosis(problem, self._spec_of_words)

    @property
    def _spec_of_words(self) -> ConvSpec:
        return self._outer.case.spec

    def _differing_region(self, output: Array, reference: Reference, rounding: Rounding) -> str:
        return differing_region(
            self._spec_of_words, output, reference, rounding, complex_parts=True
        )

    def _other_shape(self, output: Array) -> str:
        spec = self._spec_of_words
        sizes = dict(zip("NC" + spec.axes, output[:, ::2].shape, strict=True))
        obtained = tuple(sizes.get(letter, 1) for letter in spec.output_layout)
        return messages.other_shape(obtained, spec.shape("output"))

    def _first_part(self, output: Array) -> tuple[tuple[slice, ...], str] | None:
        spec = self._spec_of_words
        normal = replace(spec, output_layout="NC" + spec.axes)
        part = first_part(output[:, ::2], normal)
        if part is None:
            return None
        return tuple(slice(size) for size in output.shape[:2]), part[1]

    def _complex_row(self, row: Row, answer: Answer, output: Array) -> Row:
        """A row of the parts as that of the complex output."""
        error = row.error
        if error is not None:
            error = self._complex_stats(error, output, row.verdict == "identical")
        row = replace(row, answer=answer, error=error)
        note = _note(self._spec_of_words, output) if row.verdict != "different" else None
        return replace(row, message=messages.joined(note, row.message)) if note else row

    def _complex_stats(self, parts: ErrorStats, output: Array, identical: bool) -> ErrorStats:
        """The figures of the parts as those of complex elements.

        `units` stays the larger of an element's two parts, since the bound holds for each.
        """
        spec, dtype = self._spec_of_words, self.case.spec.dtype
        expected = joined_parts(self.reference(dtype).output)
        obtained = normal_output(spec, output)
        rounding = self.rounding_of(output)
        differing = 0
        if parts.differing:
            got = with_whole_nonfinite(channel_parts(obtained)).astype(np.float64)
            reference = self.reference(dtype)
            suspect = rounding.suspect_mask(got, *reference)
            units = rounding.excess_units(
                got[suspect], reference.output[suspect], reference.scale[suspect]
            )
            suspect[suspect] = units > rounding.bound_units
            differing = int((suspect[:, 0::2] | suspect[:, 1::2]).sum())
        distance = np.abs(obtained.astype(np.complex128) - expected)
        distance[~np.isfinite(obtained) & ~np.isfinite(expected)] = 0.0
        largest = float(np.where(np.isfinite(distance), distance, np.inf).max(initial=0.0))
        place = (parts.worst[0], parts.worst[1] // 2, *parts.worst[2:])
        index = dict(zip("NC" + spec.axes, place, strict=True))
        return replace(
            parts,
            max_abs=0.0 if identical else largest,
            differing=differing,
            elements=obtained.size,
            worst=tuple(index[letter] for letter in spec.output_layout),
            obtained=complex(obtained[place]),
            reference=complex(expected[place]),
        )

    def rounding_of(self, output: Array) -> Rounding:
        """The rounding of the first of the possible arithmetics, which the figures refer to."""
        parts = Answer("", "saved", "ok", output=output_parts(self._spec_of_words, output))
        assert parts.output is not None
        return next(iter(self._possible_arithmetics(parts, parts.output))).rounding


def _stored(array: Array) -> Stored:
    return Stored(array, array.dtype.name)


def _note(spec: ConvSpec, output: Array) -> str | None:
    """What is told of an output that agrees: complex numbers of a real convolution, or reverse."""
    if output.dtype.kind != "c":
        return messages.REAL_OUTPUT
    if spec.is_complex:
        return None
    return messages.ZERO_IMAGINARY if not output.imag.any() else messages.SMALL_IMAGINARY
