"""The proof: an explanation counts only after it has reproduced every element of the obtained output."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convdiff.case import Edit
from convdiff.compare import Rounding
from convdiff.diagnose.activations import ACTIVATIONS
from convdiff.diagnose.candidate import Candidate
from convdiff.diagnose.fitted import OutputChannelsPermuted, OverlapAccumulated
from convdiff.diagnose.problem import Problem
from convdiff.layout import Array
from convdiff.reference import Truth, correlate

# What is fitted uses up elements; at least so many must be left to test the fit on.
LEAST_HELD_BACK = 2
FITS: dict[str, OverlapAccumulated | OutputChannelsPermuted] = {"counts": OverlapAccumulated(), "permuted": OutputChannelsPermuted()}


@dataclass(frozen=True)
class Proof:
    """Whether every element agrees, the edits with what was fitted filled in, and the largest excess in units."""

    holds: bool
    edits: tuple[Edit, ...]
    units: float


def prove(problem: Problem, candidate: Candidate) -> Proof:
    """Run the edited convolution in float64 and hold the whole obtained output against it."""
    form, rounding = candidate.output, problem.rounding
    obtained = form.array
    predicted = _run(candidate, absolute=False)
    scale = _run(candidate, absolute=True)
    if predicted.shape != obtained.shape:
        return Proof(False, candidate.edits, np.inf)
    shape = (1, -1) + (1,) * (obtained.ndim - 2)
    if problem.bias is not None and problem.channel_bias.size == predicted.shape[1]:
        predicted = predicted + form.bias_factor * problem.channel_bias.reshape(shape)
        scale = scale + abs(form.bias_factor) * np.abs(problem.channel_bias).reshape(shape)
    edits = candidate.edits
    if form.values == "offset":
        if obtained.size - obtained.shape[1] < LEAST_HELD_BACK or obtained.size == obtained.shape[1]:
            return Proof(False, edits, np.inf)
        offset = _offset(obtained, predicted, scale)
        predicted = predicted + offset.reshape(shape)
        scale = scale + np.abs(offset).reshape(shape)
        edits = _filled(edits, "bias-added", {"values": offset.tolist()})
    elif form.values == "factor":
        if obtained.size - 1 < LEAST_HELD_BACK:
            return Proof(False, edits, np.inf)
        factor = _factor(obtained, predicted, rounding)
        if factor == 0 or not np.isfinite(factor):
            return Proof(False, edits, np.inf)
        predicted, scale = predicted * factor, scale * abs(factor)
        edits = _filled(edits, "scaled", {"factor": factor})
    elif form.values in FITS:
        edit = FITS[form.values].fit(rounding, obtained, Truth(predicted, scale))
        filled = candidate.edits if edit is None else _filled(edits, edit["code"], edit)
        return Proof(edit is not None, filled, 0.0 if edit is not None else np.inf)
    elif form.values in ACTIVATIONS:
        predicted = ACTIVATIONS[form.values](predicted)
        rounding = replace(rounding, extra=rounding.extra + 8 * rounding.unit)
    units = float(rounding.excess(obtained, predicted, scale).max(initial=0.0))
    return Proof(units <= rounding.bound, edits, units)


def _run(candidate: Candidate, absolute: bool) -> Array:
    return correlate(
        candidate.input.array, candidate.kernel.array, candidate.geometry.correlation(), candidate.operation.spec.groups,
        candidate.output.size, absolute=absolute,
    )


def _offset(obtained: Array, predicted: Array, scale: Array) -> Array:
    """One constant per channel: the mean over a third of its elements, each as heavy as it is precise; the others test it."""
    channels = obtained.shape[1]
    got, expected, size = (np.moveaxis(a, 1, 0).reshape(channels, -1)[:, ::3].astype(np.float64) for a in (obtained, predicted, scale))
    weight = 1 / np.square(size + np.abs(got) + 1e-300)
    return np.asarray(((got - expected) * weight).sum(axis=1) / weight.sum(axis=1))


def _factor(obtained: Array, predicted: Array, rounding: Rounding) -> float:
    """One factor: least squares over a third of the elements; the others test it."""
    got, expected = obtained.reshape(-1)[::3].astype(np.float64), predicted.reshape(-1)[::3]
    norm = float(expected @ expected)
    return float(got @ expected) / norm if norm else 0.0


def _filled(edits: tuple[Edit, ...], code: str, fields: dict[str, object]) -> tuple[Edit, ...]:
    return tuple({**edit, **fields} if edit["code"] == code else edit for edit in edits)
