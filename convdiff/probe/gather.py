"""What one tap reads: the answer to place values under a kernel that is zero but for one 1.

Each output element is then one element of the input, or nothing; the value says which.  This shows
at once which axis is which, the stride, where the border begins and what is read beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convdiff.spec.layout import Array

# How far from a whole number a value may be: rounding in float32 and FFTs stays well below.
NEAR = 0.05


@dataclass(frozen=True)
class Gather:
    """For the tap at `tap`: `outputs` (m, output axes) are the elements that read something,
    `inputs` (m, input axes) what.
    """

    tap: tuple[int, ...]
    outputs: Array
    inputs: Array

    @property
    def empty(self) -> bool:
        """Whether nothing reads this tap."""
        return len(self.outputs) == 0

    def along(self, output_axis: int, input_axis: int) -> dict[int, int] | None:
        """Output position to input position, if the first alone decides the second; None otherwise."""
        q, p = self.outputs[:, output_axis], self.inputs[:, input_axis]
        positions, first = np.unique(q, return_index=True)
        if not np.array_equal(p[first][np.searchsorted(positions, q)], p):
            return None
        return dict(zip(positions.tolist(), p[first].tolist(), strict=True))

    def constant(self, side: str, axis: int) -> int | None:
        """The one position along an axis of "outputs" or "inputs" at which all elements lie; None
        where there are several.
        """
        positions = np.unique(getattr(self, side)[:, axis])
        return int(positions[0]) if len(positions) == 1 else None


def decode(
    tap: tuple[int, ...], values: Array, input_shape: tuple[int, ...], factor: float
) -> Gather | None:
    """What `values`, the answer less what is added to every answer, read; None where they are no
    place values times `factor`.
    """
    if not np.all(np.isfinite(values)):
        return None
    scaled = np.asarray(values, np.float64) / factor
    numbers = np.rint(scaled)
    slack = np.maximum(NEAR, np.abs(numbers) * 2.0**-14)
    if (
        np.any(np.abs(scaled - numbers) > slack)
        or numbers.min() < 0
        or numbers.max() > np.prod(input_shape)
    ):
        return None
    outputs = np.argwhere(numbers > 0)
    flat = numbers[numbers > 0].astype(np.int64) - 1
    return Gather(tap, outputs, np.stack(np.unravel_index(flat, input_shape), axis=1))
