"""Notes about NaN and infinity in an array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convdiff.records import Stored
from convdiff.spec.layout import Array

# Elements per chunk: bounds the memory, and keeps a chunk in the processor's caches.
CHUNK_ELEMENTS = 1 << 18


def nonfinite_notes(stored: Stored, name: str) -> list[str]:
    """A sentence that counts NaN and infinity in the array called `name`, [] where there are none.

    Needs little memory, however large the array is.
    """
    array = stored.array
    if array.dtype.kind not in "fc":
        return []
    nan = infinite = 0
    for chunk in _chunks(array):
        finite = np.isfinite(chunk)
        if not finite.all():
            nan_here = int(np.isnan(chunk).sum())  # of complex numbers: in either part
            nan += nan_here
            infinite += chunk.size - int(np.count_nonzero(finite)) - nan_here
    counts = [
        f"{count:,} {kind}" for count, kind in ((nan, "NaN"), (infinite, "infinite")) if count
    ]
    if not counts:
        return []
    return [
        f"{name}: {' and '.join(counts)} of {array.size:,} values; they are compared by place and "
        "kind"
    ]


def _chunks(array: Array) -> Iterator[Array]:
    """The elements in flat pieces, in memory order; strided arrays pass through a small buffer."""
    if array.size == 0:
        return
    yield from np.nditer(
        array, flags=["external_loop", "buffered"], buffersize=CHUNK_ELEMENTS, order="K"
    )
