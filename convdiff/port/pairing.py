"""Which layer of one capture is which of another: by the kernel's values whatever their layout, by
name, else by order.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from convdiff.arrays import read
from convdiff.manifest import Entry
from convdiff.manifest.keys import option_values
from convdiff.records import Stored
from convdiff.spec.layout import Array, kernel_to_order, spatial_axes

# Kernels whose sorted values are within this share of their spread of each other are one kernel,
# rounded.
CLOSE = 0.02
# Kernels whose output channels point the same ways, by the mean of the cosines, are one kernel,
# rounded or scaled by channel.
ALIKE = 0.9
# Output channels that are looked at, and the fewest weights of one that point anywhere.
LOOKED_AT, POINTING = 32, 4


class CapturedLayer:
    """A captured layer: its entry, and its arrays, mapped when they are asked for."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    @property
    def name(self) -> str:
        """As its capture calls it."""
        return self.entry.name

    @property
    def output(self) -> tuple[str, str]:
        """The name and the file of its recorded output; the framework's name and nothing where
        there is none.
        """
        value = self.entry.keys.get("saved", {})
        if isinstance(value, dict):
            return next(iter(value.items()), ("", ""))
        return "saved", next(iter(option_values(value)), "")

    @cached_property
    def kernel(self) -> Stored:
        """The kernel."""
        return read(self.entry.keys["kernel"], "kernel")

    @cached_property
    def values(self) -> Array:
        """The kernel's values in ascending order: the same however its axes lie."""
        return np.sort(self.kernel.array, axis=None).astype(np.float32)

    @cached_property
    def channels(self) -> Array | None:
        """Some output channels, a row each; None where the layout is not known, or a row holds too
        few weights to tell.
        """
        layout, kernel = self.entry.keys.get("kernel_layout") or "", self.kernel.array
        if len(layout) != kernel.ndim:
            return None
        whole = kernel_to_order(kernel, layout, "".join(sorted(spatial_axes(layout))))
        rows = whole[:: -(-whole.shape[0] // LOOKED_AT)]
        rows = rows.reshape(rows.shape[0], -1).astype(np.float64)
        return rows if rows.shape[1] >= POINTING else None

    @cached_property
    def taps(self) -> int:
        """The size of the kernel in space, its layout being known."""
        layout = self.entry.keys["kernel_layout"]
        return int(
            np.prod(
                [
                    n
                    for n, axis in zip(self.kernel.array.shape, layout, strict=True)
                    if axis in spatial_axes(layout)
                ],
                dtype=int,
            )
        )

    @cached_property
    def fingerprint(self) -> bytes:
        """Of those values."""
        return hashlib.blake2b(self.values.tobytes(), digest_size=16).digest()


class Pairing(NamedTuple):
    """Two layers that should be the same, and by what they were told to be."""

    source: CapturedLayer
    port: CapturedLayer
    by: str


def pair(
    source: Sequence[CapturedLayer], port: Sequence[CapturedLayer]
) -> tuple[list[Pairing], list[CapturedLayer], list[CapturedLayer]]:
    """The pairs in the source's order, and the layers of either side that have none."""
    found: dict[int, tuple[int, str]] = {}
    _match(source, port, found, "name", lambda layer: (layer.name, layer.fingerprint))
    _equal(source, port, found)
    _alike(source, port, found)
    # A name alone may be a coincidence ("conv2d"); a kernel of that many values is not likely to be
    # another.
    _match(source, port, found, "name", lambda layer: (layer.name, layer.kernel.array.size))
    _near(source, port, found)
    left, right = _free(source, port, found)
    if len(left) == len(right) or not found:
        for a, b in zip(left, right, strict=False):
            if source[a].kernel.array.size == port[b].kernel.array.size:
                found[a] = b, "order"
    left, right = _free(source, port, found)
    pairs = [Pairing(source[a], port[b], by) for a, (b, by) in sorted(found.items())]
    return pairs, [source[a] for a in left], [port[b] for b in right]


def _free(
    source: Sequence[CapturedLayer],
    port: Sequence[CapturedLayer],
    found: dict[int, tuple[int, str]],
) -> tuple[list[int], list[int]]:
    taken = {b for b, _ in found.values()}
    return [a for a in range(len(source)) if a not in found], [
        b for b in range(len(port)) if b not in taken
    ]


def _match(
    source: Sequence[CapturedLayer],
    port: Sequence[CapturedLayer],
    found: dict[int, tuple[int, str]],
    by: str,
    key: Callable[[CapturedLayer], Hashable],
) -> None:
    """Those of one key, in their order where several have it (a layer that ran twice, two of one
    size made alike).
    """
    left, right = _free(source, port, found)
    waiting: dict[Hashable, list[int]] = {}
    for b in right:
        waiting.setdefault(key(port[b]), []).append(b)
    for a in left:
        same = waiting.get(key(source[a]))
        if same:
            found[a] = same.pop(0), by


def _equal(
    source: Sequence[CapturedLayer],
    port: Sequence[CapturedLayer],
    found: dict[int, tuple[int, str]],
) -> None:
    """Equal kernels; where one stands several times (a layer that ran twice, towers) in an order
    that crosses nothing.
    """
    left, right = _free(source, port, found)
    counts = [
        Counter(layers[at].fingerprint for at in free)
        for layers, free in ((source, left), (port, right))
    ]
    if any(counts[0][key] > 1 or count > 1 for key, count in counts[1].items() if key in counts[0]):
        places = {port[b].fingerprint: b for b in right}
        single = {key for key, count in counts[1].items() if count == counts[0][key] == 1}
        found |= {
            a: (places[key], "kernel") for a in left if (key := source[a].fingerprint) in single
        }
        taken = {b for b, _ in found.values()}
        in_order = _in_order([source[a] for a in left], [port[b] for b in right])
        found |= {
            left[i]: (right[j], "kernel")
            for i, j in in_order
            if left[i] not in found and right[j] not in taken
        }
    _match(source, port, found, "kernel", lambda layer: layer.fingerprint)


def _in_order(
    source: Sequence[CapturedLayer], port: Sequence[CapturedLayer]
) -> list[tuple[int, int]]:
    """The pairs of equal kernels of the best alignment: most equal kernels, then most of one size
    beside them.
    """
    many = min(len(source), len(port)) + 1
    best = [[0] * (len(port) + 1) for _ in range(len(source) + 1)]

    def worth(i: int, j: int) -> int:
        if source[i].fingerprint == port[j].fingerprint:
            return many
        return int(source[i].kernel.array.size == port[j].kernel.array.size)

    for i in reversed(range(len(source))):
        for j in reversed(range(len(port))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + worth(i, j))
    pairs, i, j = [], 0, 0
    while i < len(source) and j < len(port):
        if best[i][j] == best[i + 1][j + 1] + worth(i, j):
            pairs += [(i, j)] if worth(i, j) == many else []
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _alike(
    source: Sequence[CapturedLayer],
    port: Sequence[CapturedLayer],
    found: dict[int, tuple[int, str]],
) -> None:
    """Kernels that were rounded on the way, or scaled by channel (a normalization folded in); of
    one name where several are alike.
    """
    left, right = _free(source, port, found)
    for a in left:
        alike = [
            (source[a].name == port[b].name, likeness, -b)
            for b in right
            if (likeness := _likeness(source[a], port[b])) >= ALIKE
        ]
        if alike:
            b = -max(alike)[2]
            found[a] = (
                b,
                "kernel, rounded"
                if _length(source[a], port[b]) <= CLOSE
                else "kernel, scaled by channel",
            )
            right.remove(b)


def _likeness(one: CapturedLayer, other: CapturedLayer) -> float:
    """The mean cosine of the angles between their output channels, signs apart; 0 where there is
    none.
    """
    if (
        one.kernel.array.size != other.kernel.array.size
        or one.channels is None
        or other.channels is None
    ):
        return 0.0
    w, v = one.channels, other.channels
    if w.shape != v.shape:
        return 0.0
    return max(_cosine(w, v), _cosine(w, _flipped(other)))


def _cosine(w: Array, v: Array) -> float:
    with np.errstate(all="ignore"):
        cosines = np.abs((w * v).sum(axis=1)) / np.sqrt(
            np.square(w).sum(axis=1) * np.square(v).sum(axis=1)
        )
    known = cosines[np.isfinite(cosines)]
    return float(known.mean()) if known.size else 0.0


def _flipped(layer: CapturedLayer) -> Array:
    """Its output channels with their kernels flipped in space."""
    assert layer.channels is not None
    return layer.channels.reshape(len(layer.channels), -1, layer.taps)[:, :, ::-1].reshape(
        layer.channels.shape
    )


def _length(one: CapturedLayer, other: CapturedLayer) -> float:
    """By how much, at most, output channels of the two differ in length, as a share of it."""
    assert one.channels is not None
    assert other.channels is not None
    w, v = (
        np.sqrt(np.square(layer.channels).sum(axis=1))
        for layer in (one, other)
        if layer.channels is not None
    )
    return float((np.abs(w - v) / np.maximum(w, np.finfo(np.float64).tiny)).max())


def _near(
    source: Sequence[CapturedLayer],
    port: Sequence[CapturedLayer],
    found: dict[int, tuple[int, str]],
) -> None:
    """Kernels that were rounded on the way: the nearest of their size, if it is near."""
    left, right = _free(source, port, found)
    for a in left:
        values = source[a].values
        spread = float(np.std(values)) or 1.0
        near = [
            (float(np.abs(values - port[b].values).max()) / spread, b)
            for b in right
            if port[b].values.size == values.size
        ]
        if near and min(near)[0] <= CLOSE:
            found[a] = min(near)[1], "kernel, rounded"
            right.remove(min(near)[1])
