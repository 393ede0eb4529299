"""A transposed convolution as the direct one that it is: zeros between the input's elements, the
kernel's channels swapped, it flipped.
"""

from __future__ import annotations

from dataclasses import replace

from convdiff.dialects.by_hand import dilated_kernel
from convdiff.dialects.script import Body
from convdiff.dialects.text import arranged, axes_to_flip, numbers, reversed_axes
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import kernel_span


def as_direct(spec: ConvSpec) -> ConvSpec:
    """The direct convolution, with a dense kernel (in its own axes where it has no others, else OI
    and space), that gives the same.
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
        kernel_size=spans(spec),
        kernel_layout=spec.axes if spec.kernel_layout == spec.axes else f"OI{spec.axes}",
    )


def spans(spec: ConvSpec) -> tuple[int, ...]:
    """The kernel's spatial size once it is dense."""
    return tuple(kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True))


def dense_kernel(spec: ConvSpec, body: Body, order: str, *, flipped: bool) -> str:
    """The kernel's text as `as_direct` wants it, in `order` (the axes alone, or OI and they); lines
    that it needs are written.
    """
    name = dilated_kernel(spec, body)
    inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
    if spec.transposed and spec.groups > 1:
        text = arranged(name, spec.kernel_layout.replace("M", "O"), f"IO{spec.axes}")
        body.add(
            f"w = {text}.reshape{numbers((spec.groups, inner, outer, *spans(spec)))}.swapaxes(1, 2)"
        )
        text = f"w.reshape{numbers((spec.out_channels, inner, *spans(spec)))}"
        body.note("in and out channels swapped in each group")
    elif "M" in spec.kernel_layout and not spec.transposed:
        text = (
            arranged(name, spec.kernel_layout, f"IM{spec.axes}")
            + f".reshape{numbers((spec.out_channels, 1, *spans(spec)))}"
        )
    else:
        text = arranged(name, spec.kernel_layout.replace("M", "O"), order)
    return text + (reversed_axes(order, axes_to_flip(spec)) if flipped else "")
