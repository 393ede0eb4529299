"""What constant padding holds: a number, or one for each input channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from convdiff.errors import ConvdiffError

PadValue = float | tuple[float, ...]


def parse_pad_value(value: object) -> PadValue:
    """The value of --pad-value from None (zero), `5`, `"1,2.5,0"` or `[1, 2.5, 0]`.

    Numbers that are all equal become one number, and whole numbers ints.  Raises ConvdiffError for
    anything else.
    """
    if value is None:
        return 0
    given = value
    if hasattr(value, "tolist"):
        value = value.tolist()
    parts: Sequence[Any]
    if isinstance(value, str):
        parts = value.split(",")
    else:
        parts = value if isinstance(value, list | tuple) else [value]
    numbers = tuple(_number(part, given) for part in parts)
    if not numbers:
        raise _unreadable(given)
    return numbers[0] if len(set(numbers)) == 1 else numbers


def pad_value_text(value: PadValue) -> str:
    """The numbers as --pad-value takes them: `5`, or `1,2.5,0`."""
    return ",".join(f"{_plain(number)!r}" for number in channel_values(value))


def channel_values(value: PadValue) -> tuple[float, ...]:
    """The numbers: one for each channel, or a single one for all."""
    return value if isinstance(value, tuple) else (value,)


def values_of_channels(value: PadValue, channels: int) -> tuple[float, ...]:
    """One number for each of so many channels; zeros if `value` has another count of numbers."""
    numbers = channel_values(value)
    if len(numbers) == channels:
        return numbers
    return numbers * channels if len(numbers) == 1 else (0,) * channels


def _number(part: Any, given: object) -> float:
    if isinstance(part, bool) or not isinstance(part, str | int | float):
        raise _unreadable(given)
    try:
        number = float(part)
    except (OverflowError, ValueError):
        raise _unreadable(given) from None
    if not math.isfinite(number):
        raise ConvdiffError(f"--pad-value: found {part}, expected a finite number")
    return _plain(number)


def _plain(number: float) -> float:
    """A whole number as an int, which has no decimal point in code and reports."""
    return int(number) if number == int(number) and abs(number) < 2**53 else number


def _unreadable(given: object) -> ConvdiffError:
    return ConvdiffError(
        f"--pad-value: found {given!r}, expected a number: 5, or one per input channel: 1,2,3"
    )
