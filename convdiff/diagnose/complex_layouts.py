"""Complex arrays in other orders: which element each place takes, by the hypotheses of real arrays.

Hypotheses about layouts move elements and never look at them, so they run on arrays that hold the
numbers of their own elements; what they give says which element of a complex array goes where.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.forms import InputForm, KernelForm, OperationForm, OutputForm
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.input import InputAxesPermuted, InputReshaped
from convdiff.diagnose.hypotheses.kernel import (
    KernelAxesPermuted,
    KernelChannelsReversed,
    KernelReshaped,
)
from convdiff.diagnose.hypotheses.output_order import OutputAxesPermuted, OutputReshaped
from convdiff.numerics.error_bound import Rounding
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array


class Reordering(NamedTuple):
    """One array in another order: its edit, and the number of the element in each place.

    `elements` is in the normal form, and numbers the elements of the array in the user's layout.
    """

    role: Literal["input", "kernel", "output"]
    edit: Edit
    elements: Array


def reorderings(
    spec: ConvSpec, output_shape: tuple[int, ...], rounding: Rounding
) -> Iterator[Reordering]:
    """The orders in which the arrays of `spec` may have been read, which keep the asked shapes.

    `output_shape` is that of the obtained output, in the asked layout.  A kernel whose layout says
    more than an order (transposed, depthwise with M) is left alone.
    """
    real = replace(spec, dtype="float64")
    problem = Problem(
        real,
        _numbered(spec.shape("input")),
        _numbered(spec.shape("kernel")),
        None,
        _numbered(output_shape),
        rounding,
    )
    if not spec.transposed and "M" not in spec.kernel_layout:
        operation = OperationForm(
            spec=real, kernel=ArrayView.of(problem.w), raw_kernel=problem.kernel_view
        )
        kernel = KernelForm(array=operation.kernel, operation=operation)
        for by_kernel in (KernelAxesPermuted(), KernelReshaped(), KernelChannelsReversed()):
            for form in by_kernel.forms(problem, operation, kernel):
                if form.array.shape == kernel.array.shape:
                    yield Reordering("kernel", form.edits[-1], _elements(form.array))
    output = OutputForm(array=ArrayView.of(np.empty((1,) * (2 + spec.rank))))
    for by_output in (OutputAxesPermuted(), OutputReshaped()):
        for written in by_output.forms(problem, output):
            yield Reordering("output", written.edits[-1], _elements(written.array))
    read = InputForm(array=problem.x_view)
    for by_input in (InputAxesPermuted(), InputReshaped()):
        for other in by_input.forms(problem, read):
            if other.array.shape == read.array.shape:
                yield Reordering("input", other.edits[-1], _elements(other.array))


def _numbered(shape: tuple[int, ...]) -> Array:
    return np.arange(np.prod(shape), dtype=np.float64).reshape(shape)


def _elements(view: ArrayView) -> Array:
    return view.to_array().astype(np.intp)
