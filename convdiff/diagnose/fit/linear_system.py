"""Output elements as linear equations in the weights of the kernel.

Under a given geometry, output[n, o, p] - bias[o] is the dot product of the window at position p of
item n with the weights of output channel o.  The windows at some positions, one per row, are the
design matrix of a least squares problem whose unknowns are the weights; all output channels share
it.
"""

from __future__ import annotations

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.search.geometry_table import GeometryTable
from convdiff.diagnose.search.windows import SamplePoint, gather_windows
from convdiff.spec.layout import Array


def element_indices(chosen: Array, shape: tuple[int, ...], channel: int) -> list[Array]:
    """The indices, one array per axis of an output (N, O, *space), of some elements of a channel.

    `chosen` (n,) counts the positions of all items in C order: it is an index into (N, *space)
    flattened.  `shape` is the shape of the output.
    """
    item, *position = np.unravel_index(chosen, (shape[0], *shape[2:]))
    return [item, np.full(len(chosen), channel), *position]


def design_matrix(
    problem: Problem, geometry: GeometryTable, chosen: Array, shape: tuple[int, ...]
) -> Array:
    """(n, C x taps): the windows at the chosen positions, over all input channels.

    `geometry` has one row; `chosen` and `shape` are as in `element_indices`.
    """
    spec = problem.spec
    item, _, *position = element_indices(chosen, shape, channel=0)
    points = [
        SamplePoint(i, 0, place)
        for i, place in zip(
            item.tolist(), zip(*(axis.tolist() for axis in position), strict=True), strict=True
        )
    ]
    table = geometry.windows_at(
        [point.position for point in points], spec.kernel_size, spec.input_size
    )
    inputs = ArrayViewStack([problem.x_view])
    return gather_windows(inputs, slice(0, spec.in_channels), points, table)[0, :, 0]


def ungrouped_kernel(kernel: Array, groups: int, channels: int) -> Array:
    """The kernel (O, I per group, ...) as (O, C, ...), over all C = `channels` input channels.

    Weights outside of an output channel's group are zero.
    """
    outputs, inputs_per_group = kernel.shape[:2]
    ungrouped = np.zeros((outputs, channels, *kernel.shape[2:]))
    for channel in range(outputs):
        start = channel * groups // outputs * inputs_per_group
        ungrouped[channel, start : start + inputs_per_group] = kernel[channel]
    return ungrouped
