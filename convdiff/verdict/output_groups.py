"""The outputs of a case held against each other: equal, equal up to rounding, or different."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from convdiff.records import Answer, OutputGroup, Row
from convdiff.spec.layout import Array
from convdiff.suite_result import AGREEING

# Whether two answers differ by no more than rounding.
AlikeUpToRounding = Callable[[Answer, Answer], bool]


def output_groups(rows: Sequence[Row], alike: AlikeUpToRounding) -> tuple[OutputGroup, ...]:
    """Groups of outputs that are identical, that are alike up to rounding, and that differ.

    Of outputs that are identical to the reference nothing is said: their verdict says it.  Only
    saved outputs and calls that do not agree with the reference are compared up to rounding, since
    those that agree are alike.  A group that differs has one output of each group that is alike.
    """
    compared = [row for row in rows if _has_numbers(row) and row.answer.again is None]
    identical = _grouped(
        [row for row in compared if row.verdict != "identical"],
        lambda row, other: _identical(_output(row), _output(other)),
    )
    groups = [_group("identical", rows) for rows in identical if len(rows) > 1]
    own = [
        rows[0]
        for rows in identical
        if rows[0].answer.kind != "backend"
        and rows[0].verdict not in AGREEING
        and _output(rows[0]).dtype.kind != "c"
    ]
    by_rounding = _grouped(own, lambda row, other: alike(row.answer, other.answer))
    for first_rows in by_rounding:
        if len(first_rows) > 1:
            members = [rows for rows in identical if rows[0] in first_rows]
            groups.append(_group("rounding", [row for rows in members for row in rows]))
    if len(by_rounding) > 1:
        groups.append(_group("different", [rows[0] for rows in by_rounding]))
    return tuple(groups)


def _grouped(rows: Sequence[Row], equal: Callable[[Row, Row], bool]) -> list[list[Row]]:
    """The rows in groups of which every two members are equal, in the order of their first."""
    groups: list[list[Row]] = []
    for row in rows:
        group = next((each for each in groups if all(equal(row, other) for other in each)), None)
        if group is None:
            groups.append([row])
        else:
            group.append(row)
    return groups


def _group(relation: str, rows: Sequence[Row]) -> OutputGroup:
    return OutputGroup(relation, tuple(row.answer.name for row in rows))


def _has_numbers(row: Row) -> bool:
    output = row.answer.output
    return row.verdict is not None and output is not None and output.dtype.kind in "fiubc"


def _output(row: Row) -> Array:
    assert row.answer.output is not None
    return row.answer.output


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
