"""numpy: np.correlate or np.convolve for a plain signal, else sliding windows and einsum.

A transposed convolution adds the input, times each tap of the kernel, into the output.

einsum's letters follow the user's layouts, so that nothing is permuted: n is the batch, g the
group, c and o the channels within a group, d h w are positions and t r s taps.
"""

from __future__ import annotations

from collections.abc import Sequence

from convdiff.dialects.expressions import (
    axes_to_flip,
    broadcast_channels,
    index_text,
    reversal_index,
    to_order,
    tuple_text,
)
from convdiff.dialects.numpy_steps import dilate_input, dilated_input_size, pad_input
from convdiff.dialects.script import LINE_WIDTH, Dialect, Script, ScriptBuilder, Unsupported
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import kernel_span

_IMPORTS = {
    "np": "import numpy as np",
    "sliding_window_view": "from numpy.lib.stride_tricks import sliding_window_view",
}
_TAPS = {"D": "t", "H": "r", "W": "s"}


def write(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """numpy code for `spec`; Unsupported for bfloat16."""
    builder = _start(spec)
    if spec.transposed:
        _add_taps(spec, builder)
    elif _is_plain_signal(spec) and spec.dilation == (1,):
        _one_call(spec, builder)
    else:
        _windows(spec, builder)
    return builder.script()


def default(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """np.convolve or np.correlate with numpy's mode for the padding, where it has one."""
    builder = _start(spec)
    if (
        spec.transposed
        or not _is_plain_signal(spec)
        or spec.dilation != (1,)
        or spec.input_dilation != (1,)
    ):
        raise Unsupported("np.convolve and np.correlate take one plain signal and one kernel")
    same = spec.output_size[0] == -(-spec.input_size[0] // spec.stride[0])
    mode = "same" if same and spec.padding != ((0, 0),) else None
    _one_call(spec, builder, mode, conjugate=False)
    return builder.script()


def _start(spec: ConvSpec) -> ScriptBuilder:
    if spec.dtype == "bfloat16":
        raise Unsupported("numpy has no bfloat16")
    return ScriptBuilder(_IMPORTS)


def _is_plain_signal(spec: ConvSpec) -> bool:
    return spec.rank == spec.batch == spec.in_channels == spec.out_channels == 1


def _cast(name: str, spec: ConvSpec) -> str:
    return f"{name}.astype(np.{spec.dtype})"


def _finish(spec: ConvSpec, builder: ScriptBuilder, text: str) -> None:
    if not spec.bias:
        builder.add(f"output = {text}")
        return
    bias = broadcast_channels(_cast("bias", spec), spec.output_layout)
    if len(text) + len(bias) > LINE_WIDTH - 12:
        builder.add(f"y = {text}")
        text = "y"
    builder.add(f"output = {text} + {bias}")


def _one_call(
    spec: ConvSpec, builder: ScriptBuilder, mode: str | None = None, *, conjugate: bool = True
) -> None:
    """Write one call of np.convolve or np.correlate, in the given mode or that of the padding.

    With `conjugate`, a complex kernel is conjugated where np.correlate does so once more.
    """
    mode = mode or _numpy_mode(spec)
    signal = _input(
        spec, builder, padded=mode is None, flat="" if spec.input_layout == "W" else ".ravel()"
    )
    kernel = "kernel" if spec.kernel_layout == "W" else "kernel.ravel()"
    if spec.is_complex and not spec.flip and conjugate:
        # np.correlate conjugates its second argument.
        kernel += ".conj()"
        builder.note("kernel conjugated")
    kernel = _cast(kernel, spec)
    mode = mode or "valid"
    text = f'{"np.convolve" if spec.flip else "np.correlate"}({signal}, {kernel}, "{mode}")'
    if spec.stride != (1,):
        text += f"[::{spec.stride[0]}]"
        builder.note("output strided by slicing")
    if spec.output_layout != "W":
        text += (
            f".reshape{tuple_text([1 if letter != 'W' else -1 for letter in spec.output_layout])}"
        )
    _finish(spec, builder, text)


def _numpy_mode(spec: ConvSpec) -> str | None:
    """numpy's mode for this padding, None where it has none.

    Where the kernel is longer than the input, numpy swaps the two, and only "full" is right.
    """
    if (not spec.pads_with_zeros and spec.padding != ((0, 0),)) or spec.input_dilation != (1,):
        return None
    k = spec.kernel_size[0]
    modes = {(k - 1, k - 1): "full"}
    if k <= spec.input_size[0]:
        modes = {(k - 1, k - 1): "full", (k // 2, (k - 1) // 2): "same", (0, 0): "valid"}
    return modes.get(spec.padding[0])


def _einsum_letters(spec: ConvSpec) -> tuple[str, str, str]:
    """einsum's letters for input, kernel and output, without taps.

    A channel axis that covers all groups becomes g and c, or g and o.
    """
    inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
    grouped = {"C": "gc" if inner > 1 else "g", "Y": "go" if outer > 1 else "g"}
    in_letters, out_letters = (grouped["C"], grouped["Y"]) if spec.groups > 1 else ("c", "o")
    per_group = spec.transposed or "M" in spec.kernel_layout
    letters = {"I": in_letters, "O": "o", "M": "o"} if per_group else {"I": "c", "O": out_letters}
    letters |= dict.fromkeys("DHW", "")
    kernel = "".join(letters[letter] for letter in spec.kernel_layout)
    return (
        spec.input_layout.lower().replace("c", in_letters),
        kernel,
        spec.output_layout.lower().replace("c", out_letters),
    )


def _split_groups(spec: ConvSpec, role: str, shape: Sequence[int], order: str) -> str:
    """`.reshape(...)` that splits the channel axis into groups.

    "" where `order` has no more axes than the layout.
    """
    layout = getattr(spec, f"{role}_layout")
    if len(order) == len(layout):
        return ""
    split: list[int] = []
    for letter, size in zip(layout, shape, strict=True):
        over_groups = letter == "C" or (letter == "I" if spec.transposed else letter == "O")
        split += [spec.groups, size // spec.groups] if over_groups else [size]
    return f".reshape{tuple_text(split)}"


def _kernel(spec: ConvSpec, builder: ScriptBuilder, order: str) -> str:
    """Write the kernel; returns einsum's letters for it, with the taps."""
    flipped = reversal_index(spec.kernel_layout, axes_to_flip(spec)) if spec.flip else ""
    split = _split_groups(spec, "kernel", spec.shape("kernel"), order + spec.axes)
    builder.add(f"w = {_cast('kernel', spec)}{flipped}{split}")
    if flipped:
        builder.note("kernel flipped")
    channels = iter(order)
    per_axis = []
    for letter in spec.kernel_layout:
        if letter in _TAPS:
            per_axis.append(_TAPS[letter])
        else:
            per_axis.append(next(channels))
            if per_axis[-1] == "g" and len(order) + spec.rank > len(spec.kernel_layout):
                per_axis[-1] += next(channels)
    return "".join(per_axis)


def _einsum(
    builder: ScriptBuilder, source: str, kernel: str, target: str, names: str
) -> tuple[str, str]:
    """An einsum, and the letters of its result: those of `target` that an operand has."""
    result = "".join(letter for letter in target if letter in source + kernel)
    return f'np.einsum("{source},{kernel}->{result}", {names}, optimize=True)', result


def _finish_einsum(
    spec: ConvSpec, builder: ScriptBuilder, text: str, letters: str, target: str
) -> None:
    """Write the last line: adds axes of size 1 that no operand has, joins groups, adds the bias."""
    if len(target) > len(spec.output_layout):
        text += f".reshape{tuple_text(spec.shape('output'))}"
    else:
        text = to_order(text, letters, target)
    _finish(spec, builder, text)


def _input(spec: ConvSpec, builder: ScriptBuilder, *, padded: bool = True, flat: str = "") -> str:
    """Write the dilation and padding of the input; returns an expression in the spec's type."""
    name = dilate_input(spec, builder, f"np.{spec.dtype}")
    if name == "input":
        name = _cast(name, spec)
    return (pad_input(spec, builder, name) if padded else name) + flat


def _windows(spec: ConvSpec, builder: ScriptBuilder) -> None:
    name = _input(spec, builder)
    source, channels, target = _einsum_letters(spec)
    size = {
        a: n + lo + hi
        for a, n, (lo, hi) in zip(spec.axes, dilated_input_size(spec), spec.padding, strict=True)
    }
    shape = [
        size.get(letter, n)
        for letter, n in zip(spec.input_layout, spec.shape("input"), strict=True)
    ]
    split = _split_groups(spec, "input", shape, source)
    if name != "x" or split:
        builder.add(f"x = {name}{split}")
    kernel = _kernel(spec, builder, channels)
    taps = "".join(_TAPS[axis] for axis in spec.axes)
    spans = [kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    steps = {a.lower(): f"::{s}" for a, s in zip(spec.axes, spec.stride, strict=True) if s > 1}
    steps |= {t: f"::{d}" for t, d in zip(taps, spec.dilation, strict=True) if d > 1}
    axes = [source.index(axis.lower()) for axis in spec.axes]
    builder.call(
        "windows",
        "sliding_window_view",
        "x",
        tuple_text(spans),
        f"axis={tuple_text(axes)}",
        ending=index_text(source + taps, steps),
    )
    product, letters = _einsum(builder, source + taps, kernel, target, "windows, w")
    _finish_einsum(spec, builder, product, letters, target)


def _add_taps(spec: ConvSpec, builder: ScriptBuilder) -> None:
    """Write a transposed convolution: each tap adds the whole input into the full output.

    The part of it that the spec asks for is then taken.
    """
    source, channels, target = _einsum_letters(spec)
    builder.add(
        f"x = {_cast('input', spec)}{_split_groups(spec, 'input', spec.shape('input'), source)}"
    )
    kernel = _kernel(spec, builder, channels)
    taps = [_TAPS[axis] for axis in spec.axes]
    product, letters = _einsum(
        builder, source, channels, target, f"x, w{index_text(kernel, {tap: tap for tap in taps})}"
    )
    size = {"n": spec.batch, "g": spec.groups, "o": spec.out_channels // spec.groups}
    targets, crop = {}, {}
    for axis, tap, n, k, s, d, (lo, _), out in zip(
        spec.axes.lower(),
        taps,
        spec.input_size,
        spec.kernel_size,
        spec.stride,
        spec.dilation,
        spec.padding,
        spec.output_size,
        strict=True,
    ):
        before, first = max(-lo, 0), max(lo, 0)
        size[axis] = max(before + (n - 1) * s + kernel_span(k, d), first + out)
        start = (f"{d} * {tap}" if d > 1 else tap) + (f" + {before}" if before else "")
        targets[axis] = f"{start} : {start} + {(n - 1) * s + 1}" + (f" : {s}" if s > 1 else "")
        if out < size[axis]:
            crop[axis] = f"{first}:{first + out}"
    builder.add(
        f"y = np.zeros({tuple_text([size[letter] for letter in letters])}, np.{spec.dtype})"
    )
    builder.add(
        f"for {', '.join(taps) if spec.rank > 1 else taps[0] + ','} in "
        f"np.ndindex{tuple_text(spec.kernel_size)}:"
    )
    builder.add(f"    products = {product}")
    builder.add(f"    y{index_text(letters, targets)} += products")
    if crop:
        builder.note("output cropped")
    _finish_einsum(spec, builder, f"y{index_text(letters, crop)}", letters, target)


DIALECT = Dialect(write, default)
