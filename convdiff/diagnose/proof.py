"""The proof: an explanation counts only after it has reproduced every element of the obtained
output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convdiff.diagnose.core.activations import activation_of
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.core.relations import MODULI
from convdiff.diagnose.fit.channel_scale import (
    LEAST_EVIDENCE,
    ChannelSamples,
    channel_lines,
    evidence,
    one_line,
)
from convdiff.diagnose.fit.overlap import read_off
from convdiff.diagnose.hypotheses.output_fitted import (
    Fit,
    OutputBatchPermuted,
    OutputChannelsPermuted,
    OverlapAccumulated,
)
from convdiff.diagnose.hypotheses.output_values import LEAST_SCALED, USUAL_FACTORS, IntegerWrapped
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.intervals import STORED_TWICE
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import UNIT_ROUNDOFF
from convdiff.numerics.reference import Reference, correlate
from convdiff.records import Edit
from convdiff.spec.layout import Array

# What rounding may be at the most, as a share of the spread of a channel's values, for agreement to
# say something.
SHOWN = 0.15
# And the same where an activation was applied, which may hide much.
CLEAR, CLEAR_IF_NARROW = 0.01, 0.05
FITS: dict[str, Fit] = {
    "counts": OverlapAccumulated(),
    "channels": OutputChannelsPermuted(),
    "items": OutputBatchPermuted(),
    **{name: IntegerWrapped(name) for name in MODULI},
}


@dataclass(frozen=True)
class Proof:
    """Whether every element agrees, and the edits with what was fitted filled in."""

    holds: bool
    edits: tuple[Edit, ...]


def predicted(problem: Problem, candidate: Candidate) -> Reference:
    """What the candidate's convolution gives, with the bias that its output form believes in,
    float64.
    """
    return _biased(
        _sums(candidate),
        candidate.output,
        candidate.precision.possible_biases(problem.channel_bias)[0],
    )


def prove(problem: Problem, candidate: Candidate) -> Proof:
    """Run the edited convolution in float64 and hold the whole obtained output against it."""
    sums, proof = _sums(candidate), Proof(False, candidate.edits)
    for bias in candidate.precision.possible_biases(problem.channel_bias):
        proof = _proof(candidate, sums, bias)
        if proof.holds:
            break
    return proof


def _biased(sums: Reference, form: OutputForm, values: Array) -> Reference:
    """The sums with `values`, one per channel, added as often as the form believes."""
    if form.bias_factor == 0 or values.size != sums.output.shape[1] or not values.any():
        return sums
    bias = form.bias_factor * values.reshape(1, -1, *(1,) * (sums.output.ndim - 2))
    return Reference(sums.output + bias, sums.scale + np.abs(bias))


def _proof(candidate: Candidate, sums: Reference, bias: Array) -> Proof:
    """Whether these sums, with this bias, are what was obtained."""
    form, rounding, edits = candidate.output, candidate.precision.rounding, candidate.edits
    obtained, kept = form.array.whole(), np.zeros(())
    if form.bias_kept:
        kept = bias.reshape(1, -1, *(1,) * (obtained.ndim - 2))
        obtained = obtained - kept
    made = _biased(sums, form, bias)
    if made.output.shape != obtained.shape or not made.scale.any():
        # Windows that meet nothing but padding give zeros, which is no convolution of this input.
        return Proof(False, edits)
    if candidate.precision.could_hide_fault and not _shows(obtained, made, rounding):
        return Proof(False, edits)
    if form.rectified:
        made = Reference(np.maximum(made.output, 0), made.scale)
    if form.values in ("offset", "factor"):
        return _fitted(candidate, obtained, made.output, made.scale, np.abs(kept), rounding)
    if form.values.startswith("times "):
        factor = float(form.values.split()[1])
        return Proof(
            rounding.explains_all(
                obtained, made.output * factor, made.scale * abs(factor) + np.abs(kept)
            ),
            edits,
        )
    if form.values in ("line", "lines"):
        return _on_lines(
            candidate, ChannelSamples.of(obtained, made, form.rectified_last), rounding
        )
    if form.values in ("counts offset", "counts factor"):
        read = read_off(
            rounding.with_second_storage, obtained, made, shifted=form.values == "counts offset"
        )
        for fields in read or ():
            edits = _filled(edits, fields["code"], fields)
        return Proof(read is not None, edits)
    if form.values in FITS:
        edit = FITS[form.values].fit(
            rounding.with_second_storage if form.values in STORED_TWICE else rounding,
            obtained,
            made,
        )
        return (
            Proof(False, edits) if edit is None else Proof(True, _filled(edits, edit["code"], edit))
        )
    activation = activation_of(form.values)
    if activation is not None:
        return Proof(
            _activated(
                activation, obtained, made.output, made.scale, rounding, alone=len(edits) == 1
            ),
            edits,
        )
    return Proof(rounding.explains_all(obtained, made.output, made.scale), edits)


def _shows(obtained: Array, made: Reference, rounding: Rounding) -> bool:
    """Whether rounding is small beside what the values of a channel differ by: if it is not,
    anything agrees.
    """
    apart = obtained - obtained.mean(axis=tuple(range(2, obtained.ndim)), keepdims=True)
    return float(np.median(rounding.allowed_error(made.output, made.scale))) < SHOWN * float(
        np.std(apart)
    )


def _sums(candidate: Candidate) -> Reference:
    """What the candidate's convolution gives without a bias."""
    x = candidate.precision.round_operand(candidate.input.array.whole(), "input")
    w = candidate.precision.round_operand(candidate.kernel.array.whole(), "kernel")
    geometry, groups, size = (
        candidate.geometry.correlation(),
        candidate.operation.spec.groups,
        candidate.output.size,
    )
    return Reference(
        *(correlate(x, w, geometry, groups, size, absolute=absolute) for absolute in (False, True))
    )


def _fitted(
    candidate: Candidate,
    obtained: Array,
    predicted: Array,
    scale: Array,
    kept: Array,
    rounding: Rounding,
) -> Proof:
    """A constant per channel, or one factor, that brings every element within its bound: does it
    exist?

    Every element confines it to an interval; it exists where all of them meet.  `kept` is the size
    of a bias that was taken off.
    """
    failed = Proof(False, candidate.edits)
    got = obtained.astype(np.float64)
    if candidate.output.values == "factor":
        norm = float(np.vdot(predicted, predicted))
        rough = float(np.vdot(got, predicted)) / norm if norm else 0.0
        if rough == 0 or not np.isfinite(rough):
            return failed
        slack = (
            rounding.allowed_error(np.abs(got) + kept, scale * abs(rough) + kept)
            + rounding.unit_roundoff * np.abs(got)
            + rounding.storage_error(got)
        )
        used = predicted != 0
        if int(used.sum()) < LEAST_SCALED:
            return failed
        ends = np.stack([(got - slack)[used], (got + slack)[used]]) / predicted[used]
        low, high = float(ends.min(axis=0).max()), float(ends.max(axis=0).min())
        holds = low <= high and bool((np.abs(got[~used]) <= slack[~used]).all())
        flat, free = (np.moveaxis(a, 1, 0).reshape(a.shape[1], -1) for a in (got, slack))
        if kept.any() and evidence(flat, free, np.ones(flat.shape, bool), used=0) < LEAST_EVIDENCE:
            # Small sums beside a large bias drown in its rounding: any factor would do.
            return failed
        factor = min(
            (usual for usual in USUAL_FACTORS if low <= usual <= high),
            key=lambda f: abs(f - rough),
            default=_plain(low, high),
        )
        # What sums kept in 16 bits lose is no factor.
        lost = (
            rounding.stored_narrower and abs(factor - 1) <= 4 * UNIT_ROUNDOFF[rounding.stored_dtype]
        )
        return (
            Proof(True, _filled(candidate.edits, "scaled", {"factor": factor}))
            if holds and not lost
            else failed
        )
    channels = obtained.shape[1]
    difference, size, exact = (
        np.moveaxis(a, 1, 0).reshape(channels, -1) for a in (got - predicted, scale, got)
    )
    slack = rounding.allowed_error(exact, size) + 2 * rounding.unit_roundoff * (
        np.abs(exact) + np.abs(difference)
    )
    slack = slack + rounding.storage_error(np.abs(exact) + np.abs(difference))
    lows, highs = (difference - slack).max(axis=1), (difference + slack).min(axis=1)
    if difference.shape[1] < 2 or not (lows <= highs).all():
        return failed
    flat = np.ptp(np.moveaxis(predicted, 1, 0).reshape(channels, -1), axis=1) <= 2 * slack.max(
        axis=1
    )
    if flat.all() and len(candidate.edits) > 1:
        # Constants, explained by constants: so would any be.
        return failed
    values = [_plain(low, high) for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
    if rounding.stored_narrower and max(map(abs, values)) <= 2 * float(
        np.max(rounding.storage_error(exact))
    ):
        # What sums kept in 16 bits lose on the average is no bias.
        return failed
    return Proof(True, _filled(candidate.edits, "bias-added", {"values": values}))


def _on_lines(candidate: Candidate, lines: ChannelSamples, rounding: Rounding) -> Proof:
    """A factor and a constant for each channel, or one factor for all and constants."""
    edits = candidate.edits
    if candidate.output.values == "lines":
        found = channel_lines(rounding.with_second_storage, lines)
        if found is None:
            return Proof(False, edits)
        factors, values = (each.tolist() for each in found)
        return Proof(
            True, _filled(edits, "channels-scaled", {"factors": factors, "values": values})
        )
    one = one_line(rounding.with_second_storage, lines, USUAL_FACTORS)
    if one is None:
        return Proof(False, edits)
    factor, lows, highs = one
    constants = [_plain(low, high) for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
    return Proof(
        True,
        _filled(_filled(edits, "scaled", {"factor": factor}), "bias-added", {"values": constants}),
    )


def _activated(
    activation: Callable[[Array], Array],
    obtained: Array,
    predicted: Array,
    scale: Array,
    rounding: Rounding,
    alone: bool,
) -> bool:
    """Whether the activation of every predicted value, give or take its rounding, is the obtained
    one.

    Where rounding could move a value across most of the range, or all values are alike, agreement
    says nothing.
    """
    made = activation(predicted)
    slack = rounding.allowed_error(predicted, scale)
    moved = np.maximum(
        np.abs(activation(predicted + slack) - made), np.abs(activation(predicted - slack) - made)
    )
    # GELU takes a number near 1 from 1: what is left is as exact as the 1.
    own = 8 * rounding.unit_roundoff * (
        1 + (1 + np.abs(predicted)) * np.abs(made)
    ) + rounding.allowed_error(made, np.zeros_like(made))
    agrees = np.abs(obtained - made) <= moved + own
    if not agrees.all():
        return False
    if not np.ptp(obtained):
        # All came out alike, as zeros do: a sign each is enough for an activation, but for nothing
        # beside it.
        return alone
    return float(np.median(moved + own)) < (
        CLEAR_IF_NARROW if rounding.stored_narrower else CLEAR
    ) * float(np.std(obtained.astype(np.float64)))


def _plain(low: float, high: float) -> float:
    """The number in an interval that takes the fewest digits to write."""
    middle = (low + high) / 2
    for digits in range(1, 17):
        number = float(f"{middle:.{digits}g}")
        if low <= number <= high:
            return number
    return middle


def _filled(edits: tuple[Edit, ...], code: str, fields: dict[str, object]) -> tuple[Edit, ...]:
    return tuple({**edit, **fields} if edit["code"] == code else edit for edit in edits)
