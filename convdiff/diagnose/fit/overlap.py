"""Overlapping windows added up beside an unknown constant per channel, or one unknown factor.

Neither drops out of an unknown whole count, so that pairs of values say nothing.  But corners lie
in one window each: there the constant or the factor stands alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from convdiff.diagnose.core.output_change import OutputChange
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.fit.linear_system import design_matrix, element_indices, ungrouped_kernel
from convdiff.diagnose.hypotheses.output_bias import BiasAdded
from convdiff.diagnose.hypotheses.output_overlap import (
    OverlapAccumulated,
    UnknownCountsWithConstants,
    UnknownCountsWithFactor,
)
from convdiff.diagnose.hypotheses.output_scale import Scaled, least_squares_factor
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.engine import Search
from convdiff.spec.layout import Array

# How near corners must come to one constant or one factor to be worth a proof, as a share of the
# largest obtained value.
CORNER_TOLERANCE = 1e-2
# Output channels whose corners are looked at.
MAX_CORNER_CHANNELS = 8


def overlap_candidates(search: Search, precision: PrecisionModel) -> Iterator[Candidate]:
    """The asked convolution with overlaps added several times, and a constant or a factor.

    Only where the corners agree, which are added once.
    """
    geometry, groups = search.asked_geometry(), search.forms.output_groups(0, 0)
    if geometry is None or not groups or max(groups[0].shape[2:]) < 3:
        return
    if not np.isfinite(search.problem.obtained).all():
        return
    (plain,) = groups[0].forms
    (x,), (w,) = search.forms.inputs(0, 0), search.forms.kernels(0, 0)
    obtained, sums = _corner_values(search)
    if sums.shape[1] < 2 or not np.isfinite(sums).all():
        return
    factor = least_squares_factor(obtained, sums)
    changes: tuple[tuple[OutputChange, str, Array], ...] = (
        (UnknownCountsWithConstants(), BiasAdded.code, np.ptp(obtained - sums, axis=1)),
        (UnknownCountsWithFactor(), Scaled.code, np.abs(obtained - factor * sums)),
    )
    for change, code, error in changes:
        if error.max() <= CORNER_TOLERANCE * np.abs(obtained).max():
            form = plain.plus({"code": OverlapAccumulated.code}, 0.2, change=change)
            form = form.plus({"code": code}, 0.3)
            yield Candidate(x, w, geometry.form(0), form, precision, form.cost + precision.cost)


def _corner_values(search: Search) -> tuple[Array, Array]:
    """The obtained values and the asked convolution's at the corners, (channels, corners) each."""
    problem, spec = search.problem, search.problem.spec
    (outputs,), geometry = search.forms.output_groups(0, 0)[:1], search.asked_geometry()
    assert geometry is not None
    shape = outputs.shape
    ends = itertools.product((0,), *((0, size - 1) for size in shape[2:]))
    corners = np.unique(np.ravel_multi_index(np.array([*ends]).T, (shape[0], *shape[2:])))
    windows = design_matrix(problem, geometry, corners, shape)
    (kernel,) = search.forms.kernels(0, 0)
    first = kernel.array.select(0, slice(MAX_CORNER_CHANNELS)) if spec.groups == 1 else kernel.array
    weights = ungrouped_kernel(first.to_array().astype(np.float64), spec.groups, spec.in_channels)
    weights = weights[:MAX_CORNER_CHANNELS].reshape(-1, windows.shape[1])
    sums = weights @ windows.T
    sums = sums + problem.channel_bias[: len(sums), None]
    item, _, *place = element_indices(corners, shape, channel=0)
    index = item[None], np.arange(len(sums))[:, None], *(each[None] for each in place)
    return outputs.arrays.gather(*index)[0], sums
