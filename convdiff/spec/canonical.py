"""A case's arrays brought to the normal form that the reference and the diagnosis work on."""

from __future__ import annotations

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array, from_order, kernel_to_order, to_order


def normal_input(spec: ConvSpec, array: Array) -> Array:
    """The input as a view (N, C, *space)."""
    return to_order(array, spec.input_layout, "NC" + spec.axes)


def normal_kernel(spec: ConvSpec, array: Array) -> Array:
    """The kernel that `spec.correlation()` slides, (O, I per group, *space): flips and
    transposition carried out.
    """
    return kernel_read_as(spec, array, spec.kernel_layout)


def kernel_read_as(spec: ConvSpec, array: Array, layout: str) -> Array:
    """As `normal_kernel`, for an array that lies in `layout`."""
    if not spec.transposed:
        return reversed_space(kernel_to_order(array, layout, spec.axes), spec.flip)
    in_first = to_order(array, layout.replace("M", "O"), "IO" + spec.axes)
    return reversed_space(swap_in_groups(in_first, spec.groups), not spec.flip)


def normal_output(spec: ConvSpec, array: Array) -> Array:
    """The output as a view (N, C, *space)."""
    return to_order(array, spec.output_layout, "NC" + spec.axes)


def user_output(spec: ConvSpec, array: Array) -> Array:
    """The inverse of `normal_output`."""
    return from_order(array, "NC" + spec.axes, spec.output_layout)


def reversed_space(kernel: Array, flip: bool) -> Array:
    """`kernel` (two channel axes, then space) reversed along every spatial axis if `flip`."""
    return (
        kernel[(slice(None), slice(None)) + (slice(None, None, -1),) * (kernel.ndim - 2)]
        if flip
        else kernel
    )


def swap_in_groups(kernel: Array, groups: int) -> Array:
    """(total, per group, *space) with its two channel axes exchanged inside each of `groups`."""
    outer, inner = kernel.shape[:2]
    split = kernel.reshape(groups, outer // groups, inner, *kernel.shape[2:])
    return split.swapaxes(1, 2).reshape(groups * inner, outer // groups, *kernel.shape[2:])
