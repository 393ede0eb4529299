"""Which layer of one capture is which of another: by name, by the kernel's values whatever their layout, else by order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from convdiff.arrays import read
from convdiff.case import Stored
from convdiff.layout import Array
from convdiff.manifest import Entry
from convdiff.manifest.keys import named

# Kernels whose sorted values are within this share of their spread of each other are one kernel, rounded.
CLOSE = 0.02


class Layer:
    """A captured layer: its entry, and its arrays, mapped when they are asked for."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    @property
    def name(self) -> str:
        """As its capture calls it."""
        return self.entry.name

    @property
    def output(self) -> tuple[str, str]:
        """The name and the file of its recorded output; the framework's name and nothing where there is none."""
        value = self.entry.keys.get("saved", {})
        if isinstance(value, dict):
            return next(iter(value.items()), ("", ""))
        return "saved", next(iter(named(value)), "")

    @cached_property
    def kernel(self) -> Stored:
        """The kernel."""
        return read(self.entry.keys["kernel"], "kernel")

    @cached_property
    def values(self) -> Array:
        """The kernel's values in ascending order: the same however its axes lie."""
        return np.sort(self.kernel.array, axis=None).astype(np.float32)

    @cached_property
    def fingerprint(self) -> bytes:
        """Of those values."""
        return hashlib.blake2b(self.values.tobytes(), digest_size=16).digest()


class Pair(NamedTuple):
    """Two layers that should be the same, and by what they were told to be."""

    source: Layer
    port: Layer
    by: str


def pair(source: Sequence[Layer], port: Sequence[Layer]) -> tuple[list[Pair], list[Layer], list[Layer]]:
    """The pairs in the source's order, and the layers of either side that have none."""
    found: dict[int, tuple[int, str]] = {}
    # A name alone may be a coincidence ("conv2d"); a kernel of that many values is not likely to be another.
    _match(source, port, found, "name", lambda layer: (layer.name, layer.kernel.array.size))
    _match(source, port, found, "kernel", lambda layer: layer.fingerprint)
    _near(source, port, found)
    left, right = _free(source, port, found)
    if len(left) == len(right) or not found:
        for a, b in zip(left, right, strict=False):
            if source[a].kernel.array.size == port[b].kernel.array.size:
                found[a] = b, "order"
    left, right = _free(source, port, found)
    pairs = [Pair(source[a], port[b], by) for a, (b, by) in sorted(found.items())]
    return pairs, [source[a] for a in left], [port[b] for b in right]


def _free(source: Sequence[Layer], port: Sequence[Layer], found: dict[int, tuple[int, str]]) -> tuple[list[int], list[int]]:
    taken = {b for b, _ in found.values()}
    return [a for a in range(len(source)) if a not in found], [b for b in range(len(port)) if b not in taken]


def _match(
    source: Sequence[Layer], port: Sequence[Layer], found: dict[int, tuple[int, str]], by: str, key: Callable[[Layer], Hashable]
) -> None:
    """Those of one key, in their order where several have it (a layer that ran twice, two of one size made alike)."""
    left, right = _free(source, port, found)
    waiting: dict[Hashable, list[int]] = {}
    for b in right:
        waiting.setdefault(key(port[b]), []).append(b)
    for a in left:
        same = waiting.get(key(source[a]))
        if same:
            found[a] = same.pop(0), by


def _near(source: Sequence[Layer], port: Sequence[Layer], found: dict[int, tuple[int, str]]) -> None:
    """Kernels that were rounded on the way: the nearest of their size, if it is near."""
    left, right = _free(source, port, found)
    for a in left:
        values = source[a].values
        spread = float(np.std(values)) or 1.0
        near = [(float(np.abs(values - port[b].values).max()) / spread, b) for b in right if port[b].values.size == values.size]
        if near and min(near)[0] <= CLOSE:
            found[a] = min(near)[1], "kernel, rounded"
            right.remove(min(near)[1])
