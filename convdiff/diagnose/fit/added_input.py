"""Outputs to which the input was added, or from which it was subtracted.

With the input's axes and sizes, that is a convolution whose kernel has another weight where the
window's middle is: the kernel of the asked convolution plus an identity.  The search then runs on
the problem with that kernel, whose error bound holds for both terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.fit.restored_output import Restored
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.geometry import WrongPadMode, WrongPadValue
from convdiff.diagnose.hypotheses.kernel import KernelFlipped, KernelNotFlipped
from convdiff.diagnose.hypotheses.output_part import InputAdded
from convdiff.diagnose.hypotheses.output_scale import Scaled
from convdiff.diagnose.hypotheses.registry import changes_single_values
from convdiff.numerics.reference import compute_reference
from convdiff.records import Edit
from convdiff.spec.canonical import normal_output
from convdiff.spec.layout import Array

# Multiplications of the reference, at most.
MAX_PRODUCTS = 1 << 28
# How often the input must be in the output, by least squares: a ReLU keeps about half of it.
MIN_FACTOR, MAX_FACTOR = 0.3, 2.0
FLIPS = (KernelFlipped.code, KernelNotFlipped.code)
# Edits that leave the identity where it is, beside those that change single values.
LEAVE_THE_IDENTITY = (*FLIPS, WrongPadMode.code, WrongPadValue.code)


class WithInput(Restored):
    """A problem whose kernel has the identity in it."""

    def full_edits(self, edits: Edits) -> Edits | None:
        """The edits, the input's first; None where one would move the identity too."""
        if not all(
            changes_single_values(edit) or edit["code"] in LEAVE_THE_IDENTITY for edit in edits
        ):
            return None
        spec = self.problem.spec
        spans = zip(spec.kernel_size, spec.dilation, spec.padding, strict=True)
        in_the_middle = all((k - 1) * d == 2 * lo for k, d, (lo, _) in spans)
        if not in_the_middle and any(edit["code"] in FLIPS for edit in edits):
            return None
        return (*self.edits, *edits)


def with_added_input(problem: Problem) -> Iterator[Restored]:
    """The problems in which the kernel adds the input; none where the output has little of it."""
    identity = _identity(problem)
    if identity is None:
        return
    factors = _factors(problem)
    if factors is None:
        return
    of_sums, of_input = factors
    if not MIN_FACTOR <= abs(of_input) <= MAX_FACTOR:
        return
    sign = 1 if of_input > 0 else -1
    kernel = problem.kernel.astype(np.result_type(problem.kernel, np.float32))
    edit: Edit = {"code": InputAdded.code, "factor": sign}
    yield WithInput(replace(problem, kernel=kernel + sign * identity), (edit,))
    if sign > 0 > of_sums:
        # The sums were subtracted from the input, as in image - blurred.
        bias = None if problem.bias is None else -problem.bias
        edits = ({"code": Scaled.code, "factor": -1.0}, edit)
        yield WithInput(replace(problem, kernel=identity - kernel, bias=bias), edits)


def _identity(problem: Problem) -> Array | None:
    """A kernel, as the user's, whose output is the input; None where there is none."""
    spec = problem.spec
    y = problem.obtained
    if (
        spec.transposed
        or spec.in_channels != spec.out_channels
        or spec.output_size != spec.input_size
        or max(spec.stride) > 1
        or max(spec.input_dilation) > 1
        or "M" in spec.kernel_layout
        or y.shape != spec.shape("output")
        or y.size * spec.terms > MAX_PRODUCTS
    ):
        return None
    taps: dict[str, int] = {}
    for axis, size, (lo, _), dilation in zip(
        spec.axes, spec.kernel_size, spec.padding, spec.dilation, strict=True
    ):
        tap, rest = divmod(lo, dilation)
        if rest or not 0 <= tap < size:
            return None
        taps[axis] = size - 1 - tap if spec.flip else tap
    kernel = np.zeros(problem.kernel.shape, np.float32)
    inner = spec.in_channels // spec.groups
    for channel in range(spec.out_channels):
        index = {**taps, "O": channel, "I": channel % inner}
        kernel[tuple(index[letter] for letter in spec.kernel_layout)] = 1
    return kernel


def _factors(problem: Problem) -> tuple[float, float] | None:
    """How often the asked sums and the input are in the output, by least squares.

    None where that is not finite.
    """
    spec = problem.spec
    obtained = normal_output(spec, problem.obtained).astype(np.float64)
    sums = compute_reference(spec, problem.input, problem.kernel, problem.bias).output
    columns = [
        each.astype(np.float64).ravel() - float(each.mean()) for each in (sums, problem.x, obtained)
    ]
    if not all(np.isfinite(column).all() for column in columns):
        return None
    rows = np.stack(columns[:2], axis=1)
    factors, _, rank, _ = np.linalg.lstsq(rows, columns[2], rcond=None)
    return (float(factors[0]), float(factors[1])) if rank == 2 else None
