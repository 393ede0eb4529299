"""Keras layers on TensorFlow, an execution path of the TensorFlow dialect.

A layer pads "valid" or "same"; any other padding is done before it.  Keras does not take stride and
dilation together, and TensorFlow's CPU kernels do not dilate in 3-D: there zeros are put into the
kernel.  Transposed layers have no groups: there is one layer per group.
"""

from __future__ import annotations

from convdiff.dialects.expressions import keyword, tuple_text
from convdiff.dialects.script import ScriptBuilder
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import kernel_span


def needs_dense_kernel(spec: ConvSpec) -> bool:
    """Whether no layer takes this dilation, so that zeros are put into the kernel."""
    return spec.transposed or (max(spec.dilation) > 1 and (max(spec.stride) > 1 or spec.rank == 3))


def add_layer(
    spec: ConvSpec, builder: ScriptBuilder, kind: str, padding: str, *, depthwise: bool = False
) -> None:
    """Write y = layer(x) with w as its kernel.

    `kind` is the class ("Conv2D"), `padding` is '"SAME"' or '"VALID"'.
    """
    per_group = spec.transposed and spec.groups > 1
    outputs = spec.out_channels // (spec.groups if per_group else 1)
    first = (
        f"depth_multiplier={spec.out_channels // spec.in_channels}" if depthwise else str(outputs)
    )
    sizes, dilation = spec.kernel_size, keyword("dilation_rate", spec.dilation, 1)
    if needs_dense_kernel(spec):
        sizes, dilation = (
            tuple(kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)),
            None,
        )
    if per_group:
        builder.add(
            f"ys = []\nfor a, b in zip(tf.split(x, {spec.groups}, axis=-1), tf.split(w, "
            f"{spec.groups}, axis=-1)):"
        )
        builder.note("one layer per group")
    indent, x, w = ("    ", "a", "b") if per_group else ("", "x", "w")
    builder.call(
        f"{indent}layer",
        f"tf.keras.layers.{kind}",
        first if not depthwise else tuple_text(sizes),
        tuple_text(sizes) if not depthwise else first,
        keyword("strides", spec.stride, 1),
        f"padding={padding.lower()}" if padding != '"VALID"' else None,
        dilation,
        f"groups={spec.groups}" if spec.groups > 1 and not depthwise and not per_group else None,
        "use_bias=False",
        f'dtype="{spec.dtype}"' if spec.dtype != "float32" else None,
    )
    builder.add(f"{indent}layer.build({x}.shape)")
    builder.add(f"{indent}layer.set_weights([{w}])")
    builder.add(
        "    ys.append(layer(a))\ny = tf.concat(ys, axis=-1)" if per_group else "y = layer(x)"
    )
