"""Which rows gave the very same bits: two frameworks that call one library, a port that is faithful
to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from convdiff.records import Row
from convdiff.spec.layout import Array


def same_bits(rows: Iterable[Row]) -> list[list[str]]:
    """The names of rows that are bit for bit alike, two or more together; rows identical to the
    reference go without saying.
    """
    groups: list[tuple[Array, list[str]]] = []
    for row in rows:
        output = row.answer.output
        # Of a backend that answers differently each time the figures are of the worse answer, and
        # this is the first.
        if (
            output is None
            or row.error is None
            or row.verdict == "identical"
            or row.answer.again is not None
        ):
            continue
        for first, names in groups:
            if _same(first, output):
                names.append(row.answer.name)
                break
        else:
            groups.append((output, [row.answer.name]))
    return [names for _, names in groups if len(names) > 1]


def _same(one: Array, other: Array) -> bool:
    """Compared as bytes, so that NaN equals itself and -0 is not 0; a first look at the start
    spares most of the work.
    """
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.ndim and len(one) and not np.array_equal(_bits(one[:1]), _bits(other[:1])):
        return False
    return np.array_equal(_bits(one), _bits(other))


def _bits(array: Array) -> Array:
    return np.ascontiguousarray(array).view(np.uint8)
