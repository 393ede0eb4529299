"""jax: conv_general_dilated takes the user's own layouts, both dilations and any padding, so little
is left to do.

Transposed convolution is written as what it is there: the correlation of the dilated input with the
flipped kernel.

XLA on the CPU (jaxlib 0.10) aborts the process where it swaps input and kernel, since along one
axis the kernel is the longer one, while along another, without padding and stride, the input
dilation is the kernel's size.  There numpy dilates.
"""

from __future__ import annotations

from convdiff.dialects.by_hand import crop_first, dilated_input, padded_input
from convdiff.dialects.script import Body, Dialect, Script, Unsupported, same_call
from convdiff.dialects.text import (
    along_channels,
    arranged,
    as_is,
    axes_to_flip,
    misread,
    numbers,
    option,
    restored,
    reversed_axes,
)
from convdiff.dialects.transposed import same_like
from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec, Correlation
from convdiff.spec.layout import spatial_axes

_IMPORTS = {
    "jax": "import jax",
    "jnp": "import jax.numpy as jnp",
    "np": "import numpy as np",
    "lax": "from jax import lax",
}
_X64 = 'jax.config.update("jax_enable_x64", True)'


def write(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """jax code for `spec`; nothing is unsupported."""
    body = _body(spec, path)
    geometry = spec.correlation()
    padding, name, dilation = geometry.padding, "input", geometry.input_dilation
    if (geometry.pad_mode != "constant" and any(map(any, padding))) or not (
        spec.transposed or crop_first(spec)
    ):
        name = padded_input(spec, body, dilated_input(spec, body))
        padding, dilation = ((0, 0),) * spec.rank, (1,) * spec.rank
    elif _aborts(spec, geometry):
        name, dilation = dilated_input(spec, body), (1,) * spec.rank
    source, added = _with_all(spec.input_layout, "NC")
    body.add(f"x = jnp.asarray({name}{added}, jnp.{spec.dtype})")
    kernel_layout = _kernel(spec, body)
    target, _ = _with_all(spec.output_layout, "NC")
    # The per-axis numbers follow the kernel's order of the spatial axes.
    at = [spec.axes.index(axis) for axis in spatial_axes(kernel_layout)]
    body.call(
        "y",
        "lax.conv_general_dilated",
        "x",
        "w",
        f"window_strides={numbers([geometry.stride[i] for i in at])}",
        # Words are refused beside lhs_dilation.
        f"padding={[padding[i] for i in at]!r}"
        if any(map(any, padding)) or max(dilation) > 1
        else 'padding="VALID"',
        option("lhs_dilation", [dilation[i] for i in at], 1, whole=True),
        option("rhs_dilation", [geometry.dilation[i] for i in at], 1, whole=True),
        f'dimension_numbers=("{source}", "{kernel_layout}", "{target}")',
        f"feature_group_count={spec.groups}" if spec.groups > 1 else None,
        _sums(path),
    )
    _finish(spec, body, restored("y", target, spec.output_layout), spec.output_layout)
    return body.script()


def default(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """conv_general_dilated and conv_transpose with the dimension numbers that each has by default."""
    same_call(path, "float32 sums")
    body = _body(spec, path)
    order, kernel_order = (
        (f"N{spec.axes}C", f"{spec.axes}IO")
        if spec.transposed
        else (f"NC{spec.axes}", f"OI{spec.axes}")
    )
    body.note(*misread(spec, order, kernel_order))
    if spec.transposed and spec.groups > 1:
        raise Unsupported("lax.conv_transpose takes no groups")
    layouts = [as_is(layout, order) for layout in (spec.input_layout, spec.output_layout)]
    body.add(f"x = jnp.asarray({arranged('input', layouts[0], order)}, jnp.{spec.dtype})")
    body.add(
        "w = "
        f"jnp.asarray({arranged('kernel', as_is(spec.kernel_layout, kernel_order), kernel_order)}, "
        ""
        ""
        f"jnp.{spec.dtype})"
    )
    padding = repr(list(spec.padding))
    # Words are refused beside lhs_dilation.
    if same_like(spec) and max(spec.input_dilation) == 1:
        padding = '"SAME"' if any(map(any, spec.padding)) or spec.transposed else '"VALID"'
    elif not any(map(any, spec.padding)) and max(spec.input_dilation) == 1:
        padding = '"VALID"'
    rhs = option("rhs_dilation", spec.dilation, 1, whole=True)
    if spec.transposed:
        body.call(
            "y", "lax.conv_transpose", "x", "w", numbers(spec.stride), padding, rhs, _sums(path)
        )
    else:
        body.call(
            "y",
            "lax.conv_general_dilated",
            "x",
            "w",
            numbers(spec.stride),
            padding,
            option("lhs_dilation", spec.input_dilation, 1, whole=True),
            rhs,
            f"feature_group_count={spec.groups}" if spec.groups > 1 else None,
            _sums(path),
        )
    _finish(spec, body, restored("y", order, layouts[1]), layouts[1])
    return body.script()


def _body(spec: ConvSpec, path: ExecutionPath) -> Body:
    if path.style == "float32 sums" and spec.dtype not in ("float16", "bfloat16"):
        raise Unsupported(
            f"preferred_element_type=float32 is for float16 and bfloat16, not {spec.dtype}"
        )
    return Body(_IMPORTS, path, [_X64] if spec.dtype == "float64" else [])


def _sums(path: ExecutionPath) -> str | None:
    return "preferred_element_type=jnp.float32" if path.style == "float32 sums" else None


def _aborts(spec: ConvSpec, geometry: Correlation) -> bool:
    axes = list(
        zip(spec.input_size, spec.kernel_size, *geometry[:2], geometry.input_dilation, strict=True)
    )
    alike = any(r == k > 1 and s == 1 and pair == (0, 0) for _, k, s, pair, r in axes)
    return alike and any(k > n for n, k, *_ in axes)


def _with_all(layout: str, needed: str) -> tuple[str, str]:
    """The layout with the letters it lacks, and the index that adds them: a lone channel axis last,
    others first.
    """
    missing = "".join(letter for letter in needed if letter not in layout)
    if not missing:
        return layout, ""
    if len(missing) == 1 and missing != "N":
        return layout + missing, "[..., None]"
    return missing + layout, f"[{', '.join(['None'] * len(missing))}]"


def _finish(spec: ConvSpec, body: Body, text: str, layout: str) -> None:
    if spec.bias:
        text += f" + {along_channels(f'jnp.asarray(bias, jnp.{spec.dtype})', layout)}"
    wide = ", np.float32" if spec.dtype == "bfloat16" else ""
    body.add(f"output = np.asarray({text}{wide})")


def _kernel(spec: ConvSpec, body: Body) -> str:
    """Writes the kernel as jax takes it; returns its layout."""
    flip = axes_to_flip(spec) if spec.flip != spec.transposed else ""
    layout = spec.kernel_layout
    if flip:
        body.note("kernel flipped")
    if "M" in layout and not spec.transposed:
        body.note(f"kernel reshaped to {spec.axes}IO")
        order = spec.axes + "IM"
        flipped = reversed_axes(order, flip)
        shape = numbers((*spec.kernel_size, 1, spec.out_channels))
        body.add(
            f"w = jnp.asarray({arranged('kernel', layout, order)}{flipped}.reshape{shape}, "
            f"jnp.{spec.dtype})"
        )
        return spec.axes + "IO"
    layout = layout.replace("M", "O")
    if spec.transposed and spec.groups > 1:
        body.note("in and out channels swapped in each group")
        inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
        order = "IO" + spec.axes
        flipped = reversed_axes(order, flip)
        text = arranged("kernel", layout, order) + flipped
        if inner > 1 and outer > 1:
            text += (
                f".reshape{numbers((spec.groups, inner, outer, *spec.kernel_size))}.swapaxes(1, 2)"
            )
        if inner > 1 or outer > 1:
            text += f".reshape{numbers((spec.out_channels, inner, *spec.kernel_size))}"
        body.call("w", "jnp.asarray", text, f"jnp.{spec.dtype}")
        return "OI" + spec.axes
    flipped = reversed_axes(layout, flip)
    layout, added = _with_all(layout, "OI")
    body.add(f"w = jnp.asarray(kernel{flipped}{added}, jnp.{spec.dtype})")
    return layout


DIALECT = Dialect(write, default)
