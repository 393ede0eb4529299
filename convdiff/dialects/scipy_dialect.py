"""scipy: signal's correlate and convolve, or ndimage's, which take one plain array and a kernel;
channels by a loop of calls.

signal sums over channels itself: they are one more axis of a "valid" correlation.  ndimage's kernel
lies around k // 2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from convdiff.dialects.by_hand import dilated_input, narrowed, padded_input, widened
from convdiff.dialects.direct import as_direct, dense_kernel
from convdiff.dialects.script import Body, Dialect, Script, Unsupported
from convdiff.dialects.text import along_channels, arranged, index, restored
from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair

_IMPORTS = {
    "np": "import numpy as np",
    "ndimage": "from scipy import ndimage",
    "signal": "from scipy import signal",
}
_MODES = {
    "constant": "constant",
    "edge": "nearest",
    "reflect": "mirror",
    "symmetric": "reflect",
    "wrap": "grid-wrap",
}


def write(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """scipy code for `spec`; Unsupported for bfloat16."""
    ndimage, method = path.style == "ndimage", path.style or "direct"
    if spec.dtype == "bfloat16":
        raise Unsupported("scipy takes no bfloat16")
    # signal's direct sums and ndimage know no float16; a transform in float32 takes the digits of
    # small sums beside large ones.
    body, wide = widened(
        spec,
        _IMPORTS,
        path,
        "float64" if method == "fft" else "float32" if spec.dtype == "float16" else spec.dtype,
    )
    w = _kernel(wide, body)
    dtype, spec = spec.dtype, as_direct(wide)
    plain = spec.input_layout == spec.output_layout == spec.axes and w.order == spec.axes
    word = "" if ndimage else _word(spec) if plain else "valid"
    own = ndimage and _around(spec) and spec.input_dilation == (1,) * spec.rank
    order = spec.axes if plain else f"NC{spec.axes}"
    name = dilated_input(spec, body, f"np.{spec.dtype}")
    if not own and (ndimage or word == "valid"):
        name = padded_input(spec, body, name)
    body.add(f"x = {arranged(name, spec.input_layout, order)}.astype(np.{spec.dtype})")
    call = (
        'ndimage.correlate({}, {}, mode="' + (_MODES[spec.pad_mode] if own else "constant") + '")'
        if ndimage
        else (
            f'signal.{"convolve" if w.flip else "correlate"}({{}}, {{}}, "{word or "valid"}", '
            f'method="{method}")'
        )
    )
    picks = _picks(spec, ndimage and not own)
    if plain:
        body.add(f"y = {call.format('x', 'w')}{index(order, picks)}")
    else:
        _loops(spec, body, call, ndimage)
        if picks:
            body.add(f"y = y{index(order, picks)}")
    output = restored("y", order, spec.output_layout)
    if spec.bias:
        bias = f"bias.astype(np.{spec.dtype})"
        output += f" + {along_channels(bias, spec.output_layout)}"
    body.add(f"output = {output}")
    return narrowed(body, dtype, wide).script()


def default(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """signal.correlate or convolve with scipy's own word for the padding; ndimage's, which mirror
    at the border unasked.
    """
    plain = spec.input_layout == spec.kernel_layout == spec.output_layout == spec.axes
    if (
        not plain
        or spec.transposed
        or max(spec.dilation + spec.input_dilation) > 1
        or spec.dtype in ("float16", "bfloat16")
    ):
        raise Unsupported(
            "scipy's own calls, signal.correlate and convolve, take one plain signal or image and "
            "a kernel, nothing else"
        )
    body = Body(_IMPORTS, path)
    same = spec.output_size == tuple(
        -(-n // s) for n, s in zip(spec.input_size, spec.stride, strict=True)
    )
    word = "same" if same and any(map(any, spec.padding)) else _word(spec)
    module, option = (
        ("ndimage", "")
        if path.style == "ndimage"
        else ("signal", f', "{word}"' + (', method="fft"' if path.style else ""))
    )
    kernel, x = (f"{name}.astype(np.{spec.dtype})" for name in ("kernel", "input"))
    text = (
        f"{module}.{'convolve' if spec.flip else 'correlate'}({x}, "
        f"{kernel}{option}){index(spec.axes, _picks(spec, False))}"
    )
    body.add(f"output = {text}" + (f" + bias.astype(np.{spec.dtype})" if spec.bias else ""))
    return replace(body.script(), path=path.name or "signal")


class _Kernel(NamedTuple):
    """The order in which `w` was written, and whether it is yet to be flipped."""

    order: str
    flip: bool


def _kernel(spec: ConvSpec, body: Body) -> _Kernel:
    """Writes w: the kernel's own axes where there are no others, else (out, in per group, space)."""
    flip = spec.flip != spec.transposed
    plain = spec.kernel_layout == spec.input_layout == spec.output_layout == spec.axes
    convolves = plain and flip and body.path.style != "ndimage"
    order = spec.axes if plain else f"OI{spec.axes}"
    if flip and not convolves:
        body.note("kernel flipped")
    text = dense_kernel(spec, body, order, flipped=flip and not convolves)
    body.add(f"w = {text}.astype(np.{spec.dtype})")
    return _Kernel(order, convolves)


def _word(spec: ConvSpec) -> str:
    """signal's word for this padding; "valid" where it is to be padded first."""
    if spec.pad_mode != "constant":
        return "valid"
    words: dict[tuple[Pair, ...], str] = {
        tuple((k - 1, k - 1) for k in spec.kernel_size): "full",
        tuple((k // 2, (k - 1) // 2) for k in spec.kernel_size): "same",
        ((0, 0),) * spec.rank: "valid",
    }
    return words.get(spec.padding, "valid")


def _around(spec: ConvSpec) -> bool:
    """Whether ndimage pads so by itself; wider than the input its modes are by hand."""
    wide = spec.pad_mode != "constant" and any(
        k > n for k, n in zip(spec.kernel_size, spec.input_size, strict=True)
    )
    return not wide and spec.padding == tuple((k // 2, (k - 1) // 2) for k in spec.kernel_size)


def _picks(spec: ConvSpec, centred: bool) -> dict[str, str]:
    """Slices for the stride and, where ndimage's output is as large as a padded input, for the part
    that is asked.
    """
    picks = {}
    for axis, k, s, out in zip(
        spec.axes, spec.kernel_size, spec.stride, spec.output_size, strict=True
    ):
        first = f"{k // 2 or ''}:{k // 2 + (out - 1) * s + 1}" if centred and k > 1 else ":"
        text = first + (f":{s}" if s > 1 else "")
        if text != ":":
            picks[axis] = text
    return picks


def _loops(spec: ConvSpec, body: Body, call: str, ndimage: bool) -> None:
    """y, (batch, out, space): a call for every picture and output channel, with ndimage for every
    input channel too.
    """
    inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
    image, each = "image", "for filters in w"
    if spec.groups > 1:
        first = "o" + (f" // {outer}" if outer > 1 else "") + (f" * {inner}" if inner > 1 else "")
        image, each = f"image[{first} : {first} + {inner}]", "for o, filters in enumerate(w)"
    lines = [f"{call.format(image, 'filters')}[0]"]
    if ndimage:
        lines = [
            "sum(",
            f"    {call.format('plane', 'taps')}",
            f"    for plane, taps in zip({image}, filters)",
            ")",
        ]
    body.add(
        "\n".join(
            [
                "y = np.array([",
                "    [",
                *(f"        {line}" for line in [*lines, each]),
                "    ]",
                "    for image in x",
                "])",
            ]
        )
    )
    if spec.batch * spec.out_channels > 1:
        body.note("one call per output channel")


DIALECT = Dialect(write, default)
