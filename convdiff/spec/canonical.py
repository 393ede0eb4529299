"""A case's arrays in the normal form that the reference and the diagnosis work on.

In the normal form every convolution is one cross-correlation (`conv_spec.Correlation`) of an input
(N, C, *space) with a kernel (O, I per group, *space).
"""

from __future__ import annotations

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array, from_order, kernel_to_order, to_order


def normal_input(spec: ConvSpec, array: Array) -> Array:
    """The input in the normal form: a view (N, C, *space)."""
    return to_order(array, spec.input_layout, "NC" + spec.axes)


def normal_kernel(spec: ConvSpec, array: Array) -> Array:
    """The kernel in the normal form: (O, I per group, *space), as `spec.correlation()` slides it.

    A flip, and the flip and channel exchange of a transposed convolution, are already applied.
    """
    layout = spec.kernel_layout
    if not spec.transposed:
        return reversed_space(kernel_to_order(array, layout, spec.axes), spec.flip)
    by_input = to_order(array, layout.replace("M", "O"), "IO" + spec.axes)
    return reversed_space(_exchange_channels(by_input, spec.groups), not spec.flip)


def normal_output(spec: ConvSpec, array: Array) -> Array:
    """The output in the normal form: a view (N, C, *space)."""
    return to_order(array, spec.output_layout, "NC" + spec.axes)


def user_output(spec: ConvSpec, array: Array) -> Array:
    """An output in the normal form as a view in the user's layout: undoes `normal_output`."""
    return from_order(array, "NC" + spec.axes, spec.output_layout)


def reversed_space(kernel: Array, flip: bool) -> Array:
    """`kernel` (two channel axes, then space), reversed along every spatial axis if `flip`."""
    if not flip:
        return kernel
    return kernel[(slice(None), slice(None)) + (slice(None, None, -1),) * (kernel.ndim - 2)]


def _exchange_channels(kernel: Array, groups: int) -> Array:
    """A transposed kernel (I in all, O per group, *space) as (O in all, I per group, *space)."""
    inputs, outputs = kernel.shape[:2]
    grouped = kernel.reshape(groups, inputs // groups, outputs, *kernel.shape[2:])
    return grouped.swapaxes(1, 2).reshape(groups * outputs, inputs // groups, *kernel.shape[2:])
