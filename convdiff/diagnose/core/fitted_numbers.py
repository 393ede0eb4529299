"""Numbers that were fitted to an output, as a person would write them."""

from __future__ import annotations


def shortest_between(low: float, high: float) -> float:
    """The number in an interval that takes the fewest digits to write."""
    middle = (low + high) / 2
    for digits in range(1, 17):
        number = float(f"{middle:.{digits}g}")
        if low <= number <= high:
            return number
    return middle
