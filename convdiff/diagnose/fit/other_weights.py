"""The kernel that would explain the output, where there are more equations than unknowns.

Under the asked geometry every output element is one linear equation in the kernel's weights (see
`linear_system`).  Ordinary least squares solves them over all input channels, whatever the groups.
If the solution predicts elements that were held out of the fit, and then every element, the other
side ran this very convolution with other weights, and the difference of the weights is the
explanation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.fit.linear_system import design_matrix, element_indices, ungrouped_kernel
from convdiff.diagnose.fit.tidy_kernel import TidyKernel, tidy_kernel
from convdiff.diagnose.search.engine import Search
from convdiff.numerics.reference import correlate
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# Unknowns of one output channel up to which they are solved for: that costs their third power.
MAX_UNKNOWNS = 1200
# There must be so many more positions than unknowns for some to be held out.
MIN_SPARE_POSITIONS = 8
# Positions used, beyond twice as many as there are unknowns.
EXTRA_POSITIONS = 64
# The share of the positions that is held out, and how many at the least.
HELD_OUT_SHARE, MIN_HELD_OUT = 1 / 8, 4
# The error of a held-out element that counts as predicted, as a share of the output's standard
# deviation.
OUTPUT_TOLERANCE = 1e-3
# The error of a solved weight: at least this share of the largest weight, and so many times what
# least squares makes of the largest error of an element.
LEAST_WEIGHT_ERROR, RESIDUAL_FACTOR = 1e-5, 4.0
# The error of a solved weight, as a share of the largest, up to which its change would be seen.
MAX_EXACT_ERROR = 1e-3
# The largest change of a weight, as a share of the largest weight, that is told as a small one.
MAX_SMALL_CHANGE = 0.1
# Wrong weights that are listed one by one.
MAX_LISTED_WEIGHTS = 3


class SolvedWeights(NamedTuple):
    """(O, C, *space): the weights over all input channels that give the output, in normal form.

    `spread` (C, *space) is the error of each weight for errors of 1 in the output elements.
    """

    values: Array
    spread: Array


def solve_weights(search: Search) -> SolvedWeights | None:
    """The weights that give the output.

    Returns None if the output has another shape than asked, if it has too few elements, or if it is
    no linear function of the input's windows.
    """
    problem, spec, geometry = search.problem, search.problem.spec, search.asked_geometry()
    if geometry is None or not np.isfinite(problem.obtained).all():
        return None
    unknowns = spec.in_channels * math.prod(spec.kernel_size)
    positions = spec.batch * math.prod(spec.output_size)
    if unknowns > MAX_UNKNOWNS or positions < unknowns + MIN_SPARE_POSITIONS:
        return None
    chosen = np.random.default_rng(11).permutation(positions)[: 2 * unknowns + EXTRA_POSITIONS]
    shape = (spec.batch, spec.out_channels, *spec.output_size)
    rows = design_matrix(problem, geometry, chosen, shape)
    item, _, *position = element_indices(chosen, shape, channel=0)
    # (positions, O)
    obtained = np.moveaxis(normal_output(spec, problem.obtained), 1, -1)[(item, *position)]
    targets = obtained.astype(np.float64) - problem.channel_bias
    held_out = max(MIN_HELD_OUT, int(len(chosen) * HELD_OUT_SHARE))
    fitted_rows, fitted_targets = rows[held_out:], targets[held_out:]
    gram = fitted_rows.T @ fitted_rows
    try:
        weights = np.linalg.solve(gram, fitted_rows.T @ fitted_targets)
        variances = np.abs(np.diagonal(np.linalg.inv(gram)))
    except np.linalg.LinAlgError:
        return None
    if not np.ptp(targets):
        return None
    error = np.abs(rows[:held_out] @ weights - targets[:held_out]).max()
    if not error <= OUTPUT_TOLERANCE * max(float(np.std(targets)), 1e-300):
        return None
    solved = np.ascontiguousarray(weights.T).reshape(
        spec.out_channels, spec.in_channels, *spec.kernel_size
    )
    if not _gives_every_element(problem, solved):
        return None
    return SolvedWeights(solved, np.sqrt(variances).reshape(solved.shape[1:]))


def _gives_every_element(problem: Problem, weights: Array) -> bool:
    spec = problem.spec
    bias = problem.channel_bias.reshape(1, -1, *(1,) * spec.rank)
    tolerance = OUTPUT_TOLERANCE * float(
        np.std(normal_output(spec, problem.obtained).astype(np.float64) - bias)
    )
    return _largest_residual(problem, weights) <= tolerance


def _largest_residual(problem: Problem, weights: Array) -> float:
    """The largest error of an element that these weights (O, C, *space) give."""
    spec = problem.spec
    x = problem.x.astype(np.float64)
    sums = correlate(x, weights, spec.correlation(), 1, spec.output_size)
    bias = problem.channel_bias.reshape(1, -1, *(1,) * spec.rank)
    obtained = normal_output(spec, problem.obtained).astype(np.float64)
    return float(np.abs(sums + bias - obtained).max())


def _weight_errors(problem: Problem, solved: SolvedWeights) -> Array:
    """(O, C, *space): how far each solved weight may be off."""
    residual = _largest_residual(problem, solved.values)
    least = LEAST_WEIGHT_ERROR * float(np.abs(solved.values).max())
    errors = np.maximum(least, RESIDUAL_FACTOR * residual * solved.spread)
    return np.broadcast_to(errors, solved.values.shape)


@dataclass(frozen=True)
class ChangedWeight:
    """One weight, at its index in the user's kernel; `axes` are the letters of that index."""

    index: tuple[int, ...]
    given: float
    obtained: float
    axes: str


@dataclass(frozen=True)
class ChangedChannel:
    """The one "output" or "input" channel whose weights differ, and by what factor, if by one."""

    side: str
    number: int
    factor: float | None


@dataclass(frozen=True)
class KernelDifference:
    """How the kernel that would give the output differs from the given one.

    `weights` are listed where they are few; `channel` is there where all that differ are in one;
    `differing` of `total` weights differ, by at most `largest`; with `is_exact` no other can.
    `zeros` is there where all that differ are 0; `mask` (*space) where these are the 0 of one mask
    for every filter.  `tidy` is there where the kernel is simply related to the given one, and
    reproduces every element within rounding.  `given` and `obtained` are the weights of one filter
    that differs, at (output channel, input channel) `plane`.
    """

    weights: tuple[ChangedWeight, ...]
    channel: ChangedChannel | None
    differing: int
    total: int
    tidy: TidyKernel | None
    plane: tuple[int, int]
    given: Array
    obtained: Array
    largest: float
    is_exact: bool
    zeros: bool
    mask: Array | None

    @property
    def is_small(self) -> bool:
        """Whether no weight changed by much, beside the largest of the filter that is shown."""
        return self.largest <= MAX_SMALL_CHANGE * float(np.abs(self.given).max())


def kernel_difference(problem: Problem, solved: SolvedWeights) -> KernelDifference | None:
    """How the solved kernel differs from the given one; None if it does not."""
    spec = problem.spec
    given = ungrouped_kernel(problem.w.astype(np.float64), spec.groups, spec.in_channels)
    errors = _weight_errors(problem, solved)
    wrong = np.abs(solved.values - given) > errors
    if not wrong.any():
        return None
    # What rounding leaves of a weight of 0 is 0.
    values = np.where(np.abs(solved.values) > errors, solved.values, 0.0)
    weights: tuple[ChangedWeight, ...] = ()
    if int(wrong.sum()) <= MAX_LISTED_WEIGHTS:
        weights = tuple(
            _changed_weight(index, given, values, spec)
            for index in map(tuple, np.argwhere(wrong).tolist())
        )
    plane = tuple(np.argwhere(wrong)[0][:2].tolist())
    zeros = not values[wrong].any()
    # Weights between groups are none of the user's, and count only where they are there.
    own = _is_own(spec)
    return KernelDifference(
        weights=weights,
        channel=_changed_channel(wrong, solved.values, given, errors),
        differing=int(wrong.sum()),
        total=wrong.size if (wrong & ~own).any() else int(own.sum()),
        tidy=tidy_kernel(problem, solved.values, errors),
        plane=(plane[0], plane[1]),
        given=_in_user_order(given[plane], spec),
        obtained=_in_user_order(values[plane], spec),
        largest=float(np.abs(solved.values - given)[wrong].max()),
        is_exact=float(errors.max()) <= MAX_EXACT_ERROR * float(np.abs(given).max()),
        zeros=zeros,
        mask=_mask(wrong, given, spec) if zeros else None,
    )


def _mask(wrong: Array, given: Array, spec: ConvSpec) -> Array | None:
    """(*space): 0 where every filter's weight became 0, else 1; None where filters differ."""
    planes = wrong.reshape(-1, *spec.kernel_size)
    gone = planes.any(axis=0)
    unexplained = (given != 0).reshape(planes.shape) & gone & ~planes
    if gone.all() or len(planes) == 1 or unexplained.any():
        return None
    return _in_user_order(np.where(gone, 0.0, 1.0), spec)


def _in_user_order(plane: Array, spec: ConvSpec) -> Array:
    """One filter (*space) as it lies in the user's kernel.

    The normal form of a flipped or a transposed kernel reverses the spatial axes.
    """
    return np.flip(plane) if spec.flip != spec.transposed else plane


def _is_own(spec: ConvSpec) -> Array:
    """(O, C, *space): whether a weight is one of the given kernel, with its groups."""
    inner = spec.in_channels // spec.groups
    ones = np.ones((spec.out_channels, inner, *spec.kernel_size))
    return ungrouped_kernel(ones, spec.groups, spec.in_channels) > 0


def _changed_channel(
    wrong: Array, solved: Array, given: Array, errors: Array
) -> ChangedChannel | None:
    """The one channel that all wrong weights are in; all arrays are (O, C, *space)."""
    for axis, side in ((0, "output"), (1, "input")):
        channels = wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis))
        if channels.sum() != 1 or wrong.shape[axis] == 1:
            continue
        channel = int(channels.argmax())
        ours, theirs, error = (np.take(each, channel, axis) for each in (given, solved, errors))
        factor = float(np.vdot(theirs, ours) / max(np.vdot(ours, ours), 1e-300))
        scaled = bool((np.abs(theirs - factor * ours) <= error).all())
        if (np.abs(theirs) <= error).all():
            factor = 0.0
        return ChangedChannel(side, channel, factor if scaled else None)
    return None


def _changed_weight(
    index: tuple[int, ...], given: Array, obtained: Array, spec: ConvSpec
) -> ChangedWeight:
    """The weight at an index (o, c, *space) of the normal form, at its place in the user's kernel.

    A weight between groups has no place there, and keeps its numbers of channels.
    """
    output, channel, *space = index
    if spec.flip != spec.transposed:
        space = [size - 1 - i for i, size in zip(space, spec.kernel_size, strict=True)]
    place = dict(zip(spec.axes, space, strict=True))
    values = float(given[index]), float(obtained[index])
    if spec.groups > 1 and not _is_own(spec)[index]:
        return ChangedWeight((output, channel, *space), *values, f"OC{spec.axes}")
    outer, inner = spec.out_channels // spec.groups, spec.in_channels // spec.groups
    place["M"] = output % outer
    place["O"] = output % outer if spec.transposed else output
    is_whole = spec.transposed or "M" in spec.kernel_layout
    place["I"] = channel if is_whole else channel % inner
    layout = spec.kernel_layout
    return ChangedWeight(tuple(place[letter] for letter in layout), *values, layout)
