"""The direct convolution with the same output as a transposed one.

It has zeros between the input's elements, the kernel's in and out channels swapped in each group,
and the kernel flipped.
"""

from __future__ import annotations

from dataclasses import replace

from convdiff.dialects.expressions import axes_to_flip, reversal_index, to_order, tuple_text
from convdiff.dialects.numpy_steps import dilate_kernel
from convdiff.dialects.script import ScriptBuilder
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import kernel_span


def direct_equivalent(spec: ConvSpec) -> ConvSpec:
    """The direct convolution with the same output, and a dense kernel (no dilation).

    The kernel layout is that of `write_dense_kernel`: spatial axes alone, or OI and spatial axes.
    """
    geometry = spec.correlation()
    return replace(
        spec,
        transposed=False,
        stride=geometry.stride,
        padding=geometry.padding,
        input_dilation=geometry.input_dilation,
        dilation=(1,) * spec.rank,
        output_padding=(0,) * spec.rank,
        kernel_size=dense_kernel_size(spec),
        kernel_layout=spec.axes if spec.kernel_layout == spec.axes else f"OI{spec.axes}",
    )


def dense_kernel_size(spec: ConvSpec) -> tuple[int, ...]:
    """The kernel's spatial size, dilation included."""
    return tuple(kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True))


def write_dense_kernel(spec: ConvSpec, builder: ScriptBuilder, order: str, *, flipped: bool) -> str:
    """Write the steps to the kernel of `direct_equivalent`; returns an expression for it.

    `order` is its layout: the spatial axes alone, or OI and the spatial axes.
    """
    name = dilate_kernel(spec, builder)
    inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
    if spec.transposed and spec.groups > 1:
        text = to_order(name, spec.kernel_layout.replace("M", "O"), f"IO{spec.axes}")
        shape = tuple_text((spec.groups, inner, outer, *dense_kernel_size(spec)))
        builder.add(f"w = {text}.reshape{shape}.swapaxes(1, 2)")
        text = f"w.reshape{tuple_text((spec.out_channels, inner, *dense_kernel_size(spec)))}"
        builder.note("in and out channels swapped in each group")
    elif "M" in spec.kernel_layout and not spec.transposed:
        text = (
            to_order(name, spec.kernel_layout, f"IM{spec.axes}")
            + f".reshape{tuple_text((spec.out_channels, 1, *dense_kernel_size(spec)))}"
        )
    else:
        text = to_order(name, spec.kernel_layout.replace("M", "O"), order)
    return text + (reversal_index(order, axes_to_flip(spec)) if flipped else "")
