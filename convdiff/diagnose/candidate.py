"""One complete explanation to test: a form for every stage, and the edits that they sum to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convdiff.case import Edit
from convdiff.diagnose.forms import GeometryForm, InputForm, KernelForm, OperationForm, OutputForm


@dataclass(frozen=True)
class Candidate:
    """Applied to the asked convolution, its edits are believed to give the obtained output."""

    operation: OperationForm
    input: InputForm
    kernel: KernelForm
    geometry: GeometryForm
    output: OutputForm

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All edits, in the order in which a convolution goes wrong: operation, input, kernel, geometry, output."""
        return self.operation.edits + self.input.edits + self.kernel.edits + self.geometry.edits + self.output.edits

    def first_item(self) -> Candidate:
        """The same for the first batch item alone."""
        return replace(
            self, input=replace(self.input, array=self.input.array[:1]), output=replace(self.output, array=self.output.array[:1])
        )

    @property
    def cost(self) -> float:
        """The sum of the forms' costs: the lower, the simpler."""
        return self.operation.cost + self.input.cost + self.kernel.cost + self.geometry.cost + self.output.cost
