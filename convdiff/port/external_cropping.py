"""Transposed convolutions whose output one side crops in a separate layer.

The models are the same, but the outputs of the convolution have other sizes.

PyTorch's padding crops within the layer; in Keras a Cropping layer removes what "valid" leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convdiff.port.external_padding import Pairs
from convdiff.port.input_distance import LayerInputs, OutputState
from convdiff.port.model_outputs import ModelOutputs
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair


@dataclass(frozen=True)
class ExternalCropping:
    """What makes the two sides comparable, for each spatial axis.

    `padding` and `output_padding` are asked of the source's convolution in place of its own;
    `output_crop` is then cut off the port's output.
    """

    padding: Pairs
    output_padding: tuple[int, ...]
    output_crop: Pairs


def external_cropping(
    layers: Sequence[LayerInputs],
    at: int,
    states: Sequence[OutputState],
    outputs: ModelOutputs,
) -> ExternalCropping | None:
    """How layer `at` is made comparable.

    None where both sides crop alike, or where the difference is a fault.

    A difference counts as cropping in a separate layer only where what follows agrees: the next
    layer's input, or the models' outputs after the last layer.
    """
    source, port = layers[at].pair.specs
    if not _differ_in_cropping_alone(source, port):
        return None
    source_cut, port_cut = _cut(source), _cut(port)
    if source_cut == port_cut:
        return None
    following = (
        layers[at + 1].agreement(states) if at + 1 < len(layers) else outputs.agreement(states)
    )
    if following is None or not following.same:
        return None
    both = list(zip(source_cut, port_cut, strict=True))
    largest = [(max(a, b), max(c, d)) for (a, c), (b, d) in both]
    return ExternalCropping(
        tuple((lo, max(hi, 0)) for lo, hi in largest),
        tuple(max(-hi, 0) for _, hi in largest),
        tuple((max(0, a - b), max(0, c - d)) for (a, c), (b, d) in both),
    )


def _differ_in_cropping_alone(source: ConvSpec, port: ConvSpec) -> bool:
    return (
        source.transposed
        and port.transposed
        and source.rank == port.rank
        and (source.kernel_size, source.stride, source.dilation)
        == (port.kernel_size, port.stride, port.dilation)
    )


def _cut(spec: ConvSpec) -> list[Pair]:
    """What is cut off the full output at (start, end) of each axis.

    Output padding counts as negative at the end.
    """
    return [
        (lo, hi - added) for (lo, hi), added in zip(spec.padding, spec.output_padding, strict=True)
    ]
