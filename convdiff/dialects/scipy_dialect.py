"""SciPy: correlate and convolve of scipy.signal, or of scipy.ndimage.

Both take one array and one kernel, so that output channels are a loop of calls.  scipy.signal sums
over input channels as over one more axis of a "valid" correlation; scipy.ndimage, whose kernel is
centered at k // 2, is called for every input channel.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from convdiff.dialects.direct_equivalent import direct_equivalent, write_dense_kernel
from convdiff.dialects.expressions import broadcast_channels, index_text, to_layout, to_order
from convdiff.dialects.numpy_steps import dilate_input, narrow_output, pad_input, widen_operands
from convdiff.dialects.script import Dialect, Script, ScriptBuilder, Unsupported
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
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


def write(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """SciPy code for `spec`; Unsupported for bfloat16."""
    ndimage, method = path.style == "ndimage", path.style or "direct"
    if spec.dtype == "bfloat16":
        raise Unsupported("scipy takes no bfloat16")
    # Neither scipy.signal's direct method nor scipy.ndimage takes float16.  A Fourier transform in
    # float32 loses the digits of small sums beside large ones.
    builder, wide = widen_operands(
        spec,
        _IMPORTS,
        path,
        _compute_dtype(spec.dtype, method),
    )
    w = _kernel(wide, builder)
    dtype, spec = spec.dtype, direct_equivalent(wide)
    plain = spec.input_layout == spec.output_layout == spec.axes and w.order == spec.axes
    mode = "" if ndimage else _signal_mode(spec) if plain else "valid"
    pads_itself = ndimage and _ndimage_pads(spec) and spec.input_dilation == (1,) * spec.rank
    order = spec.axes if plain else f"NC{spec.axes}"
    name = dilate_input(spec, builder, f"np.{spec.dtype}")
    if not pads_itself and (ndimage or mode == "valid"):
        name = pad_input(spec, builder, name)
    builder.add(f"x = {to_order(name, spec.input_layout, order)}.astype(np.{spec.dtype})")
    ndimage_mode = _MODES[spec.pad_modes[0]] if pads_itself else "constant"
    cval = f", cval={spec.pad_value!r}" if pads_itself and spec.pad_value != 0 else ""
    call = (
        f'ndimage.correlate({{}}, {{}}, mode="{ndimage_mode}"{cval})'
        if ndimage
        else (
            f'signal.{"convolve" if w.flip else "correlate"}({{}}, {{}}, "{mode or "valid"}", '
            f'method="{method}")'
        )
    )
    slices = _output_slices(spec, ndimage and not pads_itself)
    if plain:
        builder.add(f"y = {call.format('x', 'w')}{index_text(order, slices)}")
    else:
        _loops(spec, builder, call, ndimage)
        if slices:
            builder.add(f"y = y{index_text(order, slices)}")
    output = to_layout("y", order, spec.output_layout)
    if spec.bias:
        bias = f"bias.astype(np.{spec.dtype})"
        output += f" + {broadcast_channels(bias, spec.output_layout)}"
    builder.add(f"output = {output}")
    return narrow_output(builder, dtype, wide).script()


def default(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """signal.correlate or convolve with SciPy's mode for the padding.

    On the path ndimage they are ndimage's, which mirror at the border by default.
    """
    plain = spec.input_layout == spec.kernel_layout == spec.output_layout == spec.axes
    if (
        not plain
        or spec.transposed
        or max(spec.dilation + spec.input_dilation) > 1
        or spec.dtype in ("float16", "bfloat16")
    ):
        raise Unsupported(
            "signal.correlate and signal.convolve take one plain signal or image and one kernel"
        )
    builder = ScriptBuilder(_IMPORTS, path)
    same = spec.output_size == tuple(
        -(-n // s) for n, s in zip(spec.input_size, spec.stride, strict=True)
    )
    mode = "same" if same and any(map(any, spec.padding)) else _signal_mode(spec)
    module, option = (
        ("ndimage", "")
        if path.style == "ndimage"
        else ("signal", f', "{mode}"' + (', method="fft"' if path.style else ""))
    )
    kernel, x = (f"{name}.astype(np.{spec.dtype})" for name in ("kernel", "input"))
    text = (
        f"{module}.{'convolve' if spec.flip else 'correlate'}({x}, "
        f"{kernel}{option}){index_text(spec.axes, _output_slices(spec, False))}"
    )
    builder.add(f"output = {text}" + (f" + bias.astype(np.{spec.dtype})" if spec.bias else ""))
    return replace(builder.script(), path=path.name or "signal")


def _compute_dtype(dtype: str, method: str) -> str:
    """The type that SciPy computes in, where `dtype` is asked."""
    if method == "fft":
        return "complex128" if dtype.startswith("complex") else "float64"
    return "float32" if dtype == "float16" else dtype


class _Kernel(NamedTuple):
    """The layout of `w` as it was written, and whether the call has to flip it."""

    order: str
    flip: bool


def _kernel(spec: ConvSpec, builder: ScriptBuilder) -> _Kernel:
    """Write w: a plain kernel in its own axes, else (out, in per group, spatial)."""
    flip = spec.flip != spec.transposed
    plain = spec.kernel_layout == spec.input_layout == spec.output_layout == spec.axes
    convolves = plain and flip and builder.path.style != "ndimage"
    order = spec.axes if plain else f"OI{spec.axes}"
    if flip and not convolves:
        builder.note("kernel flipped")
    text = write_dense_kernel(spec, builder, order, flipped=flip and not convolves)
    if spec.is_complex and not convolves:
        # Both modules' correlate conjugates its second argument.
        text += ".conj()"
        builder.note("kernel conjugated")
    builder.add(f"w = {text}.astype(np.{spec.dtype})")
    return _Kernel(order, convolves)


def _signal_mode(spec: ConvSpec) -> str:
    """scipy.signal's mode for this padding; "valid" where the input is padded before the call."""
    if not spec.pads_with_zeros:
        return "valid"
    modes: dict[tuple[Pair, ...], str] = {
        tuple((k - 1, k - 1) for k in spec.kernel_size): "full",
        tuple((k // 2, (k - 1) // 2) for k in spec.kernel_size): "same",
        ((0, 0),) * spec.rank: "valid",
    }
    return modes.get(spec.padding, "valid")


def _ndimage_pads(spec: ConvSpec) -> bool:
    """Whether ndimage itself pads like this.

    It takes one mode for all axes, and one number for all channels.  Its modes other than
    "constant" are not used where the kernel is wider than the input.
    """
    wide = spec.pad_mode != "constant" and any(
        k > n for k, n in zip(spec.kernel_size, spec.input_size, strict=True)
    )
    if isinstance(spec.pad_value, tuple) or isinstance(spec.pad_mode, tuple):
        return False
    return not wide and spec.padding == tuple((k // 2, (k - 1) // 2) for k in spec.kernel_size)


def _output_slices(spec: ConvSpec, centered: bool) -> dict[str, str]:
    """The slices that take the output from what was computed, by axis: the stride and the crop.

    `centered`: ndimage's output is as large as the padded input, and the kernel is centered.
    """
    slices = {}
    for axis, k, s, out in zip(
        spec.axes, spec.kernel_size, spec.stride, spec.output_size, strict=True
    ):
        first = f"{k // 2 or ''}:{k // 2 + (out - 1) * s + 1}" if centered and k > 1 else ":"
        text = first + (f":{s}" if s > 1 else "")
        if text != ":":
            slices[axis] = text
    return slices


def _loops(spec: ConvSpec, builder: ScriptBuilder, call: str, ndimage: bool) -> None:
    """Write y, (batch, out, spatial): a call for each image and output channel.

    With ndimage there is a call for each input channel too.
    """
    inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
    image, loop = "image", "for filters in w"
    if spec.groups > 1:
        first = "o" + (f" // {outer}" if outer > 1 else "") + (f" * {inner}" if inner > 1 else "")
        image, loop = f"image[{first} : {first} + {inner}]", "for o, filters in enumerate(w)"
    lines = [f"{call.format(image, 'filters')}[0]"]
    if ndimage:
        lines = [
            "sum(",
            f"    {call.format('plane', 'taps')}",
            f"    for plane, taps in zip({image}, filters)",
            ")",
        ]
    builder.add(
        "\n".join(
            [
                "y = np.array([",
                "    [",
                *(f"        {line}" for line in [*lines, loop]),
                "    ]",
                "    for image in x",
                "])",
            ]
        )
    )
    if spec.batch * spec.out_channels > 1:
        builder.note("one call per output channel")


DIALECT = Dialect(write, default)
