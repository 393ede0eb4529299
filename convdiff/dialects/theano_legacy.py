"""Theano's legacy ConvOp, which T.nnet.conv2d used before CorrMM; an execution path of Theano.

It has two spatial axes, "valid" or "full" padding, an always flipped kernel, and no groups.
Everything else is written around it: one call per group, and a transposed convolution as the
equivalent direct one.  A 1-D convolution is a 2-D one with an axis of size 1.
"""

from __future__ import annotations

from convdiff.dialects.direct_equivalent import direct_equivalent, write_dense_kernel
from convdiff.dialects.expressions import (
    axes_to_flip,
    broadcast_channels,
    to_layout,
    to_order,
    tuple_text,
)
from convdiff.dialects.numpy_steps import dilate_input, pad_input
from convdiff.dialects.script import ScriptBuilder, Unsupported
from convdiff.spec.conv_spec import ConvSpec


def write(spec: ConvSpec, builder: ScriptBuilder) -> None:
    """Write the whole script.  Raises Unsupported for 3-D."""
    if spec.rank == 3:
        raise Unsupported("Theano's legacy ConvOp has two spatial axes only")
    unit = (1,) if spec.rank == 1 else ()
    # ConvOp itself flips, as does the direct equivalent of a transposed convolution.
    flipped = spec.flip == spec.transposed
    if flipped and axes_to_flip(spec):
        builder.note("kernel flipped before Theano flips it")
    kernel = write_dense_kernel(spec, builder, f"OI{spec.axes}", flipped=flipped)
    builder.add(f'w = {kernel}{"[:, :, None]" if unit else ""}.astype("{spec.dtype}")')
    spec = direct_equivalent(spec)
    order = f"NC{'1' if unit else ''}{spec.axes}"
    name = dilate_input(spec, builder)
    full = spec.pads_with_zeros and spec.padding == tuple((k - 1, k - 1) for k in spec.kernel_size)
    if not full:
        name = pad_input(spec, builder, name)
    builder.add(f'x = {to_order(name, spec.input_layout, order)}.astype("{spec.dtype}")')
    kind = f'T.tensor4(dtype="{spec.dtype}")'
    builder.add(f"X, W = {kind}, {kind}")
    stride = (*unit, *spec.stride)
    builder.call(
        "Y",
        "T.nnet.conv.conv2d",
        "X",
        "W",
        'border_mode="full"' if full and any(map(any, spec.padding)) else None,
        f"subsample={tuple_text(stride)}" if max(stride) > 1 else None,
    )
    if spec.groups > 1:
        builder.add("one = theano.function([X, W], Y)")
        builder.add(f"pairs = zip(np.split(x, {spec.groups}, axis=1), np.split(w, {spec.groups}))")
        builder.add("y = np.concatenate([one(a, b) for a, b in pairs], axis=1)")
        builder.note("one call per group")
    else:
        builder.add("y = theano.function([X, W], Y)(x, w)")
    output = to_layout("y", order, spec.output_layout)
    if spec.bias:
        bias = f'bias.astype("{spec.dtype}")'
        output += f" + {broadcast_channels(bias, spec.output_layout)}"
    builder.add(f"output = {output}")
