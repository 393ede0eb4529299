"""What an array's values decide: the notes about NaN and infinity, and the type that a convolution
is computed in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from convdiff.records import Stored
from convdiff.spec.layout import Array

# Elements looked at together: bounds the memory, and keeps a chunk in the caches.
CHUNK = 1 << 18
# From here on float32 has no longer every integer.
EXACT_IN_FLOAT32 = 2**24


def notes(stored: Stored, name: str) -> list[str]:
    """A sentence about NaN and infinity in the array called `name`, where there are any.  Memory is
    bounded.
    """
    array = stored.array
    if array.dtype.kind != "f":
        return []
    nan = infinite = 0
    for chunk in _chunks(array):
        finite = np.isfinite(chunk)
        if not finite.all():
            odd = int(np.isnan(chunk).sum())
            nan += odd
            infinite += chunk.size - int(np.count_nonzero(finite)) - odd
    counts = [
        f"{count:,} {what}" for count, what in ((nan, "NaN"), (infinite, "infinite")) if count
    ]
    if not counts:
        return []
    return [
        f"{name}: {' and '.join(counts)} of {array.size:,} values; they are compared by place and "
        "kind"
    ]


def _chunks(array: Array) -> Iterator[Array]:
    """The elements in flat pieces, in the order in which they lie; strided arrays pass through a
    small buffer.
    """
    if array.size == 0:
        return
    yield from np.nditer(array, flags=["external_loop", "buffered"], buffersize=CHUNK, order="K")


def compute_dtype(input: Stored, kernel: Stored, asked: str | None) -> str:
    """The type to compute in: `asked`; else the floats' common type.

    16-bit floats of one kind stay so; of two kinds, or beside integers, they meet in float32.
    Integers alone count as float32, or float64 where one is beyond 2**24.
    """
    if asked is not None:
        return asked
    both = (input, kernel)
    if input.stored == kernel.stored and input.stored in ("bfloat16", "float16"):
        return input.stored
    floats = [stored.array.dtype for stored in both if stored.array.dtype.kind == "f"]
    if not floats:
        return (
            "float64"
            if any(_magnitude(stored.array) > EXACT_IN_FLOAT32 for stored in both)
            else "float32"
        )
    least = [np.dtype(np.float32)] if len(floats) < 2 else []
    return str(np.result_type(*floats, *least).name)


def _magnitude(array: Array) -> int:
    """The largest |value| of an integer array; for types that are all within 2**24 without looking."""
    if array.dtype.itemsize < 4:
        return 0
    return max(abs(int(array.max())), abs(int(array.min()))) if math.prod(array.shape) else 0
