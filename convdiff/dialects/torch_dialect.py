"""torch: channels first; zero padding that is equal at both ends is part of the call.

Other padding is done by F.pad where it can, else by numpy.
"""

from __future__ import annotations

from convdiff.dialects.expressions import (
    assumed_layout,
    axes_to_flip,
    broadcast_channels,
    index_text,
    is_permuted,
    keyword,
    misread_notes,
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
from convdiff.spec.padding import kernel_span

_IMPORTS = {
    "np": "import numpy as np",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
}
_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def write(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """torch code for `spec`; Unsupported for float64 on MPS and channels_last in 1-D."""
    if path.device == "mps" and spec.dtype == "float64":
        raise Unsupported("MPS has no float64")
    builder = ScriptBuilder(_IMPORTS, path)
    order, kernel_order = f"NC{spec.axes}", f"{'IO' if spec.transposed else 'OI'}{spec.axes}"
    if spec.transposed:
        _tensor(spec, builder, "x", "input", to_order("", spec.input_layout, order, "permute"))
        padding = None
    else:
        padding = _direct_input(spec, builder, order)
    _kernel(spec, builder, kernel_order)
    if is_permuted(spec.input_layout, order) or is_permuted(spec.kernel_layout, kernel_order):
        builder.note(f"{order}/{kernel_order}")
    if spec.transposed:
        _transposed(spec, builder)
    else:
        _call(spec, builder, f"F.conv{spec.rank}d", padding, bias=spec.bias)
    builder.add(f"output = {_to_numpy(spec, to_layout('y', order, spec.output_layout, 'permute'))}")
    return builder.script()


def default(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """F.conv on the arrays as they are, with padding=k//2 as the usual "same"."""
    require_default_call(path, "channels_last")
    if max(spec.input_dilation) > 1:
        raise Unsupported("torch's convolutions have no input dilation")
    builder = ScriptBuilder(_IMPORTS, path)
    order, kernel_order = f"NC{spec.axes}", f"{'IO' if spec.transposed else 'OI'}{spec.axes}"
    builder.note(*misread_notes(spec, order, kernel_order))
    _tensor(spec, builder, "x", "input", to_order_unpermuted("", spec.input_layout, order))
    _tensor(
        spec,
        builder,
        "w",
        "kernel",
        to_order_unpermuted("", spec.kernel_layout, kernel_order),
    )
    spans = [kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    padding = tuple(lo for lo, _ in spec.padding)
    extra = None
    if spec.transposed:
        extra = keyword("output_padding", spec.output_padding, 0)
        if has_same_size(spec):
            padding = tuple(
                max(0, -(-(span - s) // 2)) for span, s in zip(spans, spec.stride, strict=True)
            )
            extra = keyword(
                "output_padding",
                [
                    max(0, s - span + 2 * p)
                    for s, span, p in zip(spec.stride, spans, padding, strict=True)
                ],
                0,
            )
    elif has_same_size(spec) and any(map(any, spec.padding)):
        padding = tuple(span // 2 for span in spans)
    elif any(lo != hi or lo < 0 for lo, hi in spec.padding):
        builder.add(f"x = F.pad(x, {_last_first(spec.padding)})  # last axis first")
        padding = (0,) * spec.rank
    _call(
        spec,
        builder,
        f"F.conv{'_transpose' if spec.transposed else ''}{spec.rank}d",
        keyword("padding", padding, 0),
        extra,
        bias=spec.bias,
    )
    output = to_layout("y", order, assumed_layout(spec.output_layout, order))
    builder.add(f"output = {_to_numpy(spec, output)}")
    return builder.script()


def _tensor(
    spec: ConvSpec, builder: ScriptBuilder, target: str, name: str, ending: str = ""
) -> None:
    device = f', device="{builder.path.device}"' if builder.path.device else ""
    builder.add(f"{target} = torch.tensor({name}, dtype=torch.{spec.dtype}{device}){ending}")


def _to_numpy(spec: ConvSpec, text: str) -> str:
    return f"{text}{'.float()' if spec.dtype == 'bfloat16' else ''}.cpu().numpy()"


def _last_first(pairs: tuple[tuple[int, int], ...]) -> str:
    return tuple_text([side for pair in reversed(pairs) for side in pair])


def _direct_input(spec: ConvSpec, builder: ScriptBuilder, order: str) -> str | None:
    """Write the input, padded where the call cannot pad it; returns the call's padding argument."""
    name = dilate_input(spec, builder)
    in_call = spec.pads_with_zeros and all(lo == hi >= 0 for lo, hi in spec.padding)
    by_numpy = not in_call and any(map(any, spec.padding)) and not _can_pad(spec)
    if by_numpy:
        name = pad_input(spec, builder, name)
    _tensor(spec, builder, "x", name, to_order("", spec.input_layout, order, "permute"))
    if in_call:
        return keyword("padding", [lo for lo, _ in spec.padding], 0)
    if not by_numpy and any(map(any, spec.padding)):
        pairs = spec.padding
        if not spec.pads_with_zeros:
            slices = crop_slices(dict(zip(spec.axes, pairs, strict=True)))
            if slices:
                builder.add(f"x = x{index_text(order, slices)}")
            pairs = tuple((max(lo, 0), max(hi, 0)) for lo, hi in pairs)
        for mode, widths in widths_by_mode(spec, dict(zip(spec.axes, pairs, strict=True))):
            _pad(spec, builder, mode, tuple(widths.get(axis, NO_PADDING) for axis in spec.axes))
        builder.note("padded by hand")
    return None


def _pad(
    spec: ConvSpec, builder: ScriptBuilder, pad_mode: str, pairs: tuple[tuple[int, int], ...]
) -> None:
    """Adds the lines that pad x, with the same mode along every axis."""
    if pad_mode == "constant" and spec.pad_value != 0:
        add_padding(
            spec,
            builder,
            lambda array, _, number: f"F.pad({array}, {_last_first(pairs)}, value={number})",
            "x",
            f"NC{spec.axes}",
            ("x.unbind(1)", "torch.stack"),
        )
        return
    mode = "" if pad_mode == "constant" else f', mode="{_PAD_MODES[pad_mode]}"'
    builder.add(
        f"x = F.pad(x, {_last_first(pairs)}{mode})"
        + ("  # last axis first" if spec.rank > 1 else "")
    )


def _can_pad(spec: ConvSpec) -> bool:
    """Whether F.pad takes this mode and these widths."""
    known = set(spec.pad_modes) <= _PAD_MODES.keys()
    return known and can_crop_first(spec) and is_narrow(spec, {"reflect": 1, "wrap": 0})


def _kernel(spec: ConvSpec, builder: ScriptBuilder, order: str) -> None:
    if "M" in spec.kernel_layout and not spec.transposed:
        ending = to_order("", spec.kernel_layout, f"IM{spec.axes}", "permute")
        if spec.in_channels > 1 or spec.out_channels > 1:
            ending += f".reshape{tuple_text((spec.out_channels, 1, *spec.kernel_size))}"
    else:
        ending = to_order("", spec.kernel_layout.replace("M", "O"), order, "permute")
    flipped = [order.index(axis) for axis in axes_to_flip(spec)] if spec.flip else []
    if flipped:
        ending += f".flip({', '.join(map(str, flipped))})"
        builder.note("kernel flipped")
    elif ending and "reshape" not in ending and (spec.groups > 1 or max(spec.dilation) > 1):
        # oneDNN gives wrong results for some permuted views of grouped and dilated kernels.
        ending += ".contiguous()"
    _tensor(spec, builder, "w", "kernel", ending)


def _call(
    spec: ConvSpec, builder: ScriptBuilder, function: str, *options: str | None, bias: bool
) -> None:
    if bias:
        _tensor(spec, builder, "b", "bias")
    groups = f"groups={spec.groups}" if spec.groups > 1 else None
    if builder.path.style == "channels_last":
        _channels_last(spec, builder)
    builder.call(
        "y",
        builder.wrapped(function),
        "x",
        "w",
        "b" if bias else None,
        keyword("stride", spec.stride, 1),
        *options,
        keyword("dilation", spec.dilation, 1),
        groups,
    )


def _channels_last(spec: ConvSpec, builder: ScriptBuilder) -> None:
    """Write the change of memory order; the axes stay as they are."""
    if spec.rank == 1:
        raise Unsupported("channels_last memory format exists in 2-D and 3-D only")
    for name in "xw":
        builder.add(
            f"{name} = "
            f"{name}.contiguous(memory_format=torch.channels_last{'_3d' if spec.rank == 3 else ''})"
        )


def _transposed(spec: ConvSpec, builder: ScriptBuilder) -> None:
    """Write a transposed call, which crops lo at both ends and adds less than a stride at the end.

    Where that is not enough, its full output is padded and cropped.
    """
    function = f"F.conv_transpose{spec.rank}d"
    full = full_output(spec)
    extra = [
        size + 2 * lo - whole
        for size, (lo, _), whole in zip(spec.output_size, spec.padding, full.size, strict=True)
    ]
    allowed = [max(s, d) for s, d in zip(spec.stride, spec.dilation, strict=True)]
    if all(
        lo >= 0 <= e < limit for (lo, _), e, limit in zip(spec.padding, extra, allowed, strict=True)
    ):
        padding = keyword("padding", [lo for lo, _ in spec.padding], 0)
        _call(spec, builder, function, padding, keyword("output_padding", extra, 0), bias=spec.bias)
        return
    # A padded output gets the bias afterwards, so that the added zeros have it too.
    late_bias = spec.bias and full.extended
    _call(spec, builder, function, bias=spec.bias and not late_bias)
    _take(spec, builder, full)
    if late_bias:
        _tensor(spec, builder, "b", "bias")
        builder.add(f"y = y + {broadcast_channels('b', f'NC{spec.axes}')}")


def _take(spec: ConvSpec, builder: ScriptBuilder, full: FullOutput) -> None:
    if full.extended:
        builder.add(
            f"y = F.pad(y, {_last_first(full.extension)})"
            + ("  # last axis first" if spec.rank > 1 else "")
        )
        builder.note("output padded")
    if full.crops:
        builder.add(f"y = y{index_text(f'NC{spec.axes}', full.crops)}")
        builder.note("output cropped")


DIALECT = Dialect(write, default)
