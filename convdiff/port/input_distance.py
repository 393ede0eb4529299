"""Whether the port's layers get the source's inputs.

By the distance of the two inputs, and how far apart rounding may have brought them.

Rounding errors pile up over the layers, and in a badly conditioned model they grow.  What lies
between two convolutions adds little to what came out of the earlier ones, however, so an input is
measured against the largest distance reached before it.  Measured on ResNets of 18 and 50 layers
and on stacks of 20 to 50 layers, in float32, float16, bfloat16 and across them, some of which
amplify rounding a million times: an input's distance is at most twice the largest one before it, or
about 20 roundings where there was none.  A wrong epsilon in a float32 normalization gives a
hundred times that and more, unless the variances dwarf it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from convdiff.errors import ConvdiffError
from convdiff.numerics.precision import UNIT_ROUNDOFF
from convdiff.port.distance import relative_distance
from convdiff.port.external_padding import (
    ExternalPaddings,
    Pairs,
    combined_padding,
    cropped,
    external_paddings,
)
from convdiff.port.layer_pair import LayerPair
from convdiff.records import Stored
from convdiff.spec.layout import Array
from convdiff.suite_result import InputAgreement

# An input's distance may be at most this many times the largest earlier one (measured: twice).
MAX_INPUT_GROWTH = 10.0
# A correct layer's outputs may be at most this many times farther apart than its inputs.
MAX_LAYER_GROWTH = 1000.0
# Roundings that may lie between two convolutions where there was no distance before (measured: 20):
# of float32, and of the narrower type that the arrays are stored in.
COMPUTED_ROUNDINGS, STORED_ROUNDINGS = 100, 8

# What is known of a layer's outputs when a later input is measured against them.  A "folded" layer
# computes a normalization too, so its outputs are not the source's.
OutputState = Literal["unknown", "right", "wrong", "folded"]


def rounding_floor(arrays: Sequence[Stored]) -> float:
    """The distance that rounding between two convolutions may cause where there was none before."""
    stored = max((UNIT_ROUNDOFF.get(array.stored, 0.0) for array in arrays), default=0.0)
    return max(COMPUTED_ROUNDINGS * UNIT_ROUNDOFF["float32"], STORED_ROUNDINGS * stored)


@dataclass(frozen=True, eq=False)
class LayerInputs:
    """The two inputs of a layer pair, measured against each other.

    `before` are the inputs of the earlier layers, and `states_before` what is known of those
    layers' outputs before any layer is judged.  Properties raise ConvdiffError where the arrays
    cannot be read.
    """

    pair: LayerPair
    before: tuple[LayerInputs, ...] = ()
    states_before: tuple[OutputState, ...] = ()

    @cached_property
    def paddings(self) -> ExternalPaddings | None:
        """The padding that either side does in a separate layer; None where neither does.

        Also None where the source's external padding and its convolution's own do not add up to one
        padding, since no single convolution could then be compared with the port.
        """
        x, y = self.pair.inputs
        if self._is_rounding(relative_distance(x, y), 0.0):
            return None
        specs = self.pair.specs
        paddings = external_paddings(x, y, specs, self._agree)
        if paddings is None or not paddings.exist:
            return None
        return paddings if combined_padding(specs[0], paddings.source) else None

    @cached_property
    def cores(self) -> tuple[Array, Array]:
        """Both inputs as (N, C, *space), without their external padding."""
        x, y = self.pair.inputs
        if self.paddings is None:
            return x, y
        return cropped(x, self.paddings.source.pairs), cropped(y, self.paddings.port.pairs)

    @property
    def port_padding(self) -> Pairs | None:
        """The port's whole padding, its convolution's and the external one together.

        None where it has none, or where the two do not add up to one padding.
        """
        spec = self.pair.specs[1]
        if self.paddings is not None:
            combined = combined_padding(spec, self.paddings.port)
            return combined[0] if combined else None
        return spec.padding if any(lo or hi for lo, hi in spec.padding) else None

    @cached_property
    def distance(self) -> float | None:
        """How far the cores are apart, as a share of their size; None where the shapes differ."""
        return relative_distance(*self.cores)

    @cached_property
    def floor(self) -> float:
        """The distance that rounding may cause where there was none before."""
        return rounding_floor(self.pair.stored_inputs)

    def agreement(self, states: Sequence[OutputState]) -> InputAgreement:
        """The distance and its limit, given what is known of the earlier layers' outputs.

        `states` begin with the first layer; those from this layer on are not used.
        """
        try:
            limit = distance_limit(self.distance, self.floor, self.before, states)
            return InputAgreement(self.distance, limit)
        except ConvdiffError:
            return InputAgreement(None, 0.0)

    def output_is_rounding(self, reached: float) -> bool:
        """Whether rounding explains the outputs' distance, with `reached` the largest before."""
        return self._is_rounding(self.pair.output_distance, reached)

    def input_is_rounding(self, reached: float) -> bool:
        """Whether rounding explains the inputs' distance, with `reached` the largest before."""
        return self._is_rounding(self.distance, reached)

    def _is_rounding(self, distance: float | None, reached: float) -> bool:
        return distance is not None and distance <= max(self.floor, MAX_INPUT_GROWTH * reached)

    def _agree(self, x: Array, y: Array) -> bool:
        """Whether two parts of the inputs are the same but for rounding."""
        distance = relative_distance(x, y)
        return self._is_rounding(distance, 0.0) or self._is_rounding(
            distance, reached_distance(self.before, self.states_before)
        )


def layer_inputs(
    pairs: Sequence[LayerPair], states: Sequence[OutputState]
) -> tuple[LayerInputs, ...]:
    """The `LayerInputs` of every pair; each knows those of the earlier pairs."""
    inputs: list[LayerInputs] = []
    for at, pair in enumerate(pairs):
        inputs.append(LayerInputs(pair, tuple(inputs), tuple(states[:at])))
    return tuple(inputs)


def distance_limit(
    distance: float | None,
    floor: float,
    before: Sequence[LayerInputs],
    states: Sequence[OutputState],
) -> float:
    """How far apart rounding may bring two arrays that follow these layers.

    For a distance within `floor` the limit is `floor`, and the layers' arrays are not read.
    """
    if distance is None or distance <= floor:
        return floor
    return max(floor, MAX_INPUT_GROWTH * reached_distance(before, states))


def reached_distance(layers: Sequence[LayerInputs], states: Sequence[OutputState]) -> float:
    """The largest distance of inputs and outputs before the first layer that differs.

    A layer differs if it is wrong, or if its input already does.
    """
    reached = 0.0
    for layer, state in zip(layers, states, strict=False):
        try:
            if state == "wrong" or not layer.input_is_rounding(reached):
                break
            reached = max(reached, layer.distance or 0.0)
            if state == "folded":
                continue
            if state == "unknown" and not layer.output_is_rounding(reached):
                break
            after = layer.pair.output_distance or 0.0
            # A correct layer may amplify rounding, but not without limit: one that seems to was
            # judged correct by mistake, and must not excuse what follows it.
            if after > MAX_LAYER_GROWTH * max(layer.floor, reached):
                break
            reached = max(reached, after)
        except ConvdiffError:
            break
    return reached
