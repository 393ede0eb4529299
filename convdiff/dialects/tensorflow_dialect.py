"""TensorFlow: channels last, since its CPU kernels know nothing else.

What its CPU kernels refuse, and what is written instead: explicit padding outside conv2d (tf.pad);
conv3d with dilation (tf.nn.convolution, at stride 1, then strided by slicing) or groups (a call for
each); transposed with dilation (zeros put into the kernel) or groups (a call for each); depthwise
with unequal strides, or with stride and dilation at once (conv2d, whose groups follow from the
kernel's shape).
"""

from __future__ import annotations

from convdiff.dialects import keras_dialect
from convdiff.dialects.by_hand import (
    crop_first,
    crops,
    dilated_input,
    dilated_kernel,
    dilated_size,
    padded_input,
)
from convdiff.dialects.script import Body, Dialect, Script, Unsupported, same_call
from convdiff.dialects.text import (
    arranged,
    as_is,
    axes_to_flip,
    bracketed,
    index,
    misread,
    moved,
    numbers,
    option,
    restored,
    short,
)
from convdiff.dialects.transposed import Full, full_output, same_like
from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair, kernel_span, same_total, split_padding

_IMPORTS = {"np": "import numpy as np", "tf": "import tensorflow as tf"}
_PAD_MODES = {"constant": "CONSTANT", "reflect": "REFLECT", "symmetric": "SYMMETRIC"}


def write(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """TensorFlow code for `spec`; nothing is unsupported."""
    keras = path.style == "keras"
    body = Body(_IMPORTS, path)
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
        else _padding(spec, body, dilated_input(spec, body), not keras)
    )
    body.add(f"x = tf.cast({arranged(name, spec.input_layout, order)}, tf.{spec.dtype})")
    if padding == "pad":
        padding = _tf_pad(spec, body, spec.pad_mode)
    _kernel(spec, body, kernel_order, depthwise)
    if moved(spec.input_layout, order) or (
        moved(spec.kernel_layout.replace("M", "O"), kernel_order) and not depthwise
    ):
        body.note(f"{order}/{kernel_order}")
    if spec.transposed:
        _transposed(spec, body)
    elif depthwise:
        _depthwise(spec, body, padding)
    else:
        _direct(spec, body, padding)
    if spec.bias:
        body.add(f"y = tf.nn.bias_add(y, tf.cast(bias, tf.{spec.dtype}))")
    _finish(spec, body, order, spec.output_layout)
    return body.script()


def default(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """tf.nn's call on the arrays as they lie, with SAME where the output has its size."""
    same_call(path)
    if max(spec.input_dilation) > 1:
        raise Unsupported("TensorFlow's convolutions have no input dilation")
    body = Body(_IMPORTS, path)
    order, kernel_order = f"N{spec.axes}C", f"{spec.axes}{'OI' if spec.transposed else 'IO'}"
    body.note(*misread(spec, order, kernel_order))
    depthwise = "M" in spec.kernel_layout and not spec.transposed
    if depthwise and spec.rank != 2:
        raise Unsupported(
            f"TensorFlow's depthwise convolution is 2-D, the kernel {spec.kernel_layout} is "
            f"{spec.rank}-D"
        )
    layouts = [as_is(layout, order) for layout in (spec.input_layout, spec.output_layout)]
    body.add(f"x = tf.cast({arranged('input', layouts[0], order)}, tf.{spec.dtype})")
    body.add(
        "w = "
        f"tf.cast({arranged('kernel', as_is(spec.kernel_layout, kernel_order), kernel_order)}, "
        f"tf.{spec.dtype})"
    )
    padded = any(map(any, spec.padding))
    listed = spec.rank == 2 and all(side >= 0 for pair in spec.padding for side in pair)
    if same_like(spec):
        padding = '"SAME"' if padded or spec.transposed else '"VALID"'
    elif not padded:
        padding = '"VALID"'
    elif listed:
        padding = bracketed(_all_axes(spec.padding))
    elif spec.transposed:
        raise Unsupported(f"tf.nn.conv{spec.rank}d_transpose takes SAME or VALID, no numbers")
    else:
        padding = _tf_pad(spec, body, "constant")
    strides = _strides(spec)
    if spec.transposed:
        shape = numbers((spec.batch, *spec.output_size, spec.out_channels))
        body.call(
            "y",
            body.through(f"tf.nn.conv{spec.rank}d_transpose"),
            "x",
            "w",
            shape,
            strides,
            f"padding={padding}",
            _dilations(spec),
        )
    elif depthwise:
        _depthwise(spec, body, padding)
    else:
        body.call(
            "y",
            body.through(f"tf.nn.conv{spec.rank}d"),
            "x",
            "w",
            strides,
            f"padding={padding}",
            _dilations(spec),
        )
    if spec.bias:
        body.add(f"y = tf.nn.bias_add(y, tf.cast(bias, tf.{spec.dtype}))")
    _finish(spec, body, order, layouts[1])
    return body.script()


def _finish(spec: ConvSpec, body: Body, order: str, layout: str) -> None:
    text = "tf.cast(y, tf.float32).numpy()" if spec.dtype == "bfloat16" else "y.numpy()"
    body.add(f"output = {restored(text, order, layout)}")


def _all_axes(pairs: tuple[Pair, ...]) -> list[Pair]:
    return [(0, 0), *pairs, (0, 0)]


def _strides(spec: ConvSpec) -> str:
    """The stride argument: required, called otherwise in conv1d, and with a number for every axis
    in conv3d.
    """
    if spec.rank == 3 and not spec.transposed:
        return f"strides={numbers((1, *spec.stride, 1))}"
    return (
        f"{'stride' if spec.rank == 1 and not spec.transposed else 'strides'}={short(spec.stride)}"
    )


def _dilations(spec: ConvSpec) -> str | None:
    if spec.rank == 3 and max(spec.dilation) > 1:
        return f"dilations={numbers((1, *spec.dilation, 1))}"
    return option("dilations", spec.dilation, 1)


def _at_stride_one(spec: ConvSpec) -> bool:
    """conv3d with dilation: only tf.nn.convolution does it, and only at stride 1."""
    return spec.rank == 3 and max(spec.dilation) > 1


def _padding(spec: ConvSpec, body: Body, name: str, listed: bool) -> tuple[str, str]:
    """The input's name and the padding argument, numbers only where those may be `listed`; "pad"
    where tf.pad is to do it.
    """
    if not any(map(any, spec.padding)):
        return name, '"VALID"'
    sizes = dilated_size(spec)
    if spec.pad_mode == "constant":
        stride = (1,) * spec.rank if _at_stride_one(spec) else spec.stride
        same = tuple(
            split_padding(same_total(n, kernel_span(k, d), s), odd_at_end=True)
            for n, k, d, s in zip(sizes, spec.kernel_size, spec.dilation, stride, strict=True)
        )
        if spec.padding == same:
            return name, '"SAME"'
        if spec.rank == 2 and all(side >= 0 for pair in spec.padding for side in pair) and listed:
            return name, bracketed(_all_axes(spec.padding))
    beyond = {"reflect": 1, "symmetric": 0}.get(spec.pad_mode)
    narrow = beyond is None or all(
        max(lo, hi) <= n + min(lo, 0) + min(hi, 0) - beyond
        for n, (lo, hi) in zip(sizes, spec.padding, strict=True)
    )
    if spec.pad_mode in _PAD_MODES and narrow and crop_first(spec):
        return name, "pad"
    return padded_input(spec, body, name), '"VALID"'


def _tf_pad(spec: ConvSpec, body: Body, pad_mode: str) -> str:
    """Writes crop and padding of x; returns the padding argument left."""
    picks = crops(dict(zip(spec.axes, spec.padding, strict=True)))
    if picks:
        body.add(f"x = x{index(f'N{spec.axes}C', picks)}")
        body.note("input cropped")
    pairs = tuple((max(lo, 0), max(hi, 0)) for lo, hi in spec.padding)
    if any(map(any, pairs)):
        mode = "" if pad_mode == "constant" else f', mode="{_PAD_MODES[pad_mode]}"'
        body.add(f"x = tf.pad(x, {bracketed(_all_axes(pairs))}{mode})")
        body.note("padded by hand")
    return '"VALID"'


def _kernel(spec: ConvSpec, body: Body, order: str, depthwise: bool) -> None:
    keras = body.path.style == "keras" and keras_dialect.dilated_by_hand(spec)
    name = dilated_kernel(spec, body) if spec.transposed or keras else "kernel"
    sizes = (
        spec.kernel_size
        if name == "kernel"
        else tuple(map(kernel_span, spec.kernel_size, spec.dilation))
    )
    text = ""
    if depthwise or ("M" in spec.kernel_layout and not spec.transposed):
        if "M" in spec.kernel_layout:
            text = arranged(name, spec.kernel_layout, spec.axes + "IM")
            if not depthwise and spec.in_channels > 1:
                text += f".reshape{numbers((*sizes, 1, spec.out_channels))}"
                body.note(f"kernel reshaped to {spec.axes}IO")
        else:
            text = arranged(name, spec.kernel_layout, order)
            text += (
                f".reshape{numbers((*sizes, spec.in_channels, spec.out_channels // spec.groups))}"
            )
            body.note(f"N{spec.axes}C/{spec.axes}IM")
    else:
        text = arranged(name, spec.kernel_layout.replace("M", "O"), order)
    body.add(f"w = tf.cast({text}, tf.{spec.dtype})")
    flipped = [spec.axes.index(axis) for axis in axes_to_flip(spec)] if spec.flip else []
    if flipped:
        body.add(f"w = tf.reverse(w, {flipped})")
        body.note("kernel flipped")


def _depthwise(spec: ConvSpec, body: Body, padding: str) -> None:
    if body.path.style == "keras":
        keras_dialect.layer(spec, body, "DepthwiseConv2D", padding, depthwise=True)
        return
    body.call(
        "y",
        body.through("tf.nn.depthwise_conv2d"),
        "x",
        "w",
        f"strides={numbers((1, *spec.stride, 1))}",
        f"padding={padding}",
        option("dilations", spec.dilation, 1, whole=True),
    )


def _direct(spec: ConvSpec, body: Body, padding: str) -> None:
    slices = ""
    if body.path.style == "keras":
        keras_dialect.layer(spec, body, f"Conv{spec.rank}D", padding)
        return
    if _at_stride_one(spec):
        function, options = "tf.nn.convolution", [f"padding={padding}", _dilations_plain(spec)]
        slices = index(
            f"N{spec.axes}C",
            {a: f"::{s}" for a, s in zip(spec.axes, spec.stride, strict=True) if s > 1},
        )
        if slices:
            body.note("output strided by slicing")
    else:
        function = f"tf.nn.conv{spec.rank}d"
        options = [_strides(spec), f"padding={padding}", _dilations(spec)]
    if spec.rank == 3 and spec.groups > 1:
        _per_group(spec, body, function, [], options)
        if slices:
            body.add(f"y = y{slices}")
        return
    body.call("y", body.through(function), "x", "w", *options, ending=slices)


def _dilations_plain(spec: ConvSpec) -> str | None:
    return option("dilations", spec.dilation, 1, whole=True)


def _per_group(
    spec: ConvSpec, body: Body, function: str, shape: list[str], options: list[str | None]
) -> None:
    """One call for every group of channels: they lie in the last axis of both x and w."""
    args = ", ".join(arg for arg in ["a", "b", *shape, *options] if arg is not None)
    body.add(
        f"pairs = zip(tf.split(x, {spec.groups}, axis=-1), tf.split(w, {spec.groups}, axis=-1))"
    )
    body.call("y", "tf.concat", f"[{body.through(function)}({args}) for a, b in pairs]", "axis=-1")
    body.note("one call per group")


def _transposed(spec: ConvSpec, body: Body) -> None:
    """SAME, VALID or (in 2-D) numbers where they fit the output's size, else the full output,
    filled and cut.
    """
    spans = [kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    full = full_output(spec)
    # What the forward convolution needs at the end for the output's size to give the input's.
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
    keras = body.path.style == "keras"
    if (
        keras
        and same
        and size == tuple(n * s for n, s in zip(spec.input_size, spec.stride, strict=True))
    ):
        padding = '"SAME"'
    elif keras:
        # What no tap of the kernel reaches the layer fills with zeros.
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
        padding = bracketed(
            _all_axes(
                tuple((lo, max(end, 0)) for (lo, _), end in zip(spec.padding, ends, strict=True))
            )
        )
    else:
        padding, size, take = '"VALID"', full.size, full
    if keras:
        keras_dialect.layer(spec, body, f"Conv{spec.rank}DTranspose", padding)
        if take is not None:
            _take(spec, body, take)
        return
    shape = numbers((spec.batch, *size, spec.out_channels // spec.groups))
    options: list[str | None] = [_strides(spec), f"padding={padding}"]
    if spec.groups > 1:
        _per_group(spec, body, f"tf.nn.conv{spec.rank}d_transpose", [shape], options)
    else:
        body.call("y", body.through(f"tf.nn.conv{spec.rank}d_transpose"), "x", "w", shape, *options)
    if take is not None:
        _take(spec, body, take)


def _take(spec: ConvSpec, body: Body, full: Full) -> None:
    if full.extended:
        body.add(f"y = tf.pad(y, {bracketed(_all_axes(full.extension))})")
        body.note("output padded")
    if full.crops:
        body.add(f"y = y{index(f'N{spec.axes}C', full.crops)}")
        body.note("output cropped")


DIALECT = Dialect(write, default)
