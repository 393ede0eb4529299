"""What the two models themselves gave: the last that can be held against each other, after every
convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from convdiff.arrays import read
from convdiff.errors import ConvdiffError
from convdiff.port.layer_pair import InputDistance, LayerPair, distance, floor, limit
from convdiff.records import Stored
from convdiff.spec.layout import Array

# From where to where the channels' axis may have moved, in a batch and without one.
MOVES = ((1, -1), (-1, 1), (0, -1), (-1, 0))


class ModelOutputs:
    """Looked at when they are asked for; `source` and `port` are the recorded files, the first of
    which counts.

    `doubt` is why they may be apart, where that is known.
    """

    def __init__(
        self, source: Sequence[str], port: Sequence[str], before: Sequence[LayerPair]
    ) -> None:
        self._files = (source[0], port[0]) if source and port else None
        self._before = before
        self.doubt = ""

    @property
    def fed(self) -> InputDistance | None:
        """How far they are apart; None where they were not recorded, or cannot be held against each
        other.
        """
        if self._apart is None:
            return None
        return InputDistance(self._apart, limit(self._before, self._apart, floor(self._read)))

    @cached_property
    def _read(self) -> tuple[Stored, ...]:
        try:
            return tuple(read(file, "outputs", any_shape=True) for file in self._files or ())
        except ConvdiffError:
            return ()

    @cached_property
    def _apart(self) -> float | None:
        if not self._read:
            return None
        x, y = (stored.array for stored in self._read)
        known = [
            apart for other in _readings(y) if x.size and (apart := distance(x, other)) is not None
        ]
        return min(known, default=None)


def _readings(array: Array) -> list[Array]:
    """The array as it lies, and with its channels first or last where the other framework has them
    last or first.
    """
    moved = [np.moveaxis(array, *move) for move in MOVES] if array.ndim > 2 else []
    return [array, *moved]
