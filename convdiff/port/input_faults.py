"""What turned the source's input of a layer into the port's: one operation done to it, or left out.

An operation is the fault if, with it, the inputs agree within the limit for any two inputs:
rounding lies between these too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.port.distance import relative_distance
from convdiff.port.input_distance import LayerInputs
from convdiff.spec.layout import Array

# Numbers of an input that are searched; of a larger one, as many batch items as fit.
MAX_SEARCHED_NUMBERS = 2**22

FaultKind = Literal[
    "relu missing",
    "relu6 missing",
    "relu added",
    "clip at 6 added",
    "clip at 6 missing",
    "channels reversed",
    "axis reversed",
    "last axes exchanged",
    "reshaped to channels last",
    "reshaped to channels first",
    "scaled",
    "channels scaled",
]


@dataclass(frozen=True)
class InputFault:
    """What was done to the source's input, or left out.

    `channels` is their number where they were reversed, `axis` the letter of a reversed axis,
    `factor` that of a scaled input.
    """

    kind: FaultKind
    channels: int = 0
    axis: str = ""
    factor: float = 1.0


def find_input_fault(layer: LayerInputs, limit: float) -> InputFault | None:
    """The first known fault that turns the source's input into the port's.

    `limit` is the distance that may remain, as a share of the input's size.

    None where none does, or where the inputs cannot be read or hold NaN or infinity.
    """
    try:
        x, y = (array.astype(np.float64) for array in _searched_part(*layer.cores))
    except ConvdiffError:
        return None
    if not x.size or not np.isfinite(x).all() or not np.isfinite(y).all():
        return None
    with np.errstate(all="ignore"):
        for fault, obtained, expected in _candidates(x, y):
            distance = relative_distance(expected, obtained)
            if distance is not None and distance <= limit:
                return fault
    return None


def _searched_part(x: Array, y: Array) -> tuple[Array, Array]:
    count = MAX_SEARCHED_NUMBERS // max(1, x[:1].size, y[:1].size)
    return x[:count], y[:count]


def _candidates(x: Array, y: Array) -> Iterator[tuple[InputFault, Array, Array]]:
    """The faults that may lie between x and y, (N, C, *space).

    Each with two arrays that are the same if the fault explains the difference.
    """
    yield InputFault("relu missing"), np.maximum(y, 0), x
    yield InputFault("relu6 missing"), np.clip(y, 0, 6), x
    yield InputFault("relu added"), np.maximum(x, 0), y
    yield InputFault("clip at 6 added"), np.minimum(x, 6), y
    yield InputFault("clip at 6 missing"), np.minimum(y, 6), x
    yield InputFault("channels reversed", channels=x.shape[1]), x[:, ::-1], y
    for axis in range(2, x.ndim):
        letter = "DHW"[axis - x.ndim]
        yield InputFault("axis reversed", axis=letter), np.flip(x, axis), y
    yield InputFault("last axes exchanged"), x.swapaxes(-1, -2), y
    if x.ndim > 2 and x.size == y.size:
        last = np.moveaxis(y, 1, -1)
        yield InputFault("reshaped to channels last"), x.reshape(last.shape), last
        first = np.moveaxis(x, 1, -1)
        yield InputFault("reshaped to channels first"), first.reshape(y.shape), y
    if x.shape == y.shape:
        factor = float((x * y).sum() / np.square(x).sum())
        yield InputFault("scaled", factor=factor), factor * x, y
        both_nonzero = np.where((x != 0) & (y != 0), y, 0)
        yield InputFault("channels scaled"), _fitted_by_channel(x, y), both_nonzero


def _fitted_by_channel(x: Array, y: Array) -> Array:
    """The best fit a x + b of each channel of y, over the elements where neither is zero.

    Zeros are left out because an activation has replaced the values there.
    """
    axes = (0, *range(2, x.ndim))
    mask = (x != 0) & (y != 0)
    count = np.maximum(mask.sum(axis=axes, keepdims=True), 1)
    mean_x, mean_y = (
        np.where(mask, array, 0).sum(axis=axes, keepdims=True) / count for array in (x, y)
    )
    u, v = np.where(mask, x - mean_x, 0), np.where(mask, y - mean_y, 0)
    slope = (u * v).sum(axis=axes, keepdims=True) / np.maximum(
        np.square(u).sum(axis=axes, keepdims=True), np.finfo(np.float64).tiny
    )
    fitted: Array = np.where(mask, mean_y + slope * (x - mean_x), 0)
    return fitted
