"""torch: always channels first; symmetric zero padding in the call, anything else by F.pad or,
failing that, numpy.
"""

from __future__ import annotations

from convdiff.dialects.by_hand import crop_first, crops, dilated_input, dilated_size, padded_input
from convdiff.dialects.script import Body, Dialect, Script, Unsupported, same_call
from convdiff.dialects.text import (
    along_channels,
    arranged,
    as_is,
    axes_to_flip,
    index,
    misread,
    moved,
    numbers,
    option,
    restored,
)
from convdiff.dialects.transposed import Full, full_output, same_like
from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import kernel_span

_IMPORTS = {
    "np": "import numpy as np",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
}
_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def write(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """torch code for `spec`: everything but input dilation and symmetric padding is torch's own."""
    if path.device == "mps" and spec.dtype == "float64":
        raise Unsupported("MPS has no float64")
    body = Body(_IMPORTS, path)
    order, kernel_order = f"NC{spec.axes}", f"{'IO' if spec.transposed else 'OI'}{spec.axes}"
    if spec.transposed:
        _tensor(spec, body, "x", "input", arranged("", spec.input_layout, order, "permute"))
        padding = None
    else:
        padding = _direct_input(spec, body, order)
    _kernel(spec, body, kernel_order)
    if moved(spec.input_layout, order) or moved(spec.kernel_layout, kernel_order):
        body.note(f"{order}/{kernel_order}")
    if spec.transposed:
        _transposed(spec, body)
    else:
        _call(spec, body, f"F.conv{spec.rank}d", padding, bias=spec.bias)
    body.add(f"output = {_to_numpy(spec, restored('y', order, spec.output_layout, 'permute'))}")
    return body.script()


def default(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """F.conv on the arrays as they lie, with the padding=k//2 that stands for same."""
    same_call(path, "channels_last")
    if max(spec.input_dilation) > 1:
        raise Unsupported("torch's convolutions have no input dilation")
    body = Body(_IMPORTS, path)
    order, kernel_order = f"NC{spec.axes}", f"{'IO' if spec.transposed else 'OI'}{spec.axes}"
    body.note(*misread(spec, order, kernel_order))
    _tensor(spec, body, "x", "input", arranged("", as_is(spec.input_layout, order), order))
    _tensor(
        spec,
        body,
        "w",
        "kernel",
        arranged("", as_is(spec.kernel_layout, kernel_order), kernel_order),
    )
    spans = [kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    padding = tuple(lo for lo, _ in spec.padding)
    extra = None
    if spec.transposed:
        extra = option("output_padding", spec.output_padding, 0)
        if same_like(spec):
            padding = tuple(
                max(0, -(-(span - s) // 2)) for span, s in zip(spans, spec.stride, strict=True)
            )
            extra = option(
                "output_padding",
                [
                    max(0, s - span + 2 * p)
                    for s, span, p in zip(spec.stride, spans, padding, strict=True)
                ],
                0,
            )
    elif same_like(spec) and any(map(any, spec.padding)):
        padding = tuple(span // 2 for span in spans)
    elif any(lo != hi or lo < 0 for lo, hi in spec.padding):
        body.add(f"x = F.pad(x, {_last_first(spec.padding)})  # last axis first")
        padding = (0,) * spec.rank
    _call(
        spec,
        body,
        f"F.conv{'_transpose' if spec.transposed else ''}{spec.rank}d",
        option("padding", padding, 0),
        extra,
        bias=spec.bias,
    )
    body.add(f"output = {_to_numpy(spec, restored('y', order, as_is(spec.output_layout, order)))}")
    return body.script()


def _tensor(spec: ConvSpec, body: Body, target: str, name: str, ending: str = "") -> None:
    device = f', device="{body.path.device}"' if body.path.device else ""
    body.add(f"{target} = torch.tensor({name}, dtype=torch.{spec.dtype}{device}){ending}")


def _to_numpy(spec: ConvSpec, text: str) -> str:
    return f"{text}{'.float()' if spec.dtype == 'bfloat16' else ''}.cpu().numpy()"


def _last_first(pairs: tuple[tuple[int, int], ...]) -> str:
    return numbers([side for pair in reversed(pairs) for side in pair])


def _direct_input(spec: ConvSpec, body: Body, order: str) -> str | None:
    """Writes the input; returns the call's padding argument where the call can do it."""
    name = dilated_input(spec, body)
    symmetric = spec.pad_mode == "constant" and all(lo == hi >= 0 for lo, hi in spec.padding)
    by_hand = not symmetric and any(map(any, spec.padding)) and not _can_pad(spec)
    if by_hand:
        name = padded_input(spec, body, name)
    _tensor(spec, body, "x", name, arranged("", spec.input_layout, order, "permute"))
    if symmetric:
        return option("padding", [lo for lo, _ in spec.padding], 0)
    if not by_hand and any(map(any, spec.padding)):
        pairs = spec.padding
        if spec.pad_mode != "constant":
            picks = crops(dict(zip(spec.axes, pairs, strict=True)))
            if picks:
                body.add(f"x = x{index(order, picks)}")
            pairs = tuple((max(lo, 0), max(hi, 0)) for lo, hi in pairs)
        if any(map(any, pairs)):
            mode = "" if spec.pad_mode == "constant" else f', mode="{_PAD_MODES[spec.pad_mode]}"'
            body.add(
                f"x = F.pad(x, {_last_first(pairs)}{mode})"
                + ("  # last axis first" if spec.rank > 1 else "")
            )
        body.note("padded by hand")
    return None


def _can_pad(spec: ConvSpec) -> bool:
    """Whether F.pad takes this mode and these widths."""
    if spec.pad_mode not in _PAD_MODES or not crop_first(spec):
        return False
    beyond = {"reflect": 1, "wrap": 0}
    if spec.pad_mode not in beyond:
        return True
    return all(
        max(lo, hi) <= n + min(lo, 0) + min(hi, 0) - beyond[spec.pad_mode]
        for n, (lo, hi) in zip(dilated_size(spec), spec.padding, strict=True)
    )


def _kernel(spec: ConvSpec, body: Body, order: str) -> None:
    if "M" in spec.kernel_layout and not spec.transposed:
        ending = arranged("", spec.kernel_layout, f"IM{spec.axes}", "permute")
        if spec.in_channels > 1 or spec.out_channels > 1:
            ending += f".reshape{numbers((spec.out_channels, 1, *spec.kernel_size))}"
    else:
        ending = arranged("", spec.kernel_layout.replace("M", "O"), order, "permute")
    flipped = [order.index(axis) for axis in axes_to_flip(spec)] if spec.flip else []
    if flipped:
        ending += f".flip({', '.join(map(str, flipped))})"
        body.note("kernel flipped")
    elif ending and "reshape" not in ending and (spec.groups > 1 or max(spec.dilation) > 1):
        # oneDNN takes some permuted views of grouped and dilated kernels wrongly.
        ending += ".contiguous()"
    _tensor(spec, body, "w", "kernel", ending)


def _call(spec: ConvSpec, body: Body, function: str, *options: str | None, bias: bool) -> None:
    if bias:
        _tensor(spec, body, "b", "bias")
    groups = f"groups={spec.groups}" if spec.groups > 1 else None
    if body.path.style == "channels_last":
        _channels_last(spec, body)
    body.call(
        "y",
        body.through(function),
        "x",
        "w",
        "b" if bias else None,
        option("stride", spec.stride, 1),
        *options,
        option("dilation", spec.dilation, 1),
        groups,
    )


def _channels_last(spec: ConvSpec, body: Body) -> None:
    """The order in memory alone: the axes stay."""
    if spec.rank == 1:
        raise Unsupported("channels_last memory format exists in 2-D and 3-D only")
    for name in "xw":
        body.add(
            f"{name} = "
            f"{name}.contiguous(memory_format=torch.channels_last{'_3d' if spec.rank == 3 else ''})"
        )


def _transposed(spec: ConvSpec, body: Body) -> None:
    """The call crops lo on both sides and adds less than a stride at the end; the rest is cut or
    filled afterwards.
    """
    function = f"F.conv_transpose{spec.rank}d"
    full = full_output(spec)
    extra = [
        size + 2 * lo - whole
        for size, (lo, _), whole in zip(spec.output_size, spec.padding, full.size, strict=True)
    ]
    allowed = [max(s, d) for s, d in zip(spec.stride, spec.dilation, strict=True)]
    if all(
        lo >= 0 <= e < most for (lo, _), e, most in zip(spec.padding, extra, allowed, strict=True)
    ):
        padding = option("padding", [lo for lo, _ in spec.padding], 0)
        _call(spec, body, function, padding, option("output_padding", extra, 0), bias=spec.bias)
        return
    late_bias = spec.bias and full.extended
    _call(spec, body, function, bias=spec.bias and not late_bias)
    _take(spec, body, full)
    if late_bias:
        _tensor(spec, body, "b", "bias")
        body.add(f"y = y + {along_channels('b', f'NC{spec.axes}')}")


def _take(spec: ConvSpec, body: Body, full: Full) -> None:
    if full.extended:
        body.add(
            f"y = F.pad(y, {_last_first(full.extension)})"
            + ("  # last axis first" if spec.rank > 1 else "")
        )
        body.note("output padded")
    if full.crops:
        body.add(f"y = y{index(f'NC{spec.axes}', full.crops)}")
        body.note("output cropped")


DIALECT = Dialect(write, default)
