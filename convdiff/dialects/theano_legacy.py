"""Theano's legacy ConvOp, which T.nnet.conv2d used before CorrMM: two axes, valid or full, the kernel always flipped.

Everything else is done before it by hand.  1-D is 2-D with an axis of 1.
"""

from __future__ import annotations

from convdiff.dialects.by_hand import dilated_input, dilated_kernel, padded_input
from convdiff.dialects.script import Body, Unsupported
from convdiff.dialects.text import along_channels, arranged, axes_to_flip, numbers, restored, reversed_axes
from convdiff.padding import reach
from convdiff.spec import ConvSpec


def refuse(spec: ConvSpec) -> None:
    """Raise Unsupported for what ConvOp lacks."""
    for lacks, found in (("3-D", spec.rank == 3), ("groups", spec.groups > 1), ("transposed convolution", spec.transposed)):
        if found:
            raise Unsupported(f"Theano's legacy ConvOp has no {lacks}")


def write_body(spec: ConvSpec, body: Body) -> None:
    """Writes everything for a spec that `refuse` lets through."""
    order, kernel_order, one = ("NC1W", "OI1W", (1,)) if spec.rank == 1 else (f"NC{spec.axes}", f"OI{spec.axes}", ())
    name = dilated_input(spec, body)
    full = spec.pad_mode == "constant" and spec.padding == tuple(
        (reach(k, d) - 1,) * 2 for k, d in zip(spec.kernel_size, spec.dilation, strict=True)
    )
    if not full:
        name = padded_input(spec, body, name)
    body.add(f'x = {arranged(name, spec.input_layout, order)}.astype("{spec.dtype}")')
    kernel = arranged(dilated_kernel(spec, body), spec.kernel_layout.replace("M", "O"), kernel_order)
    if not spec.flip:
        kernel += reversed_axes(kernel_order, axes_to_flip(spec))
        body.note("kernel flipped before Theano flips it")
    body.add(f'w = {kernel}.astype("{spec.dtype}")')
    kind = f'T.tensor4(dtype="{spec.dtype}")'
    body.add(f"X, W = {kind}, {kind}")
    stride = (*one, *spec.stride)
    body.call(
        "Y", "T.nnet.conv.conv2d", "X", "W", 'border_mode="full"' if full and any(map(any, spec.padding)) else None,
        f"subsample={numbers(stride)}" if max(stride) > 1 else None,
    )
    body.add("y = theano.function([X, W], Y)(x, w)")
    output = restored("y", order, spec.output_layout)
    if spec.bias:
        bias = f'bias.astype("{spec.dtype}")'
        output += f" + {along_channels(bias, spec.output_layout)}"
    body.add(f"output = {output}")
