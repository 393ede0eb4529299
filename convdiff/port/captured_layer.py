"""One layer of a capture: its manifest entry, and its arrays, read when they are first needed."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convdiff.arrays import read
from convdiff.manifest import Entry
from convdiff.manifest.keys import option_values
from convdiff.numerics.complex_parts import parts_along
from convdiff.records import Stored
from convdiff.spec.layout import Array, kernel_to_order, spatial_axes

# The most output channels that a kernel's direction is taken from.
MAX_CHANNELS = 32
# The fewest weights of an output channel whose direction means anything.
MIN_WEIGHTS_PER_CHANNEL = 4


@dataclass(frozen=True, eq=False)
class CapturedLayer:
    """A captured layer.  Every property that reads a file raises ConvdiffError where it cannot."""

    entry: Entry

    @property
    def name(self) -> str:
        """The layer's name in its capture."""
        return self.entry.name

    @property
    def output(self) -> tuple[str, str]:
        """The name (usually the framework's) and the file of the recorded output.

        The file is empty where no output was recorded.
        """
        value = self.entry.keys.get("saved", {})
        if isinstance(value, dict):
            return next(iter(value.items()), ("", ""))
        return "saved", next(iter(option_values(value)), "")

    @cached_property
    def kernel(self) -> Stored:
        """The kernel in the layout of its capture."""
        return read(self.entry.keys["kernel"], "kernel")

    @cached_property
    def sorted_weights(self) -> Array:
        """The kernel's values in ascending order: the same in every layout."""
        parts = parts_along(self.kernel.array.reshape(-1), 0)
        return np.sort(parts).astype(np.float32)

    @cached_property
    def fingerprint(self) -> bytes:
        """A hash of the sorted weights."""
        return hashlib.blake2b(self.sorted_weights.tobytes(), digest_size=16).digest()

    @cached_property
    def output_channels(self) -> Array | None:
        """Some of the kernel's output channels as rows, the spatial axes last, in float64.

        None where the layout is unknown or a channel has too few weights to have a direction.
        """
        layout, kernel = self.entry.keys.get("kernel_layout") or "", self.kernel.array
        if len(layout) != kernel.ndim:
            return None
        ordered = kernel_to_order(kernel, layout, "".join(sorted(spatial_axes(layout))))
        rows = ordered[:: math.ceil(ordered.shape[0] / MAX_CHANNELS)]
        rows = parts_along(rows, 1).reshape(rows.shape[0], -1).astype(np.float64)
        return rows if rows.shape[1] >= MIN_WEIGHTS_PER_CHANNEL else None

    @cached_property
    def spatial_size(self) -> int:
        """The kernel's number of spatial positions, for a known layout."""
        layout = self.entry.keys["kernel_layout"]
        sizes = zip(self.kernel.array.shape, layout, strict=True)
        return math.prod(size for size, axis in sizes if axis in spatial_axes(layout))
