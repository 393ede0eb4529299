"""The check case of one layer.

It compares the source's convolution on the port's input with the port's output.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convdiff.check.cases import CheckCase, case_settings
from convdiff.check.request import CheckRequest
from convdiff.errors import ConvdiffError
from convdiff.pipeline.request import Request
from convdiff.pipeline.select_backends import NONE, select_backends
from convdiff.port.external_cropping import ExternalCropping, external_cropping
from convdiff.port.external_padding import combined_padding
from convdiff.port.layer_plan import LayerPlan, PortPlan
from convdiff.port.own_weights import OwnWeights

if TYPE_CHECKING:
    from convdiff.records import Case
    from convdiff.verdict.judge import Judge


@dataclass(frozen=True)
class PortLayerJudgeFactory:
    """Makes the judge of a layer whose port has weights of its own; a JudgeFactory of the check."""

    weights: OwnWeights

    def judge(self, case: Case) -> Judge:
        """A PortLayerJudge of `case`."""
        # Imported here for start-up time: the host builds the factory and does not judge.
        from convdiff.port.judge import PortLayerJudge

        return PortLayerJudge(case, self.weights)


def layer_case(plan: PortPlan, at: int, request: CheckRequest) -> CheckCase:
    """The case of layer `at`, or its trouble where the captures do not make one."""
    layer = plan.layers[at]
    entry = layer.pair.source.entry
    try:
        paddings = layer.inputs.paddings
        name, file = layer.pair.port.output
        if not file:
            raise ConvdiffError(
                "saved: found none in the port, expected a folder that convdiff capture wrote"
            )
        cropping = external_cropping(plan.inputs, at, plan.states({}), plan.outputs)
        keys = entry.keys
        layer_request = Request(
            input=layer.pair.port.entry.keys["input"],
            kernel=keys["kernel"],
            bias=keys.get("bias"),
            settings=case_settings(keys, **_changed_settings(layer, cropping)),
            saved=(f"{name}={file}",),
            backends=(NONE,),
            fail_on=request.fail_on or "different",
            pictures=request.pictures,
        )
        return CheckCase(
            # `allow` in the source's manifest concerns the source, not the port.
            replace(entry, keys={key: value for key, value in keys.items() if key != "allow"}),
            layer_request,
            select_backends(layer_request),
            judge=PortLayerJudgeFactory(layer.own_weights) if layer.own_weights else None,
            input_crop=paddings.port.pairs if paddings and paddings.port.exists else (),
            output_crop=cropping.output_crop if cropping else (),
        )
    except ConvdiffError as error:
        return CheckCase(entry, trouble=entry.located(str(error)))


def _changed_settings(layer: LayerPlan, cropping: ExternalCropping | None) -> dict[str, Any]:
    """The settings that replace the source's own.

    The port's layouts, and the padding in numbers where part of it is done in a separate layer.
    """
    port_keys = layer.pair.port.entry.keys
    changes: dict[str, Any] = {
        "input_layout": port_keys["input_layout"],
        "output_layout": port_keys.get("output_layout"),
    }
    paddings = layer.inputs.paddings
    # Elsewhere the source's setting stays: a word such as "same" holds for the port's sizes too.
    if paddings is not None and paddings.source.exists:
        combined = combined_padding(layer.pair.specs[0], paddings.source)
        if combined is not None:
            changes["padding"], changes["pad_mode"] = combined
    if cropping is not None:
        changes |= {
            "padding": cropping.padding,
            "output_padding": cropping.output_padding,
            "output_size": None,
        }
    return changes
