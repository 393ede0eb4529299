"""The forms of every stage of one problem, made when they are first asked for.

A form of stage s with n edits is a form with n - 1 edits and one more, by a hypothesis of that
stage.  Operations that run on the same channels take the same inputs and outputs and differ in
their kernels alone: they are one *operation group*, and are numbered, group 0 being what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeVar

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.forms import InputForm, KernelForm, OperationForm, OutputForm
from convdiff.diagnose.core.layouts import to_layout
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.kernel import kernel_read_as
from convdiff.diagnose.hypotheses.operation import kernel_regrouping
from convdiff.diagnose.hypotheses.registry import FAMILIES
from convdiff.diagnose.search.batches import FormGroup
from convdiff.diagnose.search.edit_shares import canonical_extensions
from convdiff.spec.conv_spec import ConvSpec

# Edits of the kernel at most, beside those of its operation; and beside other groups.
MAX_KERNEL_EDITS, MAX_REGROUPED_KERNEL_EDITS = 2, 1

F = TypeVar("F", InputForm, KernelForm, OutputForm)
T = TypeVar("T")


class FormTable:
    """The forms of one problem, and those of one shape together.

    Each is made once: kernels for an operation group, inputs for a number of input channels,
    outputs for all.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._made: dict[tuple[object, ...], object] = {}

    @cached_property
    def operations(self) -> list[list[OperationForm]]:
        """The operation groups: what was asked, with all that runs on its channels, first."""
        problem = self.problem
        raw = problem.kernel_view
        kernel = kernel_read_as(problem.spec, raw, problem.spec.kernel_layout)
        asked = OperationForm(
            spec=problem.spec, kernel=kernel or ArrayView.of(problem.w), raw_kernel=raw
        )
        others = [form for each in FAMILIES.operation for form in each.forms(problem, asked)]
        groups: dict[object, list[OperationForm]] = {}
        for form in (asked, *others):
            spec = form.spec
            channels = spec.transposed, spec.groups, spec.in_channels, spec.out_channels
            groups.setdefault(channels, []).append(form)
        return list(groups.values())

    def spec(self, op: int) -> ConvSpec:
        """The numbers of an operation group; its operations differ in their kernel's layout."""
        return self.operations[op][0].spec

    def operation_edits(self, op: int) -> int:
        """The fewest edits that lead to an operation of the group."""
        return min(len(operation.edits) for operation in self.operations[op])

    def inputs(self, op: int, edits: int) -> list[InputForm]:
        """Inputs with so many edits for an operation group; none if their channels do not fit."""
        channels = self.spec(op).in_channels
        return self._once(("inputs", channels, edits), lambda: self._inputs(op, edits))

    def kernels(self, op: int, edits: int) -> list[KernelForm]:
        """Kernels with so many edits, their operation's included, for an operation group."""
        return self._once(("kernels", op, edits), lambda: self._kernels(op, edits))

    def outputs(self, edits: int) -> list[OutputForm]:
        """Outputs with so many edits."""
        return self._once(("outputs", edits), lambda: self._outputs(edits))

    def input_groups(self, op: int, edits: int) -> list[FormGroup[InputForm]]:
        """`inputs`, those of one shape together."""
        channels = self.spec(op).in_channels
        return self._once(
            ("input groups", channels, edits), lambda: _by_shape(self.inputs(op, edits))
        )

    def kernel_groups(self, op: int, edits: int) -> list[FormGroup[KernelForm]]:
        """`kernels`, those of one shape together."""
        return self._once(("kernel groups", op, edits), lambda: _by_shape(self.kernels(op, edits)))

    def value_pair_groups(self, op: int) -> list[FormGroup[OutputForm]]:
        """The groups of outputs with two edits that change values one by one."""
        singly = {each.code for each in FAMILIES.output if each.changes_single_values}

        def groups() -> list[FormGroup[OutputForm]]:
            forms = [
                form
                for group in self.output_groups(op, 2)
                for form in group.forms
                if {edit["code"] for edit in form.edits} <= singly
            ]
            return _by_shape(forms)

        return self._once(("value pairs", op), groups)

    def output_groups(self, op: int, edits: int) -> list[FormGroup[OutputForm]]:
        """`outputs` that the operation group can make, those of one shape together.

        They have its rank and output channels, and a batch of 1 or of the length of an input axis.
        """
        spec, sizes = self.spec(op), {1, *self.problem.input.shape}
        every = self._once(("output groups", edits), lambda: _by_shape(self.outputs(edits)))
        return self._once(
            ("output groups", op, edits),
            lambda: [
                group
                for group in every
                if len(group.shape) == spec.rank + 2
                and min(group.shape) > 0
                and group.shape[1] == spec.out_channels
                and group.shape[0] in sizes
            ],
        )

    def _inputs(self, op: int, edits: int) -> list[InputForm]:
        problem = self.problem
        if edits == 0:
            fits = problem.x.shape[1] == self.spec(op).in_channels
            return [InputForm(array=problem.x_view)] if fits else []
        bases = self.inputs(op, edits - 1)
        return [
            form
            for hypothesis, base in canonical_extensions(FAMILIES.input, bases)
            for form in hypothesis.forms(problem, base)
        ]

    def _kernels(self, op: int, edits: int) -> list[KernelForm]:
        return [
            form
            for operation in self.operations[op]
            for form in self._kernels_of(op, operation, edits)
        ]

    def _kernels_of(self, op: int, operation: OperationForm, edits: int) -> list[KernelForm]:
        """Kernels of one operation with so many edits, its own included."""
        problem, regrouped = self.problem, operation.regrouping is not None
        kernel_edits = edits - len(operation.edits)
        most = MAX_REGROUPED_KERNEL_EDITS if regrouped else MAX_KERNEL_EDITS
        if not 0 <= kernel_edits <= most:
            return []
        if regrouped:
            # Edits of the kernel are made to the one for the asked groups, which is then regrouped.
            regroup = kernel_regrouping(operation, problem.spec.groups)
            return [
                KernelForm(
                    operation.edits + form.edits,
                    operation.cost + form.cost,
                    regroup(form.array),
                    operation,
                )
                for form in self.kernels(0, kernel_edits)
            ]
        if kernel_edits == 0:
            return [KernelForm(operation.edits, operation.cost, operation.kernel, operation)]
        bases = [form for form in self.kernels(op, edits - 1) if form.operation is operation]
        return [
            form
            for hypothesis, base in canonical_extensions(FAMILIES.kernel, bases)
            for form in hypothesis.forms(problem, operation, base)
        ]

    def _outputs(self, edits: int) -> list[OutputForm]:
        problem = self.problem
        if edits == 0:
            layout, axes = problem.spec.output_layout, problem.spec.axes
            if problem.obtained.ndim != len(layout):
                return []
            return [OutputForm(array=to_layout(problem.obtained_view, layout, "NC" + axes))]
        return [
            form
            for hypothesis, base in canonical_extensions(FAMILIES.output, self.outputs(edits - 1))
            for form in hypothesis.forms(problem, base)
        ]

    def _once(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]  # type: ignore[assignment]
        return made


def _by_shape(forms: Sequence[F]) -> list[FormGroup[F]]:
    groups: dict[tuple[int, ...], list[F]] = {}
    for form in forms:
        groups.setdefault(form.array.shape, []).append(form)
    return [FormGroup(alike) for alike in groups.values()]
