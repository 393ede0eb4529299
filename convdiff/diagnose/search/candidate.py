"""A complete explanation to be proved: one form for each stage, and the edits of all of them."""

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
from convdiff.diagnose.search.batches import Batch, FormGroup
from convdiff.records import Edit
from convdiff.spec.layout import Array

# The cheapest candidates of a level that are kept: on arrays that distinguish next to nothing, such
# as constants, thousands agree.
MAX_CANDIDATES_PER_LEVEL = 64


@dataclass(frozen=True)
class Candidate:
    """A set of edits that, applied to the asked convolution, may give the obtained output.

    `cost` is the sum of the costs of the forms and the precision model: the lower, the simpler.
    """

    input: InputForm
    kernel: KernelForm
    geometry: GeometryForm
    output: OutputForm
    precision: PrecisionModel
    cost: float

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All edits, in the order of the stages.

        That is: operation, input, kernel, geometry, output, precision.
        """
        return (
            self.operation.edits
            + self.input.edits
            + self.kernel.own_edits
            + self.geometry.edits
            + self.output.edits
            + self.precision.edits
        )

    @property
    def operation(self) -> OperationForm:
        """The operation that the kernel belongs to."""
        return self.kernel.operation

    def first_item(self) -> Candidate:
        """The same explanation for the first batch item alone."""
        return replace(
            self,
            input=replace(self.input, array=self.input.array.select(0, slice(1))),
            output=replace(self.output, array=self.output.array.select(0, slice(1))),
        )


def cheapest_candidates(
    batch: Batch, y: FormGroup[OutputForm], precision: PrecisionModel, flat: Array, outputs: Array
) -> Iterator[Candidate]:
    """Candidates from combinations that passed the filter, the cheapest of each block first.

    `flat` (n,) are numbers of combinations in the batch, `outputs` (n,) numbers of the output forms
    in `y` that they agree with.
    """
    for block, indices, chosen in batch.split(flat):
        costs = block.costs(chosen) + y.costs[outputs[indices]]
        for i in np.argsort(costs, kind="stable")[:MAX_CANDIDATES_PER_LEVEL].tolist():
            yield Candidate(
                block.inputs.forms[chosen.input[i]],
                block.kernels.forms[chosen.kernel[i]],
                block.geometry.form(int(chosen.geometry[i])),
                y.forms[outputs[indices[i]]],
                precision,
                float(costs[i]) + precision.cost,
            )
