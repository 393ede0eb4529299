"""Outputs that are the input itself, or the right output rolled along its axes.

Neither is a form that the search could combine: one needs no convolution, and of the other there
are as many as the output has positions, of which a Fourier transform finds the one that fits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from convdiff.diagnose.core.problem import Problem, in_narrower_type
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.kernel import KernelFlipped, KernelNotFlipped
from convdiff.diagnose.hypotheses.output_part import OutputIsInput, OutputRolled
from convdiff.numerics.reference import Reference, compute_reference
from convdiff.records import Edit
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# The fewest elements that must be the input's.
MIN_COPIED = 2
# How much sums of a channel, and sums of its squares, may differ between an output and the same
# output rolled, which rounding changes a little: shares of the sums of magnitudes and squares.
SUM_TOLERANCE, SQUARES_TOLERANCE = 1e-3, 1e-2
# Bits that the obtained values must hold for one of many shifts to be evidence.
MIN_ROLLED_BITS = 20
# What rounding may amount to, as a share of the spread of the output, for agreement to be evidence.
MAX_ROUNDING_SHARE = 0.15


def input_copy(problem: Problem) -> Edit | None:
    """The edit that the output is the input: all of it, or where the windows lie."""
    obtained = problem.obtained
    if obtained.size < MIN_COPIED:
        return None
    edit: Edit = {"code": OutputIsInput.code}
    if _equal(obtained, problem.input):
        return edit
    spec = problem.spec
    if obtained.ndim != len(spec.output_layout):
        return None
    y, x = normal_output(spec, obtained), problem.x
    if y.shape[:2] != x.shape[:2]:
        return None
    crops = [x] if spec.transposed else [x, *_at_windows(x, spec, y.shape[2:])]
    return edit if any(_equal(y, crop) for crop in crops) else None


def _at_windows(x: Array, spec: ConvSpec, size: tuple[int, ...]) -> Iterator[Array]:
    """The input's elements under the middle, the first and the last tap of every asked window."""
    for tap in (0.5, 0.0, 1.0):
        cropped = x
        for axis, length in enumerate(size):
            span = (spec.kernel_size[axis] - 1) * spec.dilation[axis]
            positions = np.arange(length) * spec.stride[axis]
            positions = positions - spec.padding[axis][0] + int(tap * span)
            if positions[0] < 0 or positions[-1] >= x.shape[axis + 2]:
                break
            cropped = np.take(cropped, positions, axis + 2)
        else:
            yield cropped


def _equal(obtained: Array, source: Array) -> bool:
    """Whether two arrays are the same numbers, as far as the narrower of their types holds them."""
    if obtained.shape != source.shape:
        return False
    return bool(np.array_equal(*in_narrower_type(obtained, source), equal_nan=True))


def rolled_outputs(problem: Problem, edits: int) -> Iterator[Edits]:
    """Explanations with so many edits by which the output is rolled along its axes.

    Beside the roll the kernel may be flipped and the padding may wrap around, as where the Fourier
    transforms of input and kernel are multiplied.
    """
    spec = problem.spec
    if problem.obtained.shape != spec.shape("output") or problem.evidence_bits < MIN_ROLLED_BITS:
        return
    y = normal_output(spec, problem.obtained).astype(np.float64)
    for beside in itertools.combinations(_edits_of_a_transform(spec), edits - 1):
        other = spec
        for _, changed in beside:
            other = changed(other)
        reference = compute_reference(other, problem.input, problem.kernel, problem.bias)
        shift = _shift(problem, y, reference)
        if shift is not None:
            roll: Edit = {"code": OutputRolled.code, "shift": shift}
            yield (*(edit for edit, _ in beside), roll)


def _edits_of_a_transform(spec: ConvSpec) -> Iterator[tuple[Edit, Callable[[ConvSpec], ConvSpec]]]:
    """What a product of Fourier transforms does otherwise: edits, and what they change."""
    long_axes = [axis for axis, size in zip(spec.axes, spec.kernel_size, strict=True) if size > 1]
    if long_axes:
        code = KernelNotFlipped.code if spec.flip else KernelFlipped.code
        yield {"code": code, "axes": long_axes}, lambda asked: replace(asked, flip=not asked.flip)
    padded = any(lo > 0 or hi > 0 for lo, hi in spec.padding)
    if padded and spec.pad_mode != "wrap" and not spec.transposed:
        edit: Edit = {"code": "wrong-pad-mode", "asked": spec.pad_mode, "obtained": "wrap"}
        yield edit, lambda asked: replace(asked, pad_mode="wrap")


def _shift(problem: Problem, y: Array, reference: Reference) -> list[int] | None:
    """By how many positions the reference is rolled along each axis; None if it is not."""
    space = tuple(range(2, y.ndim))
    expected = reference.output
    # A roll keeps the sums of a channel, which dismisses almost every other output.
    for power, tolerance in ((1, SUM_TOLERANCE), (2, SQUARES_TOLERANCE)):
        sums, right = ((values**power).sum(axis=space) for values in (y, expected))
        size = (np.abs(expected) ** power).sum(axis=space)
        if not (np.abs(sums - right) <= tolerance * size).all():
            return None
    # The cross-correlation of the channel that varies most peaks at the shift.
    spread = np.std(expected, axis=space)
    most = np.unravel_index(int(spread.argmax()), spread.shape)
    spectrum = np.fft.rfftn(y[most]) * np.conj(np.fft.rfftn(expected[most]))
    size = y.shape[2:]
    peak = np.unravel_index(
        int(np.fft.irfftn(spectrum, size, axes=range(len(size))).argmax()), size
    )
    shift = [int(at) - n if 2 * int(at) > n else int(at) for at, n in zip(peak, size, strict=True)]
    if not any(shift):
        return None
    unrolled = np.roll(y, [-by for by in shift], space)
    rounding = problem.rounding
    slack = float(np.median(rounding.allowed_error(expected, reference.scale)))
    if slack > MAX_ROUNDING_SHARE * float(np.std(expected)):
        return None
    return shift if rounding.explains_all(unrolled, expected, reference.scale) else None
