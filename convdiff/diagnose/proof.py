"""The proof: an explanation counts only after it has reproduced every element of the output.

The candidate's convolution is run in float64 over the whole arrays.  What was done to its sums
(`OutputChange.verify`) is then held against all obtained elements, and the numbers that were left
open are fitted on the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.output_change import Fields, WholeOutput
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.search.candidate import Candidate
from convdiff.numerics.complex_parts import with_common_scale
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference, correlate
from convdiff.records import Edit
from convdiff.spec.layout import Array
from convdiff.spec.pad_value import channel_values

# What rounding may amount to, as a share of the spread of a channel's values, for agreement to be
# evidence.
MAX_ROUNDING_SHARE = 0.15


@dataclass(frozen=True)
class Proof:
    """Whether every element agrees, and the edits with the fitted numbers filled in."""

    holds: bool
    edits: tuple[Edit, ...]


def predicted(problem: Problem, candidate: Candidate) -> Reference:
    """What the candidate's convolution gives, with the bias of its output form, float64."""
    bias = candidate.precision.possible_biases(problem.channel_bias)[0]
    sums = _convolution(candidate)
    return _with_bias(sums, _early_bias(sums, candidate.output, bias))


def prove(problem: Problem, candidate: Candidate) -> Proof:
    """Run the candidate's convolution and hold the whole obtained output against it.

    Once for each way in which the bias may have been rounded.
    """
    sums = _convolution(candidate)
    if problem.complex_parts and sums.output.shape[1] % 2 == 0:
        sums = with_common_scale(sums)
    for bias in candidate.precision.possible_biases(problem.channel_bias):
        fields = _verified(candidate, sums, bias)
        if fields is not None:
            return Proof(True, _filled_in(candidate.edits, fields))
    return Proof(False, candidate.edits)


def _convolution(candidate: Candidate) -> Reference:
    """What the candidate's convolution gives without a bias."""
    x = candidate.precision.round_operand(candidate.input.array.to_array(), "input")
    w = candidate.precision.round_operand(candidate.kernel.array.to_array(), "kernel")
    geometry, groups = candidate.geometry.correlation(), candidate.operation.spec.groups
    if geometry.pad_value != 0:
        numbers = np.array(channel_values(geometry.pad_value))
        numbers = candidate.precision.round_operand(numbers, "input")
        geometry = geometry._replace(pad_value=tuple(numbers.tolist()))
    size = candidate.output.size
    return Reference(
        *(correlate(x, w, geometry, groups, size, absolute=scale) for scale in (False, True))
    )


def _early_bias(sums: Reference, form: OutputForm, values: Array) -> Array:
    """What the form says was added to the sums, given one value per channel: (1, O, *space)."""
    if form.bias_factor == 0 or values.size != sums.output.shape[1] or not values.any():
        return np.zeros(())
    return form.bias_factor * values.reshape(1, -1, *(1,) * (sums.output.ndim - 2))


def _with_bias(sums: Reference, bias: Array) -> Reference:
    """The sums with a bias, (1, O, *space), or with 0."""
    return Reference(sums.output + bias, sums.scale + np.abs(bias)) if bias.any() else sums


def _verified(candidate: Candidate, sums: Reference, bias: Array) -> Fields | None:
    """The fitted fields if these sums, with this bias, became the obtained output; else None."""
    form, rounding = candidate.output, candidate.precision.rounding
    obtained, late_bias = form.array.to_array(), np.zeros(())
    if form.late_bias:
        late_bias = bias.reshape(1, -1, *(1,) * (obtained.ndim - 2))
        obtained = obtained - late_bias
    early_bias = _early_bias(sums, form, bias)
    sums = _with_bias(sums, early_bias)
    if sums.output.shape != obtained.shape or not sums.scale.any():
        # Windows that meet nothing but padding give zeros, which is no convolution of this input.
        return None
    if candidate.precision.could_hide_fault and not _is_evidence(obtained, sums, rounding):
        return None
    if form.relu_before:
        sums = Reference(np.maximum(sums.output, 0), sums.scale)
    kernel = candidate.precision.round_operand(candidate.kernel.array.to_array(), "kernel")
    whole = WholeOutput(
        obtained,
        sums,
        late_bias,
        rounding,
        len(candidate.edits),
        candidate.geometry.correlation(),
        candidate.operation.spec,
        early_bias,
        kernel,
        candidate.input.size,
    )
    return form.change.verify(whole)


def _is_evidence(obtained: Array, sums: Reference, rounding: Rounding) -> bool:
    """False where rounding is comparable to a channel's spread: then any candidate would agree."""
    space = tuple(range(2, obtained.ndim))
    spread = float(np.std(obtained - obtained.mean(axis=space, keepdims=True)))
    return (
        float(np.median(rounding.allowed_error(sums.output, sums.scale)))
        < MAX_ROUNDING_SHARE * spread
    )


def _filled_in(edits: tuple[Edit, ...], fields: Fields) -> tuple[Edit, ...]:
    return tuple({**edit, **fields.get(edit["code"], {})} for edit in edits)
