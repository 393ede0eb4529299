"""Theano: channels first, 2-D and 3-D; it flips unless told not to, and 1-D is 2-D with an axis of
1.

Its transposed convolution is conv2d's gradient with respect to its input.  Padding that differs
between the two ends exists in 2-D only.
"""

from __future__ import annotations

from convdiff.dialects import theano_legacy
from convdiff.dialects.by_hand import dilated_input, narrowed, padded_input, widened
from convdiff.dialects.script import Body, Dialect, Script, Unsupported, same_call
from convdiff.dialects.text import (
    along_channels,
    arranged,
    as_is,
    index,
    misread,
    moved,
    numbers,
    restored,
)
from convdiff.dialects.transposed import full_output, same_like
from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair

_IMPORTS = {"np": "import numpy as np", "theano": "import theano", "T": "import theano.tensor as T"}


def write(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """Theano code for `spec`; Unsupported for bfloat16."""
    _refuse(spec)
    dtype = spec.dtype
    # On the processor its kernels know no float16.
    body, spec = widened(
        spec,
        _IMPORTS,
        path,
        "float32" if dtype == "float16" and not path.name.startswith("gpu") else dtype,
    )
    if path.style == "legacy":
        theano_legacy.write_body(spec, body)
        return narrowed(body, dtype, spec).script()
    order, kernel_order = _orders(spec)
    name, border = "input", ""
    if not spec.transposed:
        name = dilated_input(spec, body)
        border = _border(spec, spec.padding)
        if border == "pad" or (border and spec.pad_mode != "constant"):
            name, border = padded_input(spec, body, name), ""
    body.add(f"x = {_cast(arranged(name, spec.input_layout, order), spec)}")
    if "M" in spec.kernel_layout and not spec.transposed:
        text = arranged("kernel", spec.kernel_layout, "IM" + order[2:])
        if spec.in_channels > 1 or spec.out_channels > 1:
            text += f".reshape{numbers((spec.out_channels, 1, *_extra_axis(spec, 1), *spec.kernel_size))}"
    else:
        text = arranged("kernel", spec.kernel_layout.replace("M", "O"), kernel_order)
    body.add(f"w = {_cast(text, spec)}")
    if moved(spec.input_layout, order) or moved(spec.kernel_layout, kernel_order):
        body.note(f"NC{spec.axes}/{'IO' if spec.transposed else 'OI'}{spec.axes}")
    flip = None if spec.flip else "filter_flip=False"
    result = "y"
    if spec.transposed:
        result = _gradient(spec, body, flip)
    else:
        _call(spec, body, f"T.nnet.conv{_rank(spec)}d", border or None, flip=flip)
    if spec.rank == 1:
        body.note("1-D as 2-D")
    if flip:
        body.note("filter_flip=False")
    _finish(spec, body, result, order, spec.output_layout)
    return narrowed(body, dtype, spec).script()


def default(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """conv2d or conv3d on the arrays as they lie: border_mode half for same, and the kernel flipped
    as Theano does.
    """
    same_call(path)
    if max(spec.input_dilation) > 1:
        raise Unsupported("Theano's convolutions have no input dilation")
    _refuse(spec)
    if spec.dtype == "float16":
        raise Unsupported("Theano's own calls take no float16 on the CPU")
    body = Body(_IMPORTS, path)
    order, kernel_order = _orders(spec)
    body.note(*misread(spec, order, kernel_order))
    layouts = [as_is(layout, order) for layout in (spec.input_layout, spec.output_layout)]
    body.add(f"x = {_cast(arranged('input', layouts[0], order), spec)}")
    body.add(
        "w = "
        f"{_cast(arranged('kernel', as_is(spec.kernel_layout, kernel_order), kernel_order), spec)}"
    )
    border: str | None = _border(spec, spec.padding)
    if same_like(spec) and border:
        border = 'border_mode="half"'
    elif border == "pad":
        raise Unsupported(
            "Theano's border_mode takes these numbers neither negative nor, outside 2-D, "
            "different at the two ends"
        )
    if spec.transposed:
        shape = f"input_shape={numbers((spec.batch, spec.out_channels, *_extra_axis(spec, 1), *spec.output_size))}"
        _call(spec, body, _gradient_name(spec), shape, border or None)
    else:
        _call(spec, body, f"T.nnet.conv{_rank(spec)}d", border or None)
    _finish(spec, body, "y", order, layouts[1])
    return body.script()


def _refuse(spec: ConvSpec) -> None:
    if spec.dtype == "bfloat16":
        raise Unsupported("Theano has no bfloat16")


def _orders(spec: ConvSpec) -> tuple[str, str]:
    axes = "1W" if spec.rank == 1 else spec.axes
    return f"NC{axes}", f"{'IO' if spec.transposed else 'OI'}{axes}"


def _rank(spec: ConvSpec) -> int:
    return max(spec.rank, 2)


def _extra_axis(spec: ConvSpec, value: int) -> tuple[int, ...]:
    """The value for the added axis of a 1-D convolution."""
    return (value,) if spec.rank == 1 else ()


def _cast(text: str, spec: ConvSpec) -> str:
    return f'{text}.astype("{spec.dtype}")'


def _border(spec: ConvSpec, pairs: tuple[Pair, ...]) -> str:
    """The border_mode argument; "" for none, "pad" where it cannot say it."""
    if not any(map(any, pairs)):
        return ""
    if any(side < 0 for pair in pairs for side in pair):
        return "pad"
    lows = (*_extra_axis(spec, 0), *(lo for lo, _ in pairs))
    if all(lo == hi for lo, hi in pairs):
        return f"border_mode={lows[0] if len(set(lows)) == 1 else numbers(lows)}"
    if spec.rank == 3:
        return "pad"
    return f"border_mode={((0, 0), *pairs) if spec.rank == 1 else pairs!r}"


def _call(
    spec: ConvSpec, body: Body, function: str, *options: str | None, flip: str | None = None
) -> None:
    """The symbolic graph, compiled and called."""
    kind = f'T.tensor{_rank(spec) + 2}(dtype="{spec.dtype}")'
    body.add(f"X, W = {kind}, {kind}")
    stride = (*_extra_axis(spec, 1), *spec.stride)
    dilation = (*_extra_axis(spec, 1), *spec.dilation)
    body.call(
        "Y",
        function,
        "X",
        "W",
        *options,
        f"subsample={numbers(stride)}" if max(stride) > 1 else None,
        flip,
        f"filter_dilation={numbers(dilation)}" if max(dilation) > 1 else None,
        f"num_groups={spec.groups}" if spec.groups > 1 else None,
    )
    body.add("y = theano.function([X, W], Y)(x, w)")


def _gradient_name(spec: ConvSpec) -> str:
    return f"T.nnet.abstract_conv.conv{_rank(spec)}d_grad_wrt_inputs"


def _gradient(spec: ConvSpec, body: Body, flip: str | None) -> str:
    """The gradient where its forward convolution has these numbers, else the full one, filled and
    cut.
    """
    full = full_output(spec)
    size: tuple[int, ...] = spec.output_size
    pairs: list[Pair] = []
    for whole, (lo, hi), out, s in zip(full.size, spec.padding, size, spec.stride, strict=True):
        # Any end for which the forward convolution of the output gives the input's size; the same
        # as lo where it may be.
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
    shape = f"input_shape={numbers((spec.batch, spec.out_channels, *_extra_axis(spec, 1), *size))}"
    _call(spec, body, _gradient_name(spec), shape, border or None, flip=flip)
    if exact:
        return "y"
    order = _orders(spec)[0]
    if full.extended:
        body.add(
            "y = np.pad(y, "
            f"{((0, 0), (0, 0), *(((0, 0),) * len(_extra_axis(spec, 0))), *full.extension)!r})"
        )
        body.note("output padded")
    if full.crops:
        body.note("output cropped")
    return f"y{index(order, full.crops)}"


def _finish(spec: ConvSpec, body: Body, name: str, order: str, layout: str) -> None:
    bias = f" + {along_channels(_cast('bias', spec), layout)}" if spec.bias else ""
    body.add(f"output = {restored(name, order, layout)}{bias}")


DIALECT = Dialect(write, default)
