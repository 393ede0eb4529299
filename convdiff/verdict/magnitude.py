"""Magnitudes of several sums, sqrt(gx^2 + gy^2), as of the two outputs of a gradient filter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from convdiff.numerics.arithmetic import Arithmetic
from convdiff.numerics.reference import Reference, compute_reference
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# The most output channels that one magnitude is taken of, and the most saved outputs that are
# tried in pairs.
MAX_CHANNELS, MAX_SAVED = 4, 6
# An output of so few elements shows nothing.
MIN_ELEMENTS = 16


def magnitude_edit(
    spec: ConvSpec,
    obtained: Array,
    reference: Reference,
    arithmetic: Arithmetic,
    saved: Sequence[Array],
) -> Edit | None:
    """The edit of an output that is the magnitude of several sums; None if it is none.

    Of the output channels; of the sums of the kernel and of the kernel with H and W exchanged; or
    of two of the other `saved` outputs.
    """
    if obtained.size < MIN_ELEMENTS or not np.isfinite(obtained).all() or obtained.min() < 0:
        return None
    for of, sums in _operands(spec, obtained, reference, arithmetic, saved):
        magnitude = np.sqrt(np.square(sums.output).sum(axis=1, keepdims=True))
        scale = np.sqrt(np.square(sums.scale).sum(axis=1, keepdims=True))
        if sums.output.shape[:1] + sums.output.shape[2:] != (
            obtained.shape[:1] + obtained.shape[2:]
        ):
            continue
        # The squares, their sum and the root are rounded too.
        if arithmetic.rounding.explains_all(obtained, magnitude, 2 * scale):
            return {"code": "activation-applied", "obtained": "magnitude", "of": of}
    return None


def _operands(
    spec: ConvSpec,
    obtained: Array,
    reference: Reference,
    arithmetic: Arithmetic,
    saved: Sequence[Array],
) -> Iterator[tuple[str, Reference]]:
    """What the magnitude may be of, and the sums with their scales, stacked along axis 1."""
    if obtained.shape[1] != 1:
        return
    if 1 < spec.out_channels <= MAX_CHANNELS:
        yield "channels", reference
    if spec.out_channels != 1:
        return
    exchanged = _with_exchanged_axes(spec, reference, arithmetic)
    if exchanged is not None:
        yield "exchanged axes", _stacked(reference, exchanged)
    # Their own errors, of unknown scale, are taken for as large as those of the asked sums.
    outputs = [
        Reference(output.astype(np.float64), np.maximum(reference.scale, np.abs(output)))
        for output in saved[:MAX_SAVED]
        if output.shape == obtained.shape
    ]
    for sums, others in itertools.combinations(outputs, 2):
        yield "outputs", _stacked(sums, others)


def _stacked(first: Reference, second: Reference) -> Reference:
    pairs = zip(first, second, strict=True)
    return Reference(*(np.concatenate(pair, axis=1) for pair in pairs))


def _with_exchanged_axes(
    spec: ConvSpec, reference: Reference, arithmetic: Arithmetic
) -> Reference | None:
    """The reference for the kernel with H and W exchanged, as Sobel's two kernels are."""
    layout, operands = spec.kernel_layout, arithmetic.operands
    if spec.rank != 2 or spec.kernel_size[0] != spec.kernel_size[1] or spec.bias:
        return None
    kernel = np.swapaxes(operands.kernel, layout.index(spec.axes[0]), layout.index(spec.axes[1]))
    return compute_reference(spec, operands.input, np.ascontiguousarray(kernel), operands.bias)
