"""Which input element each output element reads through one element of the kernel.

A one-hot kernel copies the input element it reads into the output, and place values encode their
own position in the input. One call with both therefore gives the whole map from output positions to
input positions, and with it the axes, the stride, where the border begins and what is read beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convdiff.spec.layout import Array

# The largest distance from an integer that rounding in float32, or an FFT, may cause.
MAX_ROUNDING = 0.05


@dataclass(frozen=True)
class ReadMap:
    """The pairs of an output element and the input element that it reads.

    Row i of `outputs` (m, output axes) is the position of an output element, row i of `inputs`
    (m, input axes) that of the input element it reads through the kernel element at
    `kernel_position`. Output elements that read padding of zeros are left out.
    """

    kernel_position: tuple[int, ...]
    outputs: Array
    inputs: Array

    @property
    def empty(self) -> bool:
        """Whether no output element reads anything."""
        return len(self.outputs) == 0

    def along(self, output_axis: int, input_axis: int) -> dict[int, int] | None:
        """Input position by output position along a pair of axes.

        None if the output position does not determine the input position.
        """
        q, p = self.outputs[:, output_axis], self.inputs[:, input_axis]
        positions, first = np.unique(q, return_index=True)
        if not np.array_equal(p[first][np.searchsorted(positions, q)], p):
            return None
        return dict(zip(positions.tolist(), p[first].tolist(), strict=True))

    def input_position(self, axis: int) -> int | None:
        """The position along an input axis that every pair shares; None if they differ."""
        return _shared_value(self.inputs[:, axis])

    def output_position(self, axis: int) -> int | None:
        """The position along an output axis that every pair shares; None if they differ."""
        return _shared_value(self.outputs[:, axis])


def _shared_value(positions: Array) -> int | None:
    values = np.unique(positions)
    return int(values[0]) if len(values) == 1 else None


def decode(
    kernel_position: tuple[int, ...], values: Array, input_shape: tuple[int, ...], factor: float
) -> ReadMap | None:
    """The read map that the output `values` encode.

    `values` are the output less the output for zeros. None unless they are place values of
    `input_shape` times `factor`.
    """
    if not np.all(np.isfinite(values)):
        return None
    scaled = np.asarray(values, np.float64) / factor
    places = np.rint(scaled)
    allowed = np.maximum(MAX_ROUNDING, np.abs(places) * 2.0**-14)
    if (
        np.any(np.abs(scaled - places) > allowed)
        or places.min() < 0
        or places.max() > np.prod(input_shape)
    ):
        return None
    outputs = np.argwhere(places > 0)
    flat = places[places > 0].astype(np.int64) - 1
    inputs = np.stack(np.unravel_index(flat, input_shape), axis=1)
    return ReadMap(kernel_position, outputs, inputs)
