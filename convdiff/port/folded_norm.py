"""Whether the normalizations that a port folded into its kernels are the source's.

The output of a layer with a fold is not the source's, so only later inputs can show whether the
fold is right.  A fold may explain any later input that differs, unless an input in between is made
from the layer's output and agrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.port.input_distance import LayerInputs, OutputState
from convdiff.port.model_outputs import ModelOutputs
from convdiff.spec.layout import Array
from convdiff.suite_result import InputAgreement

# The most numbers of an array that are sampled along each axis.
MAX_SAMPLES_PER_AXIS = 12
# The fewest samples above the array's minimum (where a ReLU puts many) that show what an array is
# made from.
MIN_INFORMATIVE_SAMPLES = 24
# How far an activation may rise and fall in all over sorted arguments, in multiples of its range:
# the usual activations have one or two bends.
MAX_ACTIVATION_VARIATION = 4.0


@dataclass(frozen=True)
class OwnFoldSuspected:
    """That a layer's own fold may be wrong: it alone explains what differs later.

    `shown_by` is the name of the later layer whose input differs, None for the models' outputs.
    """

    shown_by: str | None
    agreement: InputAgreement


@dataclass(frozen=True)
class OneFoldOfSeveralSuspected:
    """That one of several folds, in the layers of these names, may explain what differs."""

    layers: tuple[str, ...]


SuspectedFold = OwnFoldSuspected | OneFoldOfSeveralSuspected


@dataclass(frozen=True)
class SuspectFolds:
    """The positions of the folds that may be wrong, and of the first layer whose input differs.

    `shown_at` is the number of layers where the models' outputs are the first to differ.
    """

    suspects: tuple[int, ...]
    shown_at: int


def suspect_folds(
    layers: Sequence[LayerInputs], states: Sequence[OutputState], outputs: ModelOutputs
) -> SuspectFolds | None:
    """The folds that may be wrong.

    None where all are confirmed or something else explains what differs.
    """
    folds = [at for at, state in enumerate(states) if state == "folded"]
    shown_at = _first_difference(layers, states, outputs) if folds else None
    if shown_at is None:
        return None
    earlier = list(zip(layers, states, strict=True))[:shown_at]
    if any(state != "folded" and _is_wrong(layer) for layer, state in earlier):
        return None
    suspects = tuple(
        fold
        for fold in folds
        if fold < shown_at
        and not any(_is_made_from(layers, at, fold) for at in range(fold + 1, shown_at))
    )
    return SuspectFolds(suspects, shown_at) if suspects else None


def _first_difference(
    layers: Sequence[LayerInputs], states: Sequence[OutputState], outputs: ModelOutputs
) -> int | None:
    """The first layer whose input differs, or the number of layers for the models' outputs."""
    for at, layer in enumerate(layers):
        if not layer.agreement(states).same:
            return at
    agreement = outputs.agreement(states)
    return len(layers) if agreement is not None and not agreement.same else None


def _is_wrong(layer: LayerInputs) -> bool:
    """Whether a layer without a fold, given the source's input, gives another output."""
    try:
        distance = layer.distance or 0.0
        return layer.pair.output_distance is not None and not layer.output_is_rounding(distance)
    except ConvdiffError:
        return True


def _is_made_from(layers: Sequence[LayerInputs], at: int, fold: int) -> bool:
    """Whether the port's input of layer `at` is made from the output of layer `fold`.

    It is if it is an activation of that output, or of its sum with another recorded array.  Of
    another shape (pooled), it is if it follows at once and no earlier array had that shape; a
    parallel branch would start from one that had.
    """
    try:
        x, y = layers[at].cores[1], layers[fold].pair.outputs[1]
        if x.shape != y.shape:
            earlier = {array.shape for layer in layers[:at] for array in _port_arrays(layer)}
            return at == fold + 1 and x.shape not in earlier
        a, b = _sample(x), _sample(y)
        return any(_is_activation(a, b + addend) for addend in _addends(layers[:at], x.shape))
    except ConvdiffError:
        return False


def _addends(layers: Sequence[LayerInputs], shape: tuple[int, ...]) -> Iterator[Array | float]:
    """Zero, then samples of the port's recorded arrays of this shape."""
    yield 0.0
    for layer in layers:
        for array in _port_arrays(layer):
            if array.shape == shape:
                yield _sample(array)


def _port_arrays(layer: LayerInputs) -> tuple[Array, Array]:
    return layer.cores[1], layer.pair.outputs[1]


def _is_activation(x: Array, of: Array) -> bool:
    """Whether x is a simple function of the other array, element by element.

    Sorted by the other's values, x then rises and falls little more than its range.
    """
    values = x.ravel()[np.argsort(of, axis=None, kind="stable")].astype(np.float64)
    span = values.max() - values.min()
    informative = np.count_nonzero(values > values.min() + span / 1000)
    if not span > 0 or informative < min(MIN_INFORMATIVE_SAMPLES, values.size // 2):
        return False
    return bool(np.abs(np.diff(values)).sum() <= MAX_ACTIVATION_VARIATION * span)


def _sample(array: Array) -> Array:
    steps = [max(1, size // MAX_SAMPLES_PER_AXIS) for size in array.shape]
    return np.asarray(array[tuple(slice(None, None, step) for step in steps)])
