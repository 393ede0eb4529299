"""One complete explanation to test: a form for every stage, and the edits that they sum to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from convdiff.diagnose.core.forms import (
    GeometryForm,
    InputForm,
    KernelForm,
    OperationForm,
    OutputForm,
)
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.search.batches import Batch, Group
from convdiff.records import Edit
from convdiff.spec.layout import Array

# Candidates of one level at most, the cheapest; of arrays that show next to nothing, thousands
# agree.
MOST_CANDIDATES = 64


@dataclass(frozen=True)
class Candidate:
    """Applied to the asked convolution, its edits are believed to give the obtained output.

    `cost` is the sum of the forms' costs: the lower, the simpler.
    """

    input: InputForm
    kernel: KernelForm
    geometry: GeometryForm
    output: OutputForm
    precision: PrecisionModel
    cost: float

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All edits, in the order in which a convolution goes wrong: operation, input, kernel,
        geometry, output, precision.
        """
        own = self.kernel.own_edits
        stages = (self.operation, self.input, self.geometry, self.output, self.precision)
        operation, inputs, geometry, output, precision = (stage.edits for stage in stages)
        return operation + inputs + own + geometry + output + precision

    @property
    def operation(self) -> OperationForm:
        """The operation that the kernel is for."""
        return self.kernel.operation

    def first_item(self) -> Candidate:
        """The same for the first batch item alone."""
        return replace(
            self,
            input=replace(self.input, array=self.input.array.along(0, slice(1))),
            output=replace(self.output, array=self.output.array.along(0, slice(1))),
        )


def candidates(
    batch: Batch, y: Group[OutputForm], precision: PrecisionModel, flat: Array, outputs: Array
) -> Iterator[Candidate]:
    """The cheapest of the survivors, complete."""
    for block, of, chosen in batch.split(flat):
        costs = block.costs(chosen) + y.costs[outputs[of]]
        for i in np.argsort(costs, kind="stable")[:MOST_CANDIDATES].tolist():
            yield Candidate(
                block.inputs.forms[chosen.input[i]],
                block.kernels.forms[chosen.kernel[i]],
                block.geometry.form(int(chosen.geometry[i])),
                y.forms[outputs[of[i]]],
                precision,
                float(costs[i]) + precision.cost,
            )
