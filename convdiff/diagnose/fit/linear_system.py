"""Output elements as linear equations in the kernel's weights, under given geometries."""

from __future__ import annotations

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.search.geometry_table import PAD_MODES, GeometryTable
from convdiff.diagnose.search.windows import tap_indices
from convdiff.spec.layout import Array


def element_indices(chosen: Array, shape: tuple[int, ...], channel: int) -> list[Array]:
    """Indices along every axis of (N, O, *space) of the places numbered `chosen`, in one channel."""
    item, *place = np.unravel_index(chosen, (shape[0], *shape[2:]))
    return [item, np.full(len(chosen), channel), *place]


def design_matrices(
    problem: Problem, geometry: GeometryTable, chosen: Array, shape: tuple[int, ...]
) -> Array:
    """(geometries, places, channels x taps + 1): what a kernel meets at each place of an output of
    this shape, and a one.
    """
    spec, rank = problem.spec, problem.spec.rank
    item, _, *place = element_indices(chosen, shape, channel=0)
    inside = np.ones((len(geometry), len(chosen), 1, *spec.kernel_size), bool)
    indices = []
    for axis in range(rank):
        stride, lo, dilation, input_dilation = geometry.axes[axis].run[
            :, geometry.choices[:, axis], :, None
        ]
        made = np.empty((len(geometry), len(chosen), spec.kernel_size[axis]), int)
        for mode in np.unique(geometry.pad_modes).tolist():
            at = geometry.pad_modes == mode
            made[at] = tap_indices(
                stride[at],
                lo[at],
                dilation[at],
                input_dilation[at],
                place[axis][:, None],
                spec.kernel_size[axis],
                spec.input_size[axis],
                PAD_MODES[mode],
            )
        made = made.reshape(
            *made.shape[:2], 1, *(spec.kernel_size[axis] if a == axis else 1 for a in range(rank))
        )
        inside &= made >= 0
        indices.append(np.maximum(made, 0))
    ones = (1,) * rank
    channels = np.arange(spec.in_channels).reshape(1, 1, -1, *ones)
    values = ArrayViewStack([problem.x_view]).gather(
        item.reshape(1, -1, 1, *ones), channels, *indices
    )[0]
    rows = np.where(inside, values, 0.0).reshape(len(geometry), len(chosen), -1)
    return np.concatenate([rows, np.ones((*rows.shape[:2], 1))], axis=-1)


def ungrouped_kernel(kernel: Array, groups: int, channels: int) -> Array:
    """(O, I per group, ...) as (O, C, ...), zero outside each output channel's group."""
    outer, inner = kernel.shape[:2]
    made = np.zeros((outer, channels, *kernel.shape[2:]))
    for channel in range(outer):
        start = channel * groups // outer * inner
        made[channel, start : start + inner] = kernel[channel]
    return made
