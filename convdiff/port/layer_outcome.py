"""The outcome of each judged layer, and the first layer that diverges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convdiff.port.input_faults import InputFault, find_input_fault
from convdiff.port.layer_plan import LayerPlan
from convdiff.suite_result import CaseResult, InputAgreement


@dataclass(frozen=True)
class LayerOutcome:
    """One judged layer: its plan, whether it is correct by itself, and its result in the suite.

    The result of a correct layer fails all the same if it is the first whose input differs.
    """

    plan: LayerPlan
    correct: bool
    agreement: InputAgreement
    result: CaseResult


@dataclass(frozen=True)
class Divergence:
    """The first layer that fails, the `number`th of `total` (from 1).

    `fault` is what explains its input, if that differs and a known fault does.  `after` is the name
    of the layer before it, None for the first layer.
    """

    outcome: LayerOutcome
    number: int
    total: int
    fault: InputFault | None
    after: str | None


def first_divergence(outcomes: Sequence[LayerOutcome], total: int) -> Divergence | None:
    """The first layer that fails; None where none does.

    `outcomes` are those of the layers from the first on, of `total`.
    """
    for at, outcome in enumerate(outcomes):
        if outcome.result.exit_code:
            agreement = outcome.agreement
            fault = (
                None if agreement.same else find_input_fault(outcome.plan.inputs, agreement.limit)
            )
            after = outcomes[at - 1].result.name if at else None
            return Divergence(outcome, at + 1, total, fault, after)
    return None
