"""Transposed convolutions from a framework's full one: what to fill, what to cut; and what counts
as same.
"""

from __future__ import annotations

from typing import NamedTuple

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair, kernel_span


class Full(NamedTuple):
    """The full transposed output's spatial size, the zeros to add to it per axis, then the slices
    to take, by axis.
    """

    size: tuple[int, ...]
    extension: tuple[Pair, ...]
    crops: dict[str, str]

    @property
    def extended(self) -> bool:
        """Whether zeros are to be added."""
        return any(map(any, self.extension))


def full_output(spec: ConvSpec, made: tuple[int, ...] | None = None) -> Full:
    """How the asked output is taken from the full one, (n - 1) stride + the kernel's reach per
    axis.

    Where a framework ends its own with further zeros, `made` is its size.
    """
    sizes, extension, crops = [], [], {}
    made = made or tuple(
        (n - 1) * s + kernel_span(k, d)
        for n, k, s, d in zip(
            spec.input_size, spec.kernel_size, spec.stride, spec.dilation, strict=True
        )
    )
    for axis, whole, (lo, _), out in zip(
        spec.axes, made, spec.padding, spec.output_size, strict=True
    ):
        before, after, first = max(-lo, 0), max(lo + out - whole, 0), max(lo, 0)
        sizes.append(whole)
        extension.append((before, after))
        if out < before + whole + after:
            crops[axis] = (
                f"{first or ''}:{first + out if first + out < before + whole + after else ''}"
            )
    return Full(tuple(sizes), tuple(extension), crops)


def same_like(spec: ConvSpec) -> bool:
    """Whether the output has the size that the word same gives: input / stride rounded up;
    transposed: input x stride.
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
