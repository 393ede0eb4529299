"""The kernel that would explain the output, where there are more equations than unknowns (least
squares).

With the asked geometry every output element is one linear equation in the kernel's weights.  If the
solution predicts elements that were held back, the other side ran this convolution with other
weights, and how they differ is worth telling.
"""

from __future__ import annotations

import math

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.fit.linear_system import design_matrix, element_indices, ungrouped_kernel
from convdiff.diagnose.search.engine import Search
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# Unknowns for one output channel at most: the cost grows with their third power.
MOST_UNKNOWNS = 1200
# Predictions of held back elements within this share of the outputs' spread count as right.
CLOSE = 1e-3


def solve_weights(search: Search) -> Array | None:
    """(O, C, *space): the weights over all input channels that give the output under the asked
    geometry.

    None where the output has another shape, too few element_indices, or is no linear function of the
    input's windows.
    """
    problem, spec, geometry = search.problem, search.problem.spec, search.asked_geometry()
    if geometry is None or not np.isfinite(problem.obtained).all():
        return None
    unknowns = spec.in_channels * math.prod(spec.kernel_size)
    places = spec.batch * math.prod(spec.output_size)
    if unknowns > MOST_UNKNOWNS or places < unknowns + 8:
        return None
    chosen = np.random.default_rng(11).permutation(places)[: 2 * unknowns + 64]
    shape = (spec.batch, spec.out_channels, *spec.output_size)
    rows = design_matrix(problem, geometry, chosen, shape)
    item, _, *place = element_indices(chosen, shape, channel=0)
    targets = (
        np.moveaxis(normal_output(spec, problem.obtained), 1, -1)[(item, *place)].astype(np.float64)
        - problem.channel_bias
    )
    held = max(4, len(chosen) // 8)
    try:
        weights = np.linalg.solve(rows[held:].T @ rows[held:], rows[held:].T @ targets[held:])
    except np.linalg.LinAlgError:
        return None
    if not np.ptp(targets):
        return None
    error = np.abs(rows[:held] @ weights - targets[:held]).max()
    if not error <= CLOSE * max(float(np.std(targets)), 1e-300):
        return None
    return np.ascontiguousarray(weights.T).reshape(
        spec.out_channels, spec.in_channels, *spec.kernel_size
    )


def describe_other_weights(problem: Problem, solved: Array) -> str | None:
    """How the solved kernel differs from the given one, in one sentence; None where it does not."""
    spec = problem.spec
    given = ungrouped_kernel(problem.w.astype(np.float64), spec.groups, spec.in_channels)
    spread = float(np.std(given)) or 1.0
    wrong = np.abs(solved - given) > 20 * CLOSE * spread
    if not wrong.any():
        return None
    start = "it is a convolution of this geometry, but with other weights"
    if 1 <= int(wrong.sum()) <= 3:
        places = [tuple(place) for place in np.argwhere(wrong).tolist()]
        weights = [
            f"{_named(place, spec)} is {solved[place]:.4g} for {given[place]:.4g}"
            for place in places
        ]
        return (
            f"{start}: yours but for {'; '.join(weights)} (output channel, input channel, "
            f"{', '.join(spec.axes)})"
        )
    for axis, name in ((0, "output"), (1, "input")):
        lines = wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis))
        if lines.sum() == 1 and wrong.shape[axis] > 1:
            at = int(lines.argmax())
            one, other = np.take(solved, at, axis), np.take(given, at, axis)
            factor = float(np.vdot(one, other) / max(np.vdot(other, other), 1e-300))
            scaled = np.abs(one - factor * other).max() <= 20 * CLOSE * spread
            return (
                f"{start}: yours {f'times {factor:.4g} ' if scaled else 'but '}in {name} "
                f"channel {at}{'' if scaled else ' alone'}"
            )
    return f"{start} than yours ({wrong.mean():.0%} of them differ)"


def _named(place: tuple[int, ...], spec: ConvSpec) -> str:
    """A weight's place as the user's kernel has it: space reversed back where the normal form
    reverses it.
    """
    back = spec.flip != spec.transposed
    space = [k - 1 - i if back else i for i, k in zip(place[2:], spec.kernel_size, strict=True)]
    return f"[{', '.join(map(str, [*place[:2], *space]))}]"
