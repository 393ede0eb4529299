"""Theano: channels first, 2-D and 3-D, with a flipped kernel unless filter_flip is False.

A 1-D convolution is a 2-D one with an axis of size 1.  A transposed convolution is the gradient of
conv2d with respect to its input.  Only 2-D has padding that differs between the two ends.
"""

from __future__ import annotations

from convdiff.dialects import theano_legacy
from convdiff.dialects.expressions import (
    assumed_layout,
    broadcast_channels,
    index_text,
    is_permuted,
    misread_notes,
    to_layout,
    to_order,
    to_order_unpermuted,
    tuple_text,
)
from convdiff.dialects.numpy_steps import dilate_input, narrow_output, pad_input, widen_operands
from convdiff.dialects.script import (
    Dialect,
    Script,
    ScriptBuilder,
    Unsupported,
    require_default_call,
)
from convdiff.dialects.transposed import full_output, has_same_size
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair

_IMPORTS = {"np": "import numpy as np", "theano": "import theano", "T": "import theano.tensor as T"}


def write(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """Theano code for `spec`; Unsupported for bfloat16."""
    _reject_bfloat16(spec)
    dtype = spec.dtype
    # Theano's kernels on the processor do not take float16.
    builder, spec = widen_operands(
        spec,
        _IMPORTS,
        path,
        "float32" if dtype == "float16" and not path.name.startswith("gpu") else dtype,
    )
    if path.style == "legacy":
        theano_legacy.write(spec, builder)
        return narrow_output(builder, dtype, spec).script()
    order, kernel_order = _orders(spec)
    name, border = "input", ""
    if not spec.transposed:
        name = dilate_input(spec, builder)
        border = _border(spec, spec.padding)
        if border == "pad" or (border and not spec.pads_with_zeros):
            name, border = pad_input(spec, builder, name), ""
    builder.add(f"x = {_cast(to_order(name, spec.input_layout, order), spec)}")
    if "M" in spec.kernel_layout and not spec.transposed:
        text = to_order("kernel", spec.kernel_layout, "IM" + order[2:])
        if spec.in_channels > 1 or spec.out_channels > 1:
            shape = (spec.out_channels, 1, *_extra_axis(spec, 1), *spec.kernel_size)
            text += f".reshape{tuple_text(shape)}"
    else:
        text = to_order("kernel", spec.kernel_layout.replace("M", "O"), kernel_order)
    builder.add(f"w = {_cast(text, spec)}")
    if is_permuted(spec.input_layout, order) or is_permuted(spec.kernel_layout, kernel_order):
        builder.note(f"NC{spec.axes}/{'IO' if spec.transposed else 'OI'}{spec.axes}")
    flip = None if spec.flip else "filter_flip=False"
    result = "y"
    if spec.transposed:
        result = _gradient(spec, builder, flip)
    else:
        _call(spec, builder, f"T.nnet.conv{_rank(spec)}d", border or None, flip=flip)
    if spec.rank == 1:
        builder.note("1-D as 2-D")
    if flip:
        builder.note("filter_flip=False")
    _finish(spec, builder, result, order, spec.output_layout)
    return narrow_output(builder, dtype, spec).script()


def default(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """conv2d or conv3d on the arrays as they are: a flipped kernel, border_mode half for same."""
    require_default_call(path)
    if max(spec.input_dilation) > 1:
        raise Unsupported("Theano's convolutions have no input dilation")
    _reject_bfloat16(spec)
    if spec.dtype == "float16":
        raise Unsupported("Theano takes no float16 on the CPU")
    builder = ScriptBuilder(_IMPORTS, path)
    order, kernel_order = _orders(spec)
    builder.note(*misread_notes(spec, order, kernel_order))
    layouts = [assumed_layout(layout, order) for layout in (spec.input_layout, spec.output_layout)]
    builder.add(f"x = {_cast(to_order('input', layouts[0], order), spec)}")
    kernel = to_order_unpermuted("kernel", spec.kernel_layout, kernel_order)
    builder.add(f"w = {_cast(kernel, spec)}")
    border: str | None = _border(spec, spec.padding)
    if has_same_size(spec) and border:
        border = 'border_mode="half"'
    elif border == "pad":
        raise Unsupported(
            "Theano's border_mode takes no negative numbers and, outside 2-D, no different ones at "
            "the two ends"
        )
    if spec.transposed:
        shape = _input_shape(spec, spec.output_size)
        _call(spec, builder, _gradient_name(spec), shape, border or None)
    else:
        _call(spec, builder, f"T.nnet.conv{_rank(spec)}d", border or None)
    _finish(spec, builder, "y", order, layouts[1])
    return builder.script()


def _reject_bfloat16(spec: ConvSpec) -> None:
    if spec.dtype == "bfloat16":
        raise Unsupported("Theano has no bfloat16")


def _orders(spec: ConvSpec) -> tuple[str, str]:
    axes = "1W" if spec.rank == 1 else spec.axes
    return f"NC{axes}", f"{'IO' if spec.transposed else 'OI'}{axes}"


def _rank(spec: ConvSpec) -> int:
    return max(spec.rank, 2)


def _extra_axis(spec: ConvSpec, value: int) -> tuple[int, ...]:
    """`value` for the added axis of a 1-D convolution; () where none is added."""
    return (value,) if spec.rank == 1 else ()


def _cast(text: str, spec: ConvSpec) -> str:
    return f'{text}.astype("{spec.dtype}")'


def _border(spec: ConvSpec, pairs: tuple[Pair, ...]) -> str:
    """The border_mode argument; "" without padding, "pad" where border_mode cannot express it."""
    if not any(map(any, pairs)):
        return ""
    if any(side < 0 for pair in pairs for side in pair):
        return "pad"
    lows = (*_extra_axis(spec, 0), *(lo for lo, _ in pairs))
    if all(lo == hi for lo, hi in pairs):
        return f"border_mode={lows[0] if len(set(lows)) == 1 else tuple_text(lows)}"
    if spec.rank == 3:
        return "pad"
    return f"border_mode={((0, 0), *pairs) if spec.rank == 1 else pairs!r}"


def _call(
    spec: ConvSpec,
    builder: ScriptBuilder,
    function: str,
    *options: str | None,
    flip: str | None = None,
) -> None:
    """Write the symbolic graph, its compilation and its call."""
    kind = f'T.tensor{_rank(spec) + 2}(dtype="{spec.dtype}")'
    builder.add(f"X, W = {kind}, {kind}")
    stride = (*_extra_axis(spec, 1), *spec.stride)
    dilation = (*_extra_axis(spec, 1), *spec.dilation)
    builder.call(
        "Y",
        function,
        "X",
        "W",
        *options,
        f"subsample={tuple_text(stride)}" if max(stride) > 1 else None,
        flip,
        f"filter_dilation={tuple_text(dilation)}" if max(dilation) > 1 else None,
        f"num_groups={spec.groups}" if spec.groups > 1 else None,
    )
    builder.add("y = theano.function([X, W], Y)(x, w)")


def _input_shape(spec: ConvSpec, size: tuple[int, ...]) -> str:
    """The input_shape argument of the gradient, whose input is the transposed output."""
    return (
        f"input_shape={tuple_text((spec.batch, spec.out_channels, *_extra_axis(spec, 1), *size))}"
    )


def _gradient_name(spec: ConvSpec) -> str:
    return f"T.nnet.abstract_conv.conv{_rank(spec)}d_grad_wrt_inputs"


def _gradient(spec: ConvSpec, builder: ScriptBuilder, flip: str | None) -> str:
    """Write the gradient; returns an expression for the output.

    Where no forward convolution has the spec's numbers, the full output is padded and cropped.
    """
    full = full_output(spec)
    size: tuple[int, ...] = spec.output_size
    pairs: list[Pair] = []
    for whole, (lo, hi), out, s in zip(full.size, spec.padding, size, spec.stride, strict=True):
        # Paddings at the end with which the forward convolution of the output has the input's size;
        # preferably the same as lo.
        ends = [
            end
            for end in (lo, hi, whole - lo - out)
            if 0 <= out + lo + end - whole < s and end >= 0 <= lo
        ]
        pairs += [(lo, ends[0])] if ends else []
    border = _border(spec, tuple(pairs)) if len(pairs) == spec.rank else "pad"
    exact = border != "pad"
    if not exact:
        size, border = full.size, ""
    shape = _input_shape(spec, size)
    _call(spec, builder, _gradient_name(spec), shape, border or None, flip=flip)
    if exact:
        return "y"
    order = _orders(spec)[0]
    if full.extended:
        builder.add(
            "y = np.pad(y, "
            f"{((0, 0), (0, 0), *(((0, 0),) * len(_extra_axis(spec, 0))), *full.extension)!r})"
        )
        builder.note("output padded")
    if full.crops:
        builder.note("output cropped")
    return f"y{index_text(order, full.crops)}"


def _finish(spec: ConvSpec, builder: ScriptBuilder, name: str, order: str, layout: str) -> None:
    bias = f" + {broadcast_channels(_cast('bias', spec), layout)}" if spec.bias else ""
    builder.add(f"output = {to_layout(name, order, layout)}{bias}")


DIALECT = Dialect(write, default)
