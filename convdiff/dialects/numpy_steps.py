"""What a framework's call lacks, written as numpy statements on the arrays in the user's layouts.

Padding that is wider than the input repeats the pattern of its mode.  numpy.pad does that as well,
but old versions do it wrongly, so that it is written as an index instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from convdiff.dialects.expressions import index_text, tuple_text
from convdiff.dialects.script import LINE_WIDTH, ScriptBuilder
from convdiff.execution_paths import ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair, kernel_span

NO_PADDING = (0, 0)


def widen_operands(
    spec: ConvSpec, imports: Mapping[str, str], path: ExecutionPath, dtype: str
) -> tuple[ScriptBuilder, ConvSpec]:
    """The start of a script that computes in `dtype`, where the framework lacks the spec's type.

    Returns the builder, and the spec in `dtype`; `narrow_output` is the counterpart.  The operands,
    which may be stored in a wider type, are rounded to the spec's type first.
    """
    if dtype == spec.dtype:
        return ScriptBuilder(imports, path), spec
    names = ["input", "kernel", *(["bias"] if spec.bias else [])]
    rounded = ", ".join(f'{name}.astype("{spec.dtype}")' for name in names)
    return ScriptBuilder(imports, path, [f"{', '.join(names)} = {rounded}"]), replace(
        spec, dtype=dtype
    )


def narrow_output(builder: ScriptBuilder, dtype: str, wide: ConvSpec) -> ScriptBuilder:
    """The end of such a script: converts the output to `dtype`, the type that was asked for."""
    if dtype != wide.dtype:
        builder.add(f'output = output.astype("{dtype}")')
        builder.note(f"computed in {wide.dtype}")
    return builder


def dilate_input(spec: ConvSpec, builder: ScriptBuilder, kind: str | None = None) -> str:
    """Write zeros between the input's elements; returns the name of the result.

    `kind` is the text of its dtype, by default the input's, or one that holds the pad value.  The
    input of a transposed convolution is dilated by the stride.
    """
    dilation = spec.correlation().input_dilation
    if max(dilation) == 1:
        return "input"
    if kind is None:
        kind = "input.dtype" if spec.pad_value == 0 else _numpy_type(spec)
    layout = spec.input_layout
    size = {
        a: (n - 1) * r + 1 for a, n, r in zip(spec.axes, spec.input_size, dilation, strict=True)
    }
    shape = tuple(
        size.get(letter, n) for letter, n in zip(layout, spec.shape("input"), strict=True)
    )
    steps = {a: f"::{r}" for a, r in zip(spec.axes, dilation, strict=True) if r > 1}
    builder.add(f"x = np.zeros({tuple_text(shape)}, {kind})")
    builder.add(f"x{index_text(layout, steps)} = input")
    builder.note("input dilated by hand")
    return "x"


def dilated_input_size(spec: ConvSpec) -> tuple[int, ...]:
    """The spatial size of the dilated input."""
    return tuple((n - 1) * r + 1 for n, r in zip(spec.input_size, spec.input_dilation, strict=True))


def dilate_kernel(spec: ConvSpec, builder: ScriptBuilder) -> str:
    """Write zeros between the kernel's elements; returns the name of the result."""
    if max(spec.dilation) == 1:
        return "kernel"
    size = {
        a: kernel_span(k, d)
        for a, k, d in zip(spec.axes, spec.kernel_size, spec.dilation, strict=True)
    }
    shape = tuple(
        size.get(letter, n)
        for letter, n in zip(spec.kernel_layout, spec.shape("kernel"), strict=True)
    )
    steps = {a: f"::{d}" for a, d in zip(spec.axes, spec.dilation, strict=True) if d > 1}
    builder.add(f"w = np.zeros({tuple_text(shape)}, kernel.dtype)")
    builder.add(f"w{index_text(spec.kernel_layout, steps)} = kernel")
    builder.note("kernel dilated by hand")
    return "w"


def pad_input(spec: ConvSpec, builder: ScriptBuilder, name: str) -> str:
    """Crop and pad the input as the spec asks; returns the name of the result.

    `name` is an expression for the input in its own layout.
    """
    sizes = dict(zip(spec.axes, dilated_input_size(spec), strict=True))
    pairs = dict(zip(spec.axes, spec.padding, strict=True))
    if can_crop_first(spec):
        name = _crop(spec, builder, name, pairs)
        sizes = {
            axis: n + min(pairs[axis][0], 0) + min(pairs[axis][1], 0) for axis, n in sizes.items()
        }
        return _pad(spec, builder, name, pairs, sizes)
    return _crop(spec, builder, _pad(spec, builder, name, pairs, sizes), pairs)


def can_crop_first(spec: ConvSpec) -> bool:
    """Whether cropping (negative padding) leaves anything of the input.

    If it does not, the input must be padded before it is cropped.
    """
    return all(
        n + min(lo, 0) + min(hi, 0) > 0
        for n, (lo, hi) in zip(dilated_input_size(spec), spec.padding, strict=True)
    )


def crop_slices(pairs: dict[str, Pair]) -> dict[str, str]:
    """The slices that crop as negative padding asks, by axis."""
    slices = {a: f"{-lo if lo < 0 else ''}:{hi if hi < 0 else ''}" for a, (lo, hi) in pairs.items()}
    return {axis: text for axis, text in slices.items() if text != ":"}


def _crop(spec: ConvSpec, builder: ScriptBuilder, name: str, pairs: dict[str, Pair]) -> str:
    slices = crop_slices(pairs)
    if not slices:
        return name
    builder.add(f"x = {name}{index_text(spec.input_layout, slices)}")
    builder.note("input cropped")
    return "x"


def _pad(
    spec: ConvSpec, builder: ScriptBuilder, name: str, pairs: dict[str, Pair], sizes: dict[str, int]
) -> str:
    widths = {axis: (max(lo, 0), max(hi, 0)) for axis, (lo, hi) in pairs.items()}
    if not any(map(any, widths.values())):
        return name
    builder.note("padded by hand")
    for axis, mode in zip(spec.axes, spec.pad_modes, strict=True):
        if _repeats_pattern(mode, sizes[axis], max(widths[axis])):
            _pad_by_index(spec, builder, name, (axis, mode), sizes[axis], widths.pop(axis))
            name = "x"
    for mode, pairs_of_mode in widths_by_mode(spec, widths):
        if mode == "constant" and spec.pad_value != 0:
            name = _pad_with_numbers(spec, builder, name, pairs_of_mode)
            continue
        mode = "" if mode == "constant" else f', mode="{mode}"'
        pairs_text = tuple_text(
            [pairs_of_mode.get(letter, NO_PADDING) for letter in spec.input_layout]
        )
        builder.call(
            "x",
            "np.pad",
            name,
            (pairs_text if len(spec.input_layout) > 1 else pairs_text[1:-2]) + mode,
        )
        name = "x"
    return name


def widths_by_mode(spec: ConvSpec, widths: Mapping[str, Pair]) -> list[tuple[str, dict[str, Pair]]]:
    """Each pad mode with the padding, by axis, that it fills: one call of a framework pads it.

    `widths` are not negative; axes and modes without padding are left out.
    """
    modes = dict(zip(spec.axes, spec.pad_modes, strict=True))
    padded = {axis: pair for axis, pair in widths.items() if any(pair)}
    return [
        (mode, {axis: pair for axis, pair in padded.items() if modes[axis] == mode})
        for mode in dict.fromkeys(modes[axis] for axis in padded)
    ]


def is_narrow(spec: ConvSpec, excluded: Mapping[str, int]) -> bool:
    """Whether the padding of each axis is no wider than a framework's function takes.

    That is the input without its `excluded` elements, a number for each mode that has a limit.
    """
    return all(
        mode not in excluded or max(lo, hi) <= n + min(lo, 0) + min(hi, 0) - excluded[mode]
        for mode, n, (lo, hi) in zip(
            spec.pad_modes, dilated_input_size(spec), spec.padding, strict=True
        )
    )


def _pad_with_numbers(
    spec: ConvSpec, builder: ScriptBuilder, name: str, widths: dict[str, Pair]
) -> str:
    """Pad with the pad value, which the input's own type may not hold; returns the name."""
    if max(spec.correlation().input_dilation) == 1:
        name = f"{name}.astype({_numpy_type(spec)})"
    pad_like_numpy(spec, builder, "np", name, widths)
    return "x"


def pad_like_numpy(
    spec: ConvSpec, builder: ScriptBuilder, module: str, name: str, widths: Mapping[str, Pair]
) -> None:
    """Write x, padded with the pad value, with the functions of numpy or of a module like it."""

    def pad(array: str, order: str, number: str) -> str:
        pairs = tuple_text([widths.get(letter, NO_PADDING) for letter in order])
        return f"{module}.pad({array}, {pairs}, constant_values={number})"

    channels = f"{module}.moveaxis({name}, {spec.input_layout.find('C')}, 0)"
    add_padding(spec, builder, pad, name, spec.input_layout, (channels, f"{module}.stack"))


def add_padding(
    spec: ConvSpec,
    builder: ScriptBuilder,
    pad: Callable[[str, str, str], str],
    name: str,
    order: str,
    apart: tuple[str, str],
) -> None:
    """Write x, the array `name` in `order` padded with the pad value.

    `pad` is called with an array, its order and a number, all as text, and returns the text of the
    framework's call.  With a number for each channel the channels are padded one by one: `apart`
    has an expression for them, and the function that stacks them again.
    """
    builder.note("padded by hand")
    if not isinstance(spec.pad_value, tuple):
        builder.add(f"x = {pad(name, order, repr(spec.pad_value))}")
        return
    channels, stack = apart
    builder.add(f"values = {list(spec.pad_value)!r}  # one per input channel")
    rows = [f"{pad('c', order.replace('C', ''), 'v')}", f"for c, v in zip({channels}, values)"]
    at = order.index("C")
    line = f"x = {stack}([{' '.join(rows)}], {at})"
    if len(line) > LINE_WIDTH:
        line = "\n".join([f"x = {stack}([", *(f"    {row}" for row in rows), f"], {at})"])
    builder.add(line)


def _numpy_type(spec: ConvSpec) -> str:
    return f"np.{'float32' if spec.dtype == 'bfloat16' else spec.dtype}"


def _pad_by_index(
    spec: ConvSpec,
    builder: ScriptBuilder,
    name: str,
    axis_and_mode: tuple[str, str],
    n: int,
    pair: Pair,
) -> None:
    """Pad one axis of size `n` by an index that goes through the input's pattern repeatedly."""
    (axis, mode), (lo, hi) = axis_and_mode, pair
    positions = f"np.arange({-lo}, {n + hi})"
    if mode == "wrap":
        index = index_text(spec.input_layout, {axis: f"{positions} % {n}"})
        builder.add(f"x = {name}{index}  # wider than the input")
        return
    last = 2 * n - 1 if mode == "symmetric" else 2 * n - 2
    period = 2 * n if mode == "symmetric" else last
    builder.add(f"i = {positions} % {period}  # wider than the input")
    index = index_text(spec.input_layout, {axis: f"np.minimum(i, {last} - i)"})
    builder.add(f"x = {name}{index}")


def _repeats_pattern(mode: str, size: int, width: int) -> bool:
    """Whether padding of this width repeats the pattern that the mode makes of the input."""
    return size > 1 and width > {"wrap": size, "symmetric": size, "reflect": size - 1}.get(
        mode, width
    )
