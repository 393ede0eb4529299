"""Solved weights that are simply related to the given ones: rounded, cut, partly zero, constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.fit.linear_system import ungrouped_kernel
from convdiff.numerics.reference import compute_reference
from convdiff.spec.canonical import normal_kernel, normal_output
from convdiff.spec.layout import Array

# Decimals to which weights may have been rounded.
MAX_DECIMALS = 5
# Bits after the point to which weights may have been rounded, as in fixed point arithmetic.
FRACTION_BITS = range(2, 16)
# The most positions of one axis that are tried for zeros.
MAX_ZERO_POSITIONS = 32


@dataclass(frozen=True)
class TidyKernel:
    """How a kernel follows from the given one.

    "decimals": rounded to `number` of them; "bits": to multiples of 1 / 2^`number`; "toward-zero"
    and "down": cut to whole numbers; "zero": zero at index `number` of `axis`; "constant": `number`
    everywhere; "limited": to `limits`; "magnitudes": without signs; "identity": a 1 in the middle.
    """

    kind: str
    number: float = 0
    axis: str = ""
    limits: tuple[float, float] = (0, 0)


def tidy_kernel(problem: Problem, solved: Array, tolerance: Array) -> TidyKernel | None:
    """The first tidy kernel that is the solved one (O, C, *space) and gives every element.

    `tolerance`, of the same shape, is how far each solved weight may be off.
    """
    spec = problem.spec
    for tidy, kernel in _candidates(problem, solved):
        normal = ungrouped_kernel(
            normal_kernel(spec, kernel).astype(np.float64), spec.groups, spec.in_channels
        )
        if (np.abs(normal - solved) <= tolerance).all() and _explains(problem, kernel):
            return tidy
    return None


def _candidates(problem: Problem, solved: Array) -> Iterator[tuple[TidyKernel, Array]]:
    """Kernels in the user's layout, in float64."""
    given, layout = problem.kernel.astype(np.float64), problem.spec.kernel_layout
    yield TidyKernel("constant", float(np.median(solved))), np.full_like(given, np.median(solved))
    identity = _identity(problem)
    if identity is not None:
        yield TidyKernel("identity"), identity
    for axis, letter in enumerate(layout):
        for index in range(min(given.shape[axis], MAX_ZERO_POSITIONS)):
            kernel = given.copy()
            kernel[(slice(None),) * axis + (index,)] = 0
            yield TidyKernel("zero", index, letter), kernel
    for decimals in range(MAX_DECIMALS + 1):
        yield TidyKernel("decimals", decimals), np.round(given, decimals)
    for bits in FRACTION_BITS:
        yield TidyKernel("bits", bits), np.rint(given * 2.0**bits) / 2.0**bits
    yield TidyKernel("toward-zero"), np.trunc(given)
    yield TidyKernel("down"), np.floor(given)
    yield TidyKernel("magnitudes"), np.abs(given)
    limits = float(solved.min()), float(solved.max())
    yield TidyKernel("limited", limits=limits), np.clip(given, *limits)


def _identity(problem: Problem) -> Array | None:
    """A kernel whose output is its input; None where there is none."""
    spec = problem.spec
    layout, channels = spec.kernel_layout, spec.in_channels
    if spec.transposed or spec.groups > 1 or channels != spec.out_channels:
        return None
    if any(size % 2 == 0 for size in spec.kernel_size):
        return None
    middle = {axis: size // 2 for axis, size in zip(spec.axes, spec.kernel_size, strict=True)}
    kernel = np.zeros(problem.kernel.shape)
    for channel in range(channels):
        kernel[tuple(middle.get(letter, channel) for letter in layout)] = 1
    return kernel


def _explains(problem: Problem, kernel: Array) -> bool:
    """Whether the convolution with this kernel reproduces every element within rounding."""
    spec = problem.spec
    reference = compute_reference(
        spec, problem.input, kernel.astype(problem.kernel.dtype), problem.bias
    )
    obtained = normal_output(spec, problem.obtained).astype(np.float64)
    return problem.rounding.explains_all(obtained, reference.output, reference.scale)
