"""The outputs of the two models themselves, compared after every convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convdiff.arrays import read
from convdiff.errors import ConvdiffError
from convdiff.port.distance import relative_distance
from convdiff.port.input_distance import (
    LayerInputs,
    OutputState,
    distance_limit,
    rounding_floor,
)
from convdiff.records import Stored
from convdiff.spec.layout import Array
from convdiff.suite_result import InputAgreement

# Moves (from, to) of the channels' axis between two frameworks, with a batch axis and without.
CHANNEL_MOVES = ((1, -1), (-1, 1), (0, -1), (-1, 0))


@dataclass(frozen=True, eq=False)
class ModelOutputs:
    """The recorded output files of the source and the port, read when they are first needed.

    Of a model with several outputs, the first is compared.  `layers` are all of its convolutions.
    """

    source: tuple[str, ...]
    port: tuple[str, ...]
    layers: tuple[LayerInputs, ...]

    @property
    def comparable(self) -> bool:
        """Whether both were recorded, and with shapes that can be compared."""
        return self._distance is not None

    def agreement(self, states: Sequence[OutputState]) -> InputAgreement | None:
        """The distance of the models' outputs and its limit.

        `states` is what is known of the layers' outputs. None where the models' outputs are not
        comparable.
        """
        if self._distance is None:
            return None
        floor = rounding_floor(self._stored)
        limit = distance_limit(self._distance, floor, self.layers, states)
        return InputAgreement(self._distance, limit)

    @cached_property
    def _stored(self) -> tuple[Stored, ...]:
        """The first output of either side; empty where they cannot both be read."""
        if not self.source or not self.port:
            return ()
        try:
            files = self.source[0], self.port[0]
            return tuple(read(file, "outputs", any_shape=True) for file in files)
        except ConvdiffError:
            return ()

    @cached_property
    def _distance(self) -> float | None:
        """The distance under the arrangement of the port's axes that brings the two nearest."""
        if not self._stored:
            return None
        x, y = (stored.array for stored in self._stored)
        if not x.size:
            return None
        distances = (relative_distance(x, arranged) for arranged in _arrangements(y))
        return min((distance for distance in distances if distance is not None), default=None)


def _arrangements(array: Array) -> list[Array]:
    """The array as it is, and with its channels moved from first to last or from last to first."""
    if array.ndim <= 2:
        return [array]
    return [array, *(np.moveaxis(array, *move) for move in CHANNEL_MOVES)]
