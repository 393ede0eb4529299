"""What convdiff needs to know about im2col: how its users write a convolution, and its adapter.

This module is imported into convdiff's own process.  It imports nothing of im2col.
"""

from __future__ import annotations

from pathlib import Path

from convdiff.dialects import ConvSpec, Dialect, Script, Unsupported
from convdiff.plugins import DEFAULT_PATH, ExecutionPath, Plugin


def write(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """The code for `spec`: transpose the arrays, pad, flip, call, and transpose back."""
    require_supported(spec)
    order = "NCHW"
    lines = [
        *path.setup,
        f"x = input.transpose{axes(spec.input_layout, order)}.astype(np.{spec.dtype})",
    ]
    if any(map(any, spec.padding)):
        lines.append(f"x = np.pad(x, {((0, 0), (0, 0), *spec.padding)!r})")
    flip = "[:, :, ::-1, ::-1]" if spec.flip else ""
    lines.append(
        f"w = kernel.transpose{axes(spec.kernel_layout, 'OIHW')}{flip}.astype(np.{spec.dtype})"
    )
    stride = f", stride={spec.stride[0]}" if spec.stride[0] > 1 else ""
    lines.append(f"y = im2col.conv2d(x, w{stride})")
    if spec.bias:
        lines.append(f"y = y + bias.astype(np.{spec.dtype})[:, None, None]")
    lines.append(f"output = y.transpose{axes(order, spec.output_layout)}")
    return Script(
        "import numpy as np\nimport im2col\n\n" + "\n".join(lines) + "\n",
        ("kernel flipped",) if spec.flip else (),
    )


def default(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """The library's default call, on the arrays as they are."""
    require_supported(spec)
    lines = [*path.setup, "output = im2col.conv2d(input, kernel)"]
    return Script("import im2col\n\n" + "\n".join(lines) + "\n", ())


def require_supported(spec: ConvSpec) -> None:
    """Raise Unsupported for everything that im2col cannot compute; convdiff shows the reason."""
    missing = {
        "1-D and 3-D convolutions": spec.rank != 2,
        "groups": spec.groups > 1,
        "dilation": max(spec.dilation + spec.input_dilation) > 1,
        "transposed convolutions": spec.transposed,
        "unequal strides": len(set(spec.stride)) > 1,
        spec.dtype: "16" in spec.dtype,
        "padding other than zeros": not spec.pads_with_zeros
        or any(side < 0 for pair in spec.padding for side in pair),
        "arrays without all four axes": {
            len(layout) for layout in (spec.input_layout, spec.kernel_layout, spec.output_layout)
        }
        != {4},
    }
    for feature, asked in missing.items():
        if asked:
            raise Unsupported(f"im2col does not support {feature}")


def axes(layout: str, order: str) -> tuple[int, ...]:
    """The argument of transpose that brings an array in `layout` to `order`."""
    return tuple(layout.index(letter) for letter in order)


PLUGIN = Plugin(
    module="im2col",
    adapter=Path(__file__).with_name("adapter.py"),
    interface=1,
    dialect=Dialect(write, default),
    paths=(
        ExecutionPath(
            "im2col",
            "channels last",
            "columns in channels-last order",
            setup=('im2col.ORDER = "channels last"',),
        ),
    ),
)
