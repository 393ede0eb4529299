"""Theano's legacy ConvOp, which T.nnet.conv2d used before CorrMM: two axes, valid or full, the
kernel always flipped, no groups.

Everything else is done around it by hand: a call for each group, a transposed convolution as the
direct one that it is.  1-D is 2-D with an axis of 1.
"""

from __future__ import annotations

from convdiff.dialects.by_hand import dilated_input, padded_input
from convdiff.dialects.direct import as_direct, dense_kernel
from convdiff.dialects.script import Body, Unsupported
from convdiff.dialects.text import along_channels, arranged, axes_to_flip, numbers, restored
from convdiff.spec.conv_spec import ConvSpec


def write_body(spec: ConvSpec, body: Body) -> None:
    """Writes everything.  Unsupported for 3-D."""
    if spec.rank == 3:
        raise Unsupported("Theano's legacy ConvOp has two spatial axes, no third")
    one = (1,) if spec.rank == 1 else ()
    # It flips by itself, as the correlation that a transposed convolution is asks for.
    flipped = spec.flip == spec.transposed
    if flipped and axes_to_flip(spec):
        body.note("kernel flipped before Theano flips it")
    kernel = dense_kernel(spec, body, f"OI{spec.axes}", flipped=flipped)
    body.add(f'w = {kernel}{"[:, :, None]" if one else ""}.astype("{spec.dtype}")')
    spec = as_direct(spec)
    order = f"NC{'1' if one else ''}{spec.axes}"
    name = dilated_input(spec, body)
    full = spec.pad_mode == "constant" and spec.padding == tuple(
        (k - 1, k - 1) for k in spec.kernel_size
    )
    if not full:
        name = padded_input(spec, body, name)
    body.add(f'x = {arranged(name, spec.input_layout, order)}.astype("{spec.dtype}")')
    kind = f'T.tensor4(dtype="{spec.dtype}")'
    body.add(f"X, W = {kind}, {kind}")
    stride = (*one, *spec.stride)
    body.call(
        "Y",
        "T.nnet.conv.conv2d",
        "X",
        "W",
        'border_mode="full"' if full and any(map(any, spec.padding)) else None,
        f"subsample={numbers(stride)}" if max(stride) > 1 else None,
    )
    if spec.groups > 1:
        body.add("one = theano.function([X, W], Y)")
        body.add(f"pairs = zip(np.split(x, {spec.groups}, axis=1), np.split(w, {spec.groups}))")
        body.add("y = np.concatenate([one(a, b) for a, b in pairs], axis=1)")
        body.note("one call per group")
    else:
        body.add("y = theano.function([X, W], Y)(x, w)")
    output = restored("y", order, spec.output_layout)
    if spec.bias:
        bias = f'bias.astype("{spec.dtype}")'
        output += f" + {along_channels(bias, spec.output_layout)}"
    body.add(f"output = {output}")
