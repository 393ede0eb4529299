"""What convdiff needs to know of im2col: how its users write a convolution, and where the adapter
is.

This module runs in convdiff's own process.  It imports nothing of im2col.
"""

from __future__ import annotations

from pathlib import Path

from convdiff.dialects import Dialect, Script, Unsupported
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
from convdiff.plugins import Plugin
from convdiff.spec.conv_spec import ConvSpec


def write(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """The code for `spec`, in the arrays' own layouts: move axes, pad, flip, call, move back."""
    refuse(spec)
    n = "NCHW"
    lines = [
        *path.setup,
        f"x = input.transpose{moves(spec.input_layout, n)}.astype(np.{spec.dtype})",
    ]
    if any(map(any, spec.padding)):
        lines.append(f"x = np.pad(x, {((0, 0), (0, 0), *spec.padding)!r})")
    flip = "[:, :, ::-1, ::-1]" if spec.flip else ""
    lines.append(
        f"w = kernel.transpose{moves(spec.kernel_layout, 'OIHW')}{flip}.astype(np.{spec.dtype})"
    )
    stride = f", stride={spec.stride[0]}" if spec.stride[0] > 1 else ""
    lines.append(f"y = im2col.conv2d(x, w{stride})")
    if spec.bias:
        lines.append(f"y = y + bias.astype(np.{spec.dtype})[:, None, None]")
    lines.append(f"output = y.transpose{moves(n, spec.output_layout)}")
    return Script(
        "import numpy as np\nimport im2col\n\n" + "\n".join(lines) + "\n",
        ("kernel flipped",) if spec.flip else (),
    )


def default(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """What somebody writes who does not look twice: the call on the arrays as they lie."""
    refuse(spec)
    lines = [*path.setup, "output = im2col.conv2d(input, kernel)"]
    return Script("import im2col\n\n" + "\n".join(lines) + "\n", ())


def refuse(spec: ConvSpec) -> None:
    """Say of everything that im2col cannot do that it cannot; convdiff shows the reason."""
    lacks = {
        "1-D and 3-D convolutions": spec.rank != 2,
        "groups": spec.groups > 1,
        "dilation": max(spec.dilation + spec.input_dilation) > 1,
        "transposed convolutions": spec.transposed,
        "unequal strides": len(set(spec.stride)) > 1,
        spec.dtype: "16" in spec.dtype,
        "padding but zeros": spec.pad_mode != "constant"
        or any(side < 0 for pair in spec.padding for side in pair),
        "arrays without all four axes": {
            len(layout) for layout in (spec.input_layout, spec.kernel_layout, spec.output_layout)
        }
        != {4},
    }
    for what, asked in lacks.items():
        if asked:
            raise Unsupported(f"im2col knows no {what}")


def moves(layout: str, order: str) -> tuple[int, ...]:
    """The argument of transpose that brings an array in `layout` to `order`."""
    return tuple(layout.index(letter) for letter in order)


PLUGIN = Plugin(
    module="im2col",
    adapter=Path(__file__).with_name("adapter.py"),
    dialect=Dialect(write, default),
    paths=(
        ExecutionPath(
            "im2col",
            "channels last",
            "columns in the other order",
            setup=('im2col.ORDER = "channels last"',),
        ),
    ),
)
