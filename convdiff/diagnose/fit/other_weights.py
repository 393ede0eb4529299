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
# the largest error of an element gives for an input of its size.
LEAST_WEIGHT_ERROR, RESIDUAL_FACTOR = 1e-5, 8.0
# Wrong weights that are listed one by one.
MAX_LISTED_WEIGHTS = 3


def solve_weights(search: Search) -> Array | None:
    """(O, C, *space): the weights over all input channels that give the output, in normal form.

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
    try:
        weights = np.linalg.solve(fitted_rows.T @ fitted_rows, fitted_rows.T @ fitted_targets)
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
    return solved if _gives_every_element(problem, solved) else None


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


def _weight_error(problem: Problem, solved: Array) -> float:
    """How far a solved weight may be off."""
    size = float(np.sqrt(np.mean(np.square(problem.x.astype(np.float64))))) or 1.0
    residual = _largest_residual(problem, solved) / size
    return max(LEAST_WEIGHT_ERROR * float(np.abs(solved).max()), RESIDUAL_FACTOR * residual)


@dataclass(frozen=True)
class ChangedWeight:
    """One weight, at its index in the user's kernel: (output channel, input channel, *space)."""

    index: tuple[int, ...]
    given: float
    obtained: float


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
    `differing` of `total` weights differ.  `tidy` is there where the kernel is simply related to
    the given one, and reproduces every element within rounding.  `given` and `obtained` are the
    weights of one filter that differs, at (output channel, input channel) `plane`.
    """

    weights: tuple[ChangedWeight, ...]
    channel: ChangedChannel | None
    differing: int
    total: int
    tidy: TidyKernel | None
    plane: tuple[int, int]
    given: Array
    obtained: Array


def kernel_difference(problem: Problem, solved: Array) -> KernelDifference | None:
    """How the solved kernel (O, C, *space) differs from the given one; None if it does not."""
    spec = problem.spec
    given = ungrouped_kernel(problem.w.astype(np.float64), spec.groups, spec.in_channels)
    tolerance = _weight_error(problem, solved)
    wrong = np.abs(solved - given) > tolerance
    if not wrong.any():
        return None
    weights: tuple[ChangedWeight, ...] = ()
    if int(wrong.sum()) <= MAX_LISTED_WEIGHTS:
        weights = tuple(
            ChangedWeight(_user_index(index, spec), float(given[index]), float(solved[index]))
            for index in map(tuple, np.argwhere(wrong).tolist())
        )
    channel = _changed_channel(wrong, solved, given, tolerance)
    plane = tuple(np.argwhere(wrong)[0][:2].tolist())
    shown = (np.where(np.abs(array) > tolerance, array, 0.0)[plane] for array in (given, solved))
    reversed_space = spec.flip != spec.transposed
    planes = (np.flip(array) if reversed_space else array for array in shown)
    return KernelDifference(
        weights,
        channel,
        int(wrong.sum()),
        wrong.size,
        tidy_kernel(problem, solved, tolerance),
        (plane[0], plane[1]),
        *planes,
    )


def _changed_channel(
    wrong: Array, solved: Array, given: Array, tolerance: float
) -> ChangedChannel | None:
    """The one channel that all wrong weights are in; all arrays are (O, C, *space)."""
    for axis, side in ((0, "output"), (1, "input")):
        channels = wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis))
        if channels.sum() != 1 or wrong.shape[axis] == 1:
            continue
        channel = int(channels.argmax())
        ours, theirs = np.take(given, channel, axis), np.take(solved, channel, axis)
        factor = float(np.vdot(theirs, ours) / max(np.vdot(ours, ours), 1e-300))
        scaled = np.abs(theirs - factor * ours).max() <= tolerance
        if np.abs(theirs).max() <= tolerance:
            factor = 0.0
        return ChangedChannel(side, channel, factor if scaled else None)
    return None


def _user_index(index: tuple[int, ...], spec: ConvSpec) -> tuple[int, ...]:
    """A weight's index with the spatial part counted as in the user's kernel.

    The normal form of a flipped or a transposed kernel reverses the spatial axes.
    """
    reversed_space = spec.flip != spec.transposed
    space = (
        size - 1 - i if reversed_space else i
        for i, size in zip(index[2:], spec.kernel_size, strict=True)
    )
    return (*index[:2], *space)
