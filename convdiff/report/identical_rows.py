"""Rows whose outputs are identical bit for bit, such as those of two frameworks on one library."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from convdiff.records import Row
from convdiff.spec.layout import Array


def identical_rows(rows: Iterable[Row]) -> list[list[str]]:
    """The names of rows with identical outputs, two or more in each list.

    Rows that are identical to the reference are left out: their verdict says so.
    """
    groups: list[tuple[Array, list[str]]] = []
    for row in rows:
        output = row.answer.output
        if output is None or row.error is None or row.verdict == "identical":
            continue
        if row.answer.again is not None:
            # Repeated runs differed: the row shows the worse output, and this is the first.
            continue
        for first, names in groups:
            if _identical(first, output):
                names.append(row.answer.name)
                break
        else:
            groups.append((output, [row.answer.name]))
    return [names for _, names in groups if len(names) > 1]


def _identical(output: Array, other: Array) -> bool:
    """Compares bytes: NaN equals NaN, and -0 does not equal 0."""
    if output.dtype != other.dtype or output.shape != other.shape:
        return False
    # The first item usually tells outputs apart, at little cost.
    if output.ndim and len(output) and not np.array_equal(_bytes(output[:1]), _bytes(other[:1])):
        return False
    return np.array_equal(_bytes(output), _bytes(other))


def _bytes(array: Array) -> Array:
    return np.ascontiguousarray(array).view(np.uint8)
