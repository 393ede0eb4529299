"""Overlapping windows added up beside a bias that was not asked for, or one factor.

Neither drops out of a whole number of times, but corners lie in one window each: what was done to
all elements is read off there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.fit.linear_system import dense, elements, equations
from convdiff.diagnose.hypotheses.output_bias import BiasAdded
from convdiff.diagnose.hypotheses.output_fitted import OverlapAccumulated
from convdiff.diagnose.hypotheses.output_values import USUAL_FACTORS, Scaled
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.engine import Search
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.reference import Reference
from convdiff.records import Edit
from convdiff.spec.layout import Array

# How near corners must come to one constant or one factor to be worth a proof, as a share of the
# largest; and a factor to a usual one.
CLOSE = 1e-2
USUAL = 1e-4
# Channels looked at.
CHANNELS = 8


def counted(search: Search, precision: PrecisionModel) -> Iterator[Candidate]:
    """The asked convolution counted several times in places, and shifted or scaled, if its corners
    say so.
    """
    geometry, groups, problem = search.asked_geometry(), search.output_groups(0, 0), search.problem
    if (
        geometry is None
        or not groups
        or max(groups[0].shape[2:]) < 3
        or not np.isfinite(problem.obtained).all()
    ):
        return
    (plain,), shape, spec = groups[0].forms, groups[0].shape, problem.spec
    (x,), (w,) = search.forms("inputs", 0, 0), search.forms("kernels", 0, 0)
    corners = np.ravel_multi_index(
        np.array([*itertools.product((0,), *((0, size - 1) for size in shape[2:]))]).T,
        (shape[0], *shape[2:]),
    )
    corners = np.unique(corners)
    rows = equations(problem, geometry, corners, shape)[0, :, :-1]
    weights = (
        (w.array.along(0, slice(CHANNELS)) if spec.groups == 1 else w.array)
        .whole()
        .astype(np.float64)
    )
    made = (
        dense(weights, spec.groups, spec.in_channels)[:CHANNELS].reshape(-1, rows.shape[1]) @ rows.T
    )
    made = made + problem.channel_bias[: len(made), None]
    item, _, *place = elements(corners, shape, channel=0)
    got = groups[0].bundle.look_up(
        item[None], np.arange(len(made))[:, None], *(each[None] for each in place)
    )[0]
    if len(corners) < 2 or not np.isfinite(made).all():
        return
    factor = _factor(got, made)
    for values, code, left in (
        ("counts offset", BiasAdded.code, np.ptp(got - made, axis=1)),
        ("counts factor", Scaled.code, np.abs(got - factor * made)),
    ):
        if left.max() <= CLOSE * np.abs(got).max():
            form = plain.plus({"code": OverlapAccumulated.code}, 0.2, values=values).plus(
                {"code": code}, 0.3
            )
            yield Candidate(x, w, geometry.form(0), form, precision, form.cost + precision.cost)


def read_off(
    rounding: Rounding, obtained: Array, reference: Reference, shifted: bool
) -> tuple[Edit, Edit] | None:
    """The counts, and the constants or the factor, if they explain every element."""
    corners = (
        slice(None),
        slice(None),
        *(slice(None, None, max(size - 1, 1)) for size in obtained.shape[2:]),
    )
    got, made = obtained[corners].astype(np.float64), reference.output[corners]
    edit: Edit
    if shifted:
        constants = np.median(np.moveaxis(got - made, 1, 0).reshape(got.shape[1], -1), axis=1)
        values = constants.reshape(1, -1, *(1,) * (got.ndim - 2))
        edit = {"code": BiasAdded.code, "values": constants.tolist()}
        counts = OverlapAccumulated().fit(
            rounding,
            obtained - values,
            Reference(reference.output, reference.scale + np.abs(values)),
        )
    else:
        factor = _factor(got, made)
        factor = next(
            (usual for usual in USUAL_FACTORS if abs(usual - factor) <= USUAL * abs(factor)), factor
        )
        edit = {"code": Scaled.code, "factor": factor}
        counts = (
            OverlapAccumulated().fit(rounding, obtained / factor, reference) if factor else None
        )
    return None if counts is None else (counts, edit)


def _factor(got: Array, made: Array) -> float:
    """The one factor that makes most of `got` of `made`."""
    norm = float(np.vdot(made, made))
    return float(np.vdot(got, made)) / norm if norm else 0.0
