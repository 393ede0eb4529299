"""How each layer of the port is to be judged, decided before any layer is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from convdiff.port.captured_layer import CapturedLayer
from convdiff.port.folded_norm import (
    OneFoldOfSeveralSuspected,
    OwnFoldSuspected,
    SuspectedFold,
    SuspectFolds,
    suspect_folds,
)
from convdiff.port.input_distance import LayerInputs, OutputState, layer_inputs
from convdiff.port.layer_pair import LayerPair
from convdiff.port.model_outputs import ModelOutputs
from convdiff.port.own_weights import OwnWeights, own_weights


@dataclass(frozen=True)
class LayerPlan:
    """How one layer of the port is judged.

    `own_weights` is None where the layer is judged by the source's weights alone.  `doubt` says
    which folded normalization may explain a difference here.
    """

    inputs: LayerInputs
    own_weights: OwnWeights | None = None
    doubt: SuspectedFold | None = None

    @property
    def pair(self) -> LayerPair:
        """The layer pair."""
        return self.inputs.pair

    @property
    def folded(self) -> bool:
        """Whether the layer is judged as one with a normalization folded in correctly."""
        return self.own_weights is not None and self.own_weights.relation.folded


@dataclass(frozen=True)
class PortPlan:
    """How the whole port is judged: its layers in the source's order, and the models' outputs."""

    layers: tuple[LayerPlan, ...]
    outputs: ModelOutputs
    outputs_doubt: SuspectedFold | None = None

    @property
    def inputs(self) -> tuple[LayerInputs, ...]:
        """The inputs of all layers."""
        return tuple(layer.inputs for layer in self.layers)

    def states(self, correct: Mapping[int, bool]) -> tuple[OutputState, ...]:
        """What is known of each layer's outputs.

        `correct` says of the layers that were judged whether they are right, by position.
        """
        return tuple(_state(layer.folded, correct.get(at)) for at, layer in enumerate(self.layers))


def plan_port(
    pairs: Sequence[LayerPair],
    source_layers: Sequence[CapturedLayer],
    source_outputs: tuple[str, ...],
    port_outputs: tuple[str, ...],
) -> PortPlan:
    """The plan for these layer pairs; the outputs are the files of the models' recorded ones."""
    weights = [own_weights(pair, source_layers) for pair in pairs]
    states = [_state(own is not None and own.relation.folded, None) for own in weights]
    inputs = layer_inputs(pairs, states)
    outputs = ModelOutputs(source_outputs, port_outputs, inputs)
    suspicion = suspect_folds(inputs, states, outputs)
    plan = PortPlan(tuple(map(LayerPlan, inputs, weights)), outputs)
    return plan if suspicion is None else _with_doubt(plan, suspicion)


def _state(folded: bool, correct: bool | None) -> OutputState:
    if correct is False:
        return "wrong"
    if folded:
        return "folded"
    return "unknown" if correct is None else "right"


def _with_doubt(plan: PortPlan, suspicion: SuspectFolds) -> PortPlan:
    """The plan with the doubt on the layer, or on the models' outputs, that will report it.

    A single suspect is judged by the source's weights, as if nothing were folded in, and so fails
    and reports the doubt itself.  Of several suspects none can be called wrong: the layer whose
    input differs because of them names them all.
    """
    if len(suspicion.suspects) > 1:
        names = tuple(plan.layers[at].pair.source.name for at in suspicion.suspects)
        return _with_doubt_at(plan, suspicion.shown_at, OneFoldOfSeveralSuspected(names))
    (suspect,) = suspicion.suspects
    unfolded = _with_layer(plan, suspect, replace(plan.layers[suspect], own_weights=None))
    doubt = _fold_doubt(unfolded, suspicion.shown_at)
    return _with_layer(plan, suspect, replace(unfolded.layers[suspect], doubt=doubt))


def _fold_doubt(plan: PortPlan, shown_at: int) -> OwnFoldSuspected:
    states = plan.states({})
    if shown_at < len(plan.layers):
        shown_by = plan.layers[shown_at]
        return OwnFoldSuspected(shown_by.pair.source.name, shown_by.inputs.agreement(states))
    agreement = plan.outputs.agreement(states)
    assert agreement is not None
    return OwnFoldSuspected(None, agreement)


def _with_doubt_at(plan: PortPlan, at: int, doubt: SuspectedFold) -> PortPlan:
    if at == len(plan.layers):
        return replace(plan, outputs_doubt=doubt)
    return _with_layer(plan, at, replace(plan.layers[at], doubt=doubt))


def _with_layer(plan: PortPlan, at: int, layer: LayerPlan) -> PortPlan:
    return replace(plan, layers=(*plan.layers[:at], layer, *plan.layers[at + 1 :]))
