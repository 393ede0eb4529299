"""Keras' layers, on TensorFlow: valid or same in the layer, any other padding before it, weights
set by hand.

Keras refuses stride beside dilation, and TensorFlow's CPU kernels dilation in 3-D: there the kernel
is dilated by hand.  The transposed layers take no groups: there is one for each.
"""

from __future__ import annotations

from convdiff.dialects.script import Body
from convdiff.dialects.text import numbers, option
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import kernel_span


def dilated_by_hand(spec: ConvSpec) -> bool:
    """Whether no layer takes this dilation."""
    return spec.transposed or (max(spec.dilation) > 1 and (max(spec.stride) > 1 or spec.rank == 3))


def layer(spec: ConvSpec, body: Body, kind: str, padding: str, *, depthwise: bool = False) -> None:
    """Writes y = layer(x) with w for its kernel; `kind` is "Conv2D", `padding` '"SAME"' or
    '"VALID"'.
    """
    each = spec.transposed and spec.groups > 1
    outputs = spec.out_channels // (spec.groups if each else 1)
    first = (
        f"depth_multiplier={spec.out_channels // spec.in_channels}" if depthwise else str(outputs)
    )
    sizes, dilation = spec.kernel_size, option("dilation_rate", spec.dilation, 1)
    if dilated_by_hand(spec):
        sizes, dilation = (
            tuple(kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)),
            None,
        )
    if each:
        body.add(
            f"ys = []\nfor a, b in zip(tf.split(x, {spec.groups}, axis=-1), tf.split(w, "
            f"{spec.groups}, axis=-1)):"
        )
        body.note("one layer per group")
    indent, x, w = ("    ", "a", "b") if each else ("", "x", "w")
    body.call(
        f"{indent}layer",
        f"tf.keras.layers.{kind}",
        first if not depthwise else numbers(sizes),
        numbers(sizes) if not depthwise else first,
        option("strides", spec.stride, 1),
        f"padding={padding.lower()}" if padding != '"VALID"' else None,
        dilation,
        f"groups={spec.groups}" if spec.groups > 1 and not depthwise and not each else None,
        "use_bias=False",
        f'dtype="{spec.dtype}"' if spec.dtype != "float32" else None,
    )
    body.add(f"{indent}layer.build({x}.shape)")
    body.add(f"{indent}layer.set_weights([{w}])")
    body.add("    ys.append(layer(a))\ny = tf.concat(ys, axis=-1)" if each else "y = layer(x)")
