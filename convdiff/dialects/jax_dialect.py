"""JAX: conv_general_dilated takes any layouts, both dilations and any padding.

A transposed convolution is written as the correlation of the dilated input with the flipped kernel.

XLA on the CPU (jaxlib 0.10) aborts the process for some combinations of sizes.  It swaps input and
kernel where the kernel is longer than the input along one axis, and fails if along another axis,
without padding and stride, the input dilation equals the kernel's size.  Numpy dilates the input in
these cases.
"""

from __future__ import annotations

from convdiff.dialects.expressions import (
    assumed_layout,
    axes_to_flip,
    broadcast_channels,
    keyword,
    misread_notes,
    reversal_index,
    to_layout,
    to_order,
    to_order_unpermuted,
    tuple_text,
)
from convdiff.dialects.numpy_steps import can_crop_first, dilate_input, pad_input, pad_like_numpy
from convdiff.dialects.script import (
    Dialect,
    Script,
    ScriptBuilder,
    Unsupported,
    require_default_call,
)
from convdiff.dialects.transposed import has_same_size
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec, Correlation
from convdiff.spec.layout import spatial_axes

_IMPORTS = {
    "jax": "import jax",
    "jnp": "import jax.numpy as jnp",
    "np": "import numpy as np",
    "lax": "from jax import lax",
}
_X64 = 'jax.config.update("jax_enable_x64", True)'


def write(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """JAX code for `spec`; nothing is unsupported."""
    builder = _start(spec, path)
    geometry = spec.correlation()
    padding, name, dilation = geometry.padding, "input", geometry.input_dilation
    by_jnp = (
        spec.pad_value != 0
        and spec.pad_mode == "constant"
        and any(map(any, padding))
        and min(map(min, padding)) >= 0
    )
    if by_jnp:
        builder.add(f"x = jnp.asarray({dilate_input(spec, builder)}, jnp.{spec.dtype})")
        pad_like_numpy(spec, builder, "jnp", "x", dict(zip(spec.axes, padding, strict=True)))
        padding, dilation = ((0, 0),) * spec.rank, (1,) * spec.rank
    elif (not spec.pads_with_zeros and any(map(any, padding))) or not (
        spec.transposed or can_crop_first(spec)
    ):
        name = pad_input(spec, builder, dilate_input(spec, builder))
        padding, dilation = ((0, 0),) * spec.rank, (1,) * spec.rank
    elif _aborts(spec, geometry):
        name, dilation = dilate_input(spec, builder), (1,) * spec.rank
    source, new_axes = _complete_layout(spec.input_layout, "NC")
    if not by_jnp:
        builder.add(f"x = jnp.asarray({name}{new_axes}, jnp.{spec.dtype})")
    elif new_axes:
        builder.add(f"x = x{new_axes}")
    kernel_layout = _kernel(spec, builder)
    target, _ = _complete_layout(spec.output_layout, "NC")
    # Numbers per axis are in the kernel's order of the spatial axes.
    at = [spec.axes.index(axis) for axis in spatial_axes(kernel_layout)]
    builder.call(
        "y",
        "lax.conv_general_dilated",
        "x",
        "w",
        f"window_strides={tuple_text([geometry.stride[i] for i in at])}",
        # A word is not accepted together with lhs_dilation.
        f"padding={[padding[i] for i in at]!r}"
        if any(map(any, padding)) or max(dilation) > 1
        else 'padding="VALID"',
        keyword("lhs_dilation", [dilation[i] for i in at], 1, whole=True),
        keyword("rhs_dilation", [geometry.dilation[i] for i in at], 1, whole=True),
        f'dimension_numbers=("{source}", "{kernel_layout}", "{target}")',
        f"feature_group_count={spec.groups}" if spec.groups > 1 else None,
        _preferred_type(path),
    )
    _finish(spec, builder, to_layout("y", target, spec.output_layout), spec.output_layout)
    return builder.script()


def default(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """conv_general_dilated or conv_transpose with their default dimension numbers."""
    require_default_call(path, "float32 sums")
    builder = _start(spec, path)
    order, kernel_order = (
        (f"N{spec.axes}C", f"{spec.axes}IO")
        if spec.transposed
        else (f"NC{spec.axes}", f"OI{spec.axes}")
    )
    builder.note(*misread_notes(spec, order, kernel_order))
    if spec.transposed and spec.groups > 1:
        raise Unsupported("lax.conv_transpose takes no groups")
    layouts = [assumed_layout(layout, order) for layout in (spec.input_layout, spec.output_layout)]
    builder.add(f"x = jnp.asarray({to_order('input', layouts[0], order)}, jnp.{spec.dtype})")
    kernel = to_order_unpermuted("kernel", spec.kernel_layout, kernel_order)
    builder.add(f"w = jnp.asarray({kernel}, jnp.{spec.dtype})")
    padding = repr(list(spec.padding))
    # A word is not accepted together with lhs_dilation.
    if has_same_size(spec) and max(spec.input_dilation) == 1:
        padding = '"SAME"' if any(map(any, spec.padding)) or spec.transposed else '"VALID"'
    elif not any(map(any, spec.padding)) and max(spec.input_dilation) == 1:
        padding = '"VALID"'
    rhs = keyword("rhs_dilation", spec.dilation, 1, whole=True)
    if spec.transposed:
        builder.call(
            "y",
            "lax.conv_transpose",
            "x",
            "w",
            tuple_text(spec.stride),
            padding,
            rhs,
            _preferred_type(path),
        )
    else:
        builder.call(
            "y",
            "lax.conv_general_dilated",
            "x",
            "w",
            tuple_text(spec.stride),
            padding,
            keyword("lhs_dilation", spec.input_dilation, 1, whole=True),
            rhs,
            f"feature_group_count={spec.groups}" if spec.groups > 1 else None,
            _preferred_type(path),
        )
    _finish(spec, builder, to_layout("y", order, layouts[1]), layouts[1])
    return builder.script()


def _start(spec: ConvSpec, path: ExecutionPath) -> ScriptBuilder:
    if path.style == "float32 sums" and spec.dtype not in ("float16", "bfloat16"):
        raise Unsupported(
            f"preferred_element_type=float32 is for float16 and bfloat16, not {spec.dtype}"
        )
    return ScriptBuilder(_IMPORTS, path, [_X64] if spec.dtype in ("float64", "complex128") else [])


def _preferred_type(path: ExecutionPath) -> str | None:
    return "preferred_element_type=jnp.float32" if path.style == "float32 sums" else None


def _aborts(spec: ConvSpec, geometry: Correlation) -> bool:
    """Whether XLA on the CPU would abort; the module's docstring has the conditions."""
    axes = list(
        zip(spec.input_size, spec.kernel_size, *geometry[:2], geometry.input_dilation, strict=True)
    )
    dilated_by_size = any(r == k > 1 and s == 1 and pair == (0, 0) for _, k, s, pair, r in axes)
    return dilated_by_size and any(k > n for n, k, *_ in axes)


def _complete_layout(layout: str, required: str) -> tuple[str, str]:
    """The layout with all `required` axes, and the index that adds those it lacks.

    A single channel axis is added at the end, others at the beginning.
    """
    missing = "".join(letter for letter in required if letter not in layout)
    if not missing:
        return layout, ""
    if len(missing) == 1 and missing != "N":
        return layout + missing, "[..., None]"
    return missing + layout, f"[{', '.join(['None'] * len(missing))}]"


def _finish(spec: ConvSpec, builder: ScriptBuilder, text: str, layout: str) -> None:
    if spec.bias:
        text += f" + {broadcast_channels(f'jnp.asarray(bias, jnp.{spec.dtype})', layout)}"
    wide = ", np.float32" if spec.dtype == "bfloat16" else ""
    builder.add(f"output = np.asarray({text}{wide})")


def _kernel(spec: ConvSpec, builder: ScriptBuilder) -> str:
    """Write the kernel as JAX takes it; returns its layout."""
    flip = axes_to_flip(spec) if spec.flip != spec.transposed else ""
    layout = spec.kernel_layout
    if flip:
        builder.note("kernel flipped")
    if "M" in layout and not spec.transposed:
        builder.note(f"kernel reshaped to {spec.axes}IO")
        order = spec.axes + "IM"
        flipped = reversal_index(order, flip)
        shape = tuple_text((*spec.kernel_size, 1, spec.out_channels))
        builder.add(
            f"w = jnp.asarray({to_order('kernel', layout, order)}{flipped}.reshape{shape}, "
            f"jnp.{spec.dtype})"
        )
        return spec.axes + "IO"
    layout = layout.replace("M", "O")
    if spec.transposed and spec.groups > 1:
        builder.note("in and out channels swapped in each group")
        inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
        order = "IO" + spec.axes
        flipped = reversal_index(order, flip)
        text = to_order("kernel", layout, order) + flipped
        if inner > 1 and outer > 1:
            split = tuple_text((spec.groups, inner, outer, *spec.kernel_size))
            text += f".reshape{split}.swapaxes(1, 2)"
        if inner > 1 or outer > 1:
            text += f".reshape{tuple_text((spec.out_channels, inner, *spec.kernel_size))}"
        builder.call("w", "jnp.asarray", text, f"jnp.{spec.dtype}")
        return "OI" + spec.axes
    flipped = reversal_index(layout, flip)
    layout, new_axes = _complete_layout(layout, "OI")
    builder.add(f"w = jnp.asarray(kernel{flipped}{new_axes}, jnp.{spec.dtype})")
    return layout


DIALECT = Dialect(write, default)
