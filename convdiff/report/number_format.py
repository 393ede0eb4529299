"""Numbers as short text: errors, shares, durations, indices."""

from __future__ import annotations

import math

# Rounding units from which on an element's own terms are no measure of its error.
MAX_UNITS = 1e20


def short(value: float) -> str:
    """At most three significant digits: `0`, `3.1`, `0.412`, `43,200`, `2.4e-07`, `nan`, `inf`."""
    value = float(value)
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    if not 1e-3 <= abs(rounded) < 1e6:
        # From `value`: the largest floats would round to infinity.
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}"
    return f"{rounded:.3g}"


def element(number: float | complex) -> str:
    """An element of an array with seven significant digits: enough to find it in a printout."""
    if isinstance(number, complex):
        return f"{number:.7g}"
    return f"{float(number):.7g}"


def units(amount: float, terms: int) -> str:
    """An error in rounding units, and the bound on them: `3.1 of 27`; `0` for no error.

    `no unit` where the element's products are all zero, or next to nothing, or a value is not
    finite.
    """
    if not amount < MAX_UNITS:
        return "no unit"
    return "0" if amount == 0 else f"{short(amount)} of {terms:,}"


def share(part: int, whole: int) -> str:
    """A share in percent; `0`, `<1%`, `>99%` and `all` keep none and all apart from nearly so."""
    if part == 0:
        return "0"
    if part >= whole:
        return "all"
    percent = 100 * part / whole
    return "<1%" if percent < 1 else ">99%" if percent > 99 else f"{percent:.0f}%"


def duration(seconds: float) -> str:
    """`3 ms`, `1.4 s`, `2 min 5 s`."""
    if seconds < 0.0995:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def index(position: tuple[int, ...]) -> str:
    """`[0, 3, 3, 1]`, also where the numbers are numpy's."""
    return f"[{', '.join(str(int(at)) for at in position)}]"
