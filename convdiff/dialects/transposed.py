"""How the output of a transposed convolution is taken from a framework's full output.

The full output has (n - 1) stride + the kernel's reach elements per axis.
"""

from __future__ import annotations

from typing import NamedTuple

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair, kernel_span


class FullOutput(NamedTuple):
    """The full output's spatial size, the zeros to add to it per axis, then the slices to take.

    `extension` has a (lo, hi) pair per axis; `crops` has slices by axis, where any are needed.
    """

    size: tuple[int, ...]
    extension: tuple[Pair, ...]
    crops: dict[str, str]

    @property
    def extended(self) -> bool:
        """Whether zeros are to be added."""
        return any(map(any, self.extension))


def full_output(spec: ConvSpec, size: tuple[int, ...] | None = None) -> FullOutput:
    """How the spec's output is taken from the full output.

    `size` is the spatial size of a framework's full output, where it ends in further zeros.
    """
    sizes, extension, crops = [], [], {}
    size = size or tuple(
        (n - 1) * s + kernel_span(k, d)
        for n, k, s, d in zip(
            spec.input_size, spec.kernel_size, spec.stride, spec.dilation, strict=True
        )
    )
    for axis, whole, (lo, _), out in zip(
        spec.axes, size, spec.padding, spec.output_size, strict=True
    ):
        before, after, first = max(-lo, 0), max(lo + out - whole, 0), max(lo, 0)
        sizes.append(whole)
        extension.append((before, after))
        if out < before + whole + after:
            crops[axis] = (
                f"{first or ''}:{first + out if first + out < before + whole + after else ''}"
            )
    return FullOutput(tuple(sizes), tuple(extension), crops)


def has_same_size(spec: ConvSpec) -> bool:
    """Whether the output has the size that "same" padding gives.

    That is the input's size / stride, rounded up; transposed, the input's size x stride.
    """
    if spec.transposed:
        return all(
            out == n * s
            for out, n, s in zip(spec.output_size, spec.input_size, spec.stride, strict=True)
        )
    sizes = [(n - 1) * r + 1 for n, r in zip(spec.input_size, spec.input_dilation, strict=True)]
    return all(
        out == -(-n // s) for out, n, s in zip(spec.output_size, sizes, spec.stride, strict=True)
    )
