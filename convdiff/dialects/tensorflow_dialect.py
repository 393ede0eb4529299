"""TensorFlow: channels last, the only layout of its CPU kernels.

What its CPU kernels reject, and what is written instead:

- explicit padding outside conv2d: tf.pad
- conv3d with dilation: tf.nn.convolution at stride 1, then a strided slice
- conv3d with groups: one call per group
- transposed with dilation: zeros are put into the kernel
- transposed with groups: one call per group
- depthwise with unequal strides, or with both stride and dilation: conv2d, whose groups follow from
  the kernel's shape
"""

from __future__ import annotations

from dataclasses import replace

from convdiff.dialects import keras_dialect
from convdiff.dialects.expressions import (
    assumed_layout,
    axes_to_flip,
    index_text,
    is_permuted,
    keyword,
    list_text,
    misread_notes,
    number_or_tuple,
    to_layout,
    to_order,
    to_order_unpermuted,
    tuple_text,
)
from convdiff.dialects.numpy_steps import (
    NO_PADDING,
    add_padding,
    can_crop_first,
    crop_slices,
    dilate_input,
    dilate_kernel,
    dilated_input_size,
    is_narrow,
    pad_input,
    widths_by_mode,
)
from convdiff.dialects.script import (
    Dialect,
    Script,
    ScriptBuilder,
    Unsupported,
    require_default_call,
)
from convdiff.dialects.transposed import FullOutput, full_output, has_same_size
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair, kernel_span, same_total, split_padding

_IMPORTS = {"np": "import numpy as np", "tf": "import tensorflow as tf"}
_PAD_MODES = {"constant": "CONSTANT", "reflect": "REFLECT", "symmetric": "SYMMETRIC"}


def write(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """TensorFlow code for `spec`; nothing is unsupported."""
    keras = path.style == "keras"
    builder = ScriptBuilder(_IMPORTS, path)
    order, kernel_order = f"N{spec.axes}C", f"{spec.axes}{'OI' if spec.transposed else 'IO'}"
    depthwise = (
        not spec.transposed
        and spec.rank == 2
        and ("M" in spec.kernel_layout or spec.groups == spec.in_channels > 1)
    )
    depthwise = (
        depthwise
        and len(set(spec.stride)) == 1
        and (max(spec.stride) == 1 or max(spec.dilation) == 1)
    )
    name, padding = (
        ("input", "")
        if spec.transposed
        else _padding(spec, builder, dilate_input(spec, builder), not keras)
    )
    builder.add(f"x = tf.cast({to_order(name, spec.input_layout, order)}, tf.{spec.dtype})")
    if padding == "pad":
        padding = _tf_pad(spec, builder)
    _kernel(spec, builder, kernel_order, depthwise)
    if is_permuted(spec.input_layout, order) or (
        is_permuted(spec.kernel_layout.replace("M", "O"), kernel_order) and not depthwise
    ):
        builder.note(f"{order}/{kernel_order}")
    if spec.transposed:
        _transposed(spec, builder)
    elif depthwise:
        _depthwise(spec, builder, padding)
    else:
        _direct(spec, builder, padding)
    if spec.bias:
        builder.add(f"y = tf.nn.bias_add(y, tf.cast(bias, tf.{spec.dtype}))")
    _finish(spec, builder, order, spec.output_layout)
    return builder.script()


def default(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """tf.nn's call on the arrays as they are, with SAME where the output's size fits."""
    require_default_call(path)
    if max(spec.input_dilation) > 1:
        raise Unsupported("TensorFlow's convolutions have no input dilation")
    builder = ScriptBuilder(_IMPORTS, path)
    order, kernel_order = f"N{spec.axes}C", f"{spec.axes}{'OI' if spec.transposed else 'IO'}"
    builder.note(*misread_notes(spec, order, kernel_order))
    depthwise = "M" in spec.kernel_layout and not spec.transposed
    if depthwise and spec.rank != 2:
        raise Unsupported(
            f"TensorFlow's depthwise convolution is 2-D, the kernel {spec.kernel_layout} is "
            f"{spec.rank}-D"
        )
    layouts = [assumed_layout(layout, order) for layout in (spec.input_layout, spec.output_layout)]
    builder.add(f"x = tf.cast({to_order('input', layouts[0], order)}, tf.{spec.dtype})")
    kernel = to_order_unpermuted("kernel", spec.kernel_layout, kernel_order)
    builder.add(f"w = tf.cast({kernel}, tf.{spec.dtype})")
    padded = any(map(any, spec.padding))
    listed = spec.rank == 2 and all(side >= 0 for pair in spec.padding for side in pair)
    if has_same_size(spec):
        padding = '"SAME"' if padded or spec.transposed else '"VALID"'
    elif not padded:
        padding = '"VALID"'
    elif listed:
        padding = list_text(_all_axes(spec.padding))
    elif spec.transposed:
        raise Unsupported(f"tf.nn.conv{spec.rank}d_transpose takes SAME or VALID only, no numbers")
    else:
        padding = _tf_pad(replace(spec, pad_mode="constant"), builder)
    strides = _strides(spec)
    if spec.transposed:
        shape = tuple_text((spec.batch, *spec.output_size, spec.out_channels))
        builder.call(
            "y",
            builder.wrapped(f"tf.nn.conv{spec.rank}d_transpose"),
            "x",
            "w",
            shape,
            strides,
            f"padding={padding}",
            _dilations(spec),
        )
    elif depthwise:
        _depthwise(spec, builder, padding)
    else:
        builder.call(
            "y",
            builder.wrapped(f"tf.nn.conv{spec.rank}d"),
            "x",
            "w",
            strides,
            f"padding={padding}",
            _dilations(spec),
        )
    if spec.bias:
        builder.add(f"y = tf.nn.bias_add(y, tf.cast(bias, tf.{spec.dtype}))")
    _finish(spec, builder, order, layouts[1])
    return builder.script()


def _finish(spec: ConvSpec, builder: ScriptBuilder, order: str, layout: str) -> None:
    text = "tf.cast(y, tf.float32).numpy()" if spec.dtype == "bfloat16" else "y.numpy()"
    builder.add(f"output = {to_layout(text, order, layout)}")


def _all_axes(pairs: tuple[Pair, ...]) -> list[Pair]:
    return [(0, 0), *pairs, (0, 0)]


def _strides(spec: ConvSpec) -> str:
    """The stride argument, which is required.

    conv1d has another name for it, and conv3d takes a number for all five axes.
    """
    if spec.rank == 3 and not spec.transposed:
        return f"strides={tuple_text((1, *spec.stride, 1))}"
    name = "stride" if spec.rank == 1 and not spec.transposed else "strides"
    return f"{name}={number_or_tuple(spec.stride)}"


def _dilations(spec: ConvSpec) -> str | None:
    if spec.rank == 3 and max(spec.dilation) > 1:
        return f"dilations={tuple_text((1, *spec.dilation, 1))}"
    return keyword("dilations", spec.dilation, 1)


def _at_stride_one(spec: ConvSpec) -> bool:
    """Whether this is conv3d with dilation, which only tf.nn.convolution at stride 1 computes."""
    return spec.rank == 3 and max(spec.dilation) > 1


def _padding(spec: ConvSpec, builder: ScriptBuilder, name: str, listed: bool) -> tuple[str, str]:
    """The input's name and the padding argument, which is "pad" where tf.pad has to pad.

    Numbers per axis are an argument only where `listed`.
    """
    if not any(map(any, spec.padding)):
        return name, '"VALID"'
    sizes = dilated_input_size(spec)
    if spec.pads_with_zeros:
        stride = (1,) * spec.rank if _at_stride_one(spec) else spec.stride
        same = tuple(
            split_padding(same_total(n, kernel_span(k, d), s), odd_at_end=True)
            for n, k, d, s in zip(sizes, spec.kernel_size, spec.dilation, stride, strict=True)
        )
        if spec.padding == same:
            return name, '"SAME"'
        if spec.rank == 2 and all(side >= 0 for pair in spec.padding for side in pair) and listed:
            return name, list_text(_all_axes(spec.padding))
    narrow = is_narrow(spec, {"reflect": 1, "symmetric": 0})
    if set(spec.pad_modes) <= _PAD_MODES.keys() and narrow and can_crop_first(spec):
        return name, "pad"
    return pad_input(spec, builder, name), '"VALID"'


def _tf_pad(spec: ConvSpec, builder: ScriptBuilder) -> str:
    """Write the cropping and padding of x; returns the padding argument for the call."""
    slices = crop_slices(dict(zip(spec.axes, spec.padding, strict=True)))
    if slices:
        builder.add(f"x = x{index_text(f'N{spec.axes}C', slices)}")
        builder.note("input cropped")
    pairs = ((max(lo, 0), max(hi, 0)) for lo, hi in spec.padding)
    for mode, widths in widths_by_mode(spec, dict(zip(spec.axes, pairs, strict=True))):
        if mode == "constant" and spec.pad_value != 0:
            _tf_pad_with_numbers(spec, builder, widths)
            continue
        option = "" if mode == "constant" else f', mode="{_PAD_MODES[mode]}"'
        listed = list_text([widths.get(letter, NO_PADDING) for letter in f"N{spec.axes}C"])
        builder.add(f"x = tf.pad(x, {listed}{option})")
        builder.note("padded by hand")
    return '"VALID"'


def _tf_pad_with_numbers(spec: ConvSpec, builder: ScriptBuilder, widths: dict[str, Pair]) -> None:
    def pad(array: str, order: str, number: str) -> str:
        listed = list_text([widths.get(letter, NO_PADDING) for letter in order])
        return f"tf.pad({array}, {listed}, constant_values={number})"

    channels = "tf.unstack(x, axis=-1)"
    add_padding(spec, builder, pad, "x", f"N{spec.axes}C", (channels, "tf.stack"))


def _kernel(spec: ConvSpec, builder: ScriptBuilder, order: str, depthwise: bool) -> None:
    keras = builder.path.style == "keras" and keras_dialect.needs_dense_kernel(spec)
    name = dilate_kernel(spec, builder) if spec.transposed or keras else "kernel"
    sizes = (
        spec.kernel_size
        if name == "kernel"
        else tuple(map(kernel_span, spec.kernel_size, spec.dilation))
    )
    text = ""
    if depthwise or ("M" in spec.kernel_layout and not spec.transposed):
        if "M" in spec.kernel_layout:
            text = to_order(name, spec.kernel_layout, spec.axes + "IM")
            if not depthwise and spec.in_channels > 1:
                text += f".reshape{tuple_text((*sizes, 1, spec.out_channels))}"
                builder.note(f"kernel reshaped to {spec.axes}IO")
        else:
            text = to_order(name, spec.kernel_layout, order)
            shape = (*sizes, spec.in_channels, spec.out_channels // spec.groups)
            text += f".reshape{tuple_text(shape)}"
            builder.note(f"N{spec.axes}C/{spec.axes}IM")
    else:
        text = to_order(name, spec.kernel_layout.replace("M", "O"), order)
    builder.add(f"w = tf.cast({text}, tf.{spec.dtype})")
    flipped = [spec.axes.index(axis) for axis in axes_to_flip(spec)] if spec.flip else []
    if flipped:
        builder.add(f"w = tf.reverse(w, {flipped})")
        builder.note("kernel flipped")


def _depthwise(spec: ConvSpec, builder: ScriptBuilder, padding: str) -> None:
    if builder.path.style == "keras":
        keras_dialect.add_layer(spec, builder, "DepthwiseConv2D", padding, depthwise=True)
        return
    builder.call(
        "y",
        builder.wrapped("tf.nn.depthwise_conv2d"),
        "x",
        "w",
        f"strides={tuple_text((1, *spec.stride, 1))}",
        f"padding={padding}",
        keyword("dilations", spec.dilation, 1, whole=True),
    )


def _direct(spec: ConvSpec, builder: ScriptBuilder, padding: str) -> None:
    slices = ""
    if builder.path.style == "keras":
        keras_dialect.add_layer(spec, builder, f"Conv{spec.rank}D", padding)
        return
    if _at_stride_one(spec):
        function, options = "tf.nn.convolution", [f"padding={padding}", _dilations_plain(spec)]
        slices = index_text(
            f"N{spec.axes}C",
            {a: f"::{s}" for a, s in zip(spec.axes, spec.stride, strict=True) if s > 1},
        )
        if slices:
            builder.note("output strided by slicing")
    else:
        function = f"tf.nn.conv{spec.rank}d"
        options = [_strides(spec), f"padding={padding}", _dilations(spec)]
    if spec.rank == 3 and spec.groups > 1:
        _per_group(spec, builder, function, [], options)
        if slices:
            builder.add(f"y = y{slices}")
        return
    builder.call("y", builder.wrapped(function), "x", "w", *options, ending=slices)


def _dilations_plain(spec: ConvSpec) -> str | None:
    return keyword("dilations", spec.dilation, 1, whole=True)


def _per_group(
    spec: ConvSpec,
    builder: ScriptBuilder,
    function: str,
    shape: list[str],
    options: list[str | None],
) -> None:
    """Write one call for each group of channels, which is the last axis of both x and w."""
    args = ", ".join(arg for arg in ["a", "b", *shape, *options] if arg is not None)
    builder.add(
        f"pairs = zip(tf.split(x, {spec.groups}, axis=-1), tf.split(w, {spec.groups}, axis=-1))"
    )
    builder.call(
        "y", "tf.concat", f"[{builder.wrapped(function)}({args}) for a, b in pairs]", "axis=-1"
    )
    builder.note("one call per group")


def _transposed(spec: ConvSpec, builder: ScriptBuilder) -> None:
    """Write a transposed call with SAME, VALID or (in 2-D) numbers where they give the output.

    Otherwise the full output is padded and cropped.
    """
    spans = [kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    full = full_output(spec)
    # Padding at the end with which the forward convolution of the output has the input's size.
    ends = [
        whole - lo - out
        for whole, (lo, _), out in zip(full.size, spec.padding, spec.output_size, strict=True)
    ]
    same = all(
        same_total(out, span, s) // 2 == lo and -(-out // s) == n
        for out, span, s, (lo, _), n in zip(
            spec.output_size, spans, spec.stride, spec.padding, spec.input_size, strict=True
        )
    )
    fits = all(-end < s for end, s in zip(ends, spec.stride, strict=True))
    size, take = spec.output_size, None
    keras = builder.path.style == "keras"
    if (
        keras
        and same
        and size == tuple(n * s for n, s in zip(spec.input_size, spec.stride, strict=True))
    ):
        padding = '"SAME"'
    elif keras:
        # The layer adds zeros where no tap of the kernel reaches.
        full = full_output(
            spec,
            tuple(
                max(whole, n * s)
                for whole, n, s in zip(full.size, spec.input_size, spec.stride, strict=True)
            ),
        )
        padding, take = '"VALID"', full
    elif fits and all(lo == 0 >= end for (lo, _), end in zip(spec.padding, ends, strict=True)):
        padding = '"VALID"'
    elif same:
        padding = '"SAME"'
    elif fits and spec.rank == 2 and all(lo >= 0 for lo, _ in spec.padding):
        padding = list_text(
            _all_axes(
                tuple((lo, max(end, 0)) for (lo, _), end in zip(spec.padding, ends, strict=True))
            )
        )
    else:
        padding, size, take = '"VALID"', full.size, full
    if keras:
        keras_dialect.add_layer(spec, builder, f"Conv{spec.rank}DTranspose", padding)
        if take is not None:
            _take(spec, builder, take)
        return
    shape = tuple_text((spec.batch, *size, spec.out_channels // spec.groups))
    options: list[str | None] = [_strides(spec), f"padding={padding}"]
    if spec.groups > 1:
        _per_group(spec, builder, f"tf.nn.conv{spec.rank}d_transpose", [shape], options)
    else:
        builder.call(
            "y", builder.wrapped(f"tf.nn.conv{spec.rank}d_transpose"), "x", "w", shape, *options
        )
    if take is not None:
        _take(spec, builder, take)


def _take(spec: ConvSpec, builder: ScriptBuilder, full: FullOutput) -> None:
    if full.extended:
        builder.add(f"y = tf.pad(y, {list_text(_all_axes(full.extension))})")
        builder.note("output padded")
    if full.crops:
        builder.add(f"y = y{index_text(f'N{spec.axes}C', full.crops)}")
        builder.note("output cropped")


DIALECT = Dialect(write, default)
