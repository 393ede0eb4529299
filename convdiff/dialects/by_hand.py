"""What a framework's call lacks, done with numpy on the arrays as the user has them, in their own
layouts.

Padding wider than the input repeats the pattern.  numpy.pad does that too, but old versions get it
wrong, so an index is written out there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from convdiff.dialects.script import Body
from convdiff.dialects.text import index, numbers
from convdiff.execution_paths import ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair, kernel_span

NO_PADDING = (0, 0)


def widened(
    spec: ConvSpec, imports: Mapping[str, str], path: ExecutionPath, dtype: str
) -> tuple[Body, ConvSpec]:
    """A script to write the convolution in `dtype` where the framework cannot in its own, and what
    to write; `narrowed` ends it.

    The operands are rounded to the asked type first: they may be wider.
    """
    if dtype == spec.dtype:
        return Body(imports, path), spec
    names = ["input", "kernel", *(["bias"] if spec.bias else [])]
    rounded = ", ".join(f'{name}.astype("{spec.dtype}")' for name in names)
    return Body(imports, path, [f"{', '.join(names)} = {rounded}"]), replace(spec, dtype=dtype)


def narrowed(body: Body, dtype: str, wide: ConvSpec) -> Body:
    """With the output in the asked type."""
    if dtype != wide.dtype:
        body.add(f'output = output.astype("{dtype}")')
        body.note(f"computed in {wide.dtype}")
    return body


def dilated_input(spec: ConvSpec, body: Body, kind: str = "input.dtype") -> str:
    """Writes the input with zeros between its elements, of dtype `kind`; returns the name to go on
    with.

    In a transposed convolution its stride is what dilates the input.
    """
    dilation = spec.correlation().input_dilation
    if max(dilation) == 1:
        return "input"
    layout = spec.input_layout
    size = {
        a: (n - 1) * r + 1 for a, n, r in zip(spec.axes, spec.input_size, dilation, strict=True)
    }
    shape = tuple(
        size.get(letter, n) for letter, n in zip(layout, spec.shape("input"), strict=True)
    )
    steps = {a: f"::{r}" for a, r in zip(spec.axes, dilation, strict=True) if r > 1}
    body.add(f"x = np.zeros({numbers(shape)}, {kind})")
    body.add(f"x{index(layout, steps)} = input")
    body.note("input dilated by hand")
    return "x"


def dilated_size(spec: ConvSpec) -> tuple[int, ...]:
    """The input's spatial size once its elements stand `input_dilation` apart."""
    return tuple((n - 1) * r + 1 for n, r in zip(spec.input_size, spec.input_dilation, strict=True))


def dilated_kernel(spec: ConvSpec, body: Body) -> str:
    """Writes the kernel with zeros between its elements; returns the name to go on with."""
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
    body.add(f"w = np.zeros({numbers(shape)}, kernel.dtype)")
    body.add(f"w{index(spec.kernel_layout, steps)} = kernel")
    body.note("kernel dilated by hand")
    return "w"


def padded_input(spec: ConvSpec, body: Body, name: str) -> str:
    """Writes `name` (any expression), the input in its own layout, cropped and padded as the spec
    asks; returns the name to go on with.
    """
    sizes = dict(zip(spec.axes, dilated_size(spec), strict=True))
    pairs = dict(zip(spec.axes, spec.padding, strict=True))
    if crop_first(spec):
        name = _cropped(spec, body, name, pairs)
        sizes = {
            axis: n + min(pairs[axis][0], 0) + min(pairs[axis][1], 0) for axis, n in sizes.items()
        }
        return _padded(spec, body, name, pairs, sizes)
    return _cropped(spec, body, _padded(spec, body, name, pairs, sizes), pairs)


def crop_first(spec: ConvSpec) -> bool:
    """Whether negative padding leaves something of the input; if not, what is cropped must be
    padded before.
    """
    return all(
        n + min(lo, 0) + min(hi, 0) > 0
        for n, (lo, hi) in zip(dilated_size(spec), spec.padding, strict=True)
    )


def crops(pairs: dict[str, Pair]) -> dict[str, str]:
    """Negative padding as slices, by axis."""
    found = {a: f"{-lo if lo < 0 else ''}:{hi if hi < 0 else ''}" for a, (lo, hi) in pairs.items()}
    return {axis: text for axis, text in found.items() if text != ":"}


def _cropped(spec: ConvSpec, body: Body, name: str, pairs: dict[str, Pair]) -> str:
    picks = crops(pairs)
    if not picks:
        return name
    body.add(f"x = {name}{index(spec.input_layout, picks)}")
    body.note("input cropped")
    return "x"


def _padded(
    spec: ConvSpec, body: Body, name: str, pairs: dict[str, Pair], sizes: dict[str, int]
) -> str:
    widths = {axis: (max(lo, 0), max(hi, 0)) for axis, (lo, hi) in pairs.items()}
    if not any(map(any, widths.values())):
        return name
    body.note("padded by hand")
    wide = [axis for axis, pair in widths.items() if _beyond(spec.pad_mode, sizes[axis], max(pair))]
    for axis in wide:
        lo, hi = widths.pop(axis)
        n = sizes[axis]
        if spec.pad_mode == "wrap":
            body.add(
                "x = "
                f"{name}{index(spec.input_layout, {axis: f'np.arange({-lo}, {n + hi}) % {n}'})} "
                ""
                ""
                " # wider than the input"
            )
        else:
            last = 2 * n - 1 if spec.pad_mode == "symmetric" else 2 * n - 2
            body.add(
                f"i = np.arange({-lo}, {n + hi}) % "
                f"{2 * n if spec.pad_mode == 'symmetric' else last}  # wider than "
                "the input"
            )
            body.add(f"x = {name}{index(spec.input_layout, {axis: f'np.minimum(i, {last} - i)'})}")
        name = "x"
    if any(map(any, widths.values())):
        mode = "" if spec.pad_mode == "constant" else f', mode="{spec.pad_mode}"'
        pairs_text = numbers([widths.get(letter, NO_PADDING) for letter in spec.input_layout])
        body.call(
            "x",
            "np.pad",
            name,
            (pairs_text if len(spec.input_layout) > 1 else pairs_text[1:-2]) + mode,
        )
        name = "x"
    return name


def _beyond(mode: str, size: int, width: int) -> bool:
    """Whether this padding goes through the input's pattern more than once."""
    return size > 1 and width > {"wrap": size, "symmetric": size, "reflect": size - 1}.get(
        mode, width
    )
