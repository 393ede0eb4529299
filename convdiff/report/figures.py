"""Numbers as a table shows them: short, three significant digits, the same width where it can be."""

from __future__ import annotations

import math


def short(value: float) -> str:
    """`0`, `3.1`, `0.412`, `43,200`, `2.4e-07`, `nan`, `inf`: three significant digits at most."""
    value = float(value)
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    if not 1e-3 <= abs(rounded) < 1e6:
        # Not of the rounded number, which the largest of all rounds beyond.
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}"
    return f"{rounded:.3g}"


def value(number: float) -> str:
    """An array's element, long enough to be looked up in a print of it: seven significant digits."""
    return f"{float(number):.7g}"


def units(amount: float, terms: int) -> str:
    """`3.1 of 27`: multiples of the rounding unit, and the bound; `0` where there is no error at
    all.
    """
    return "0" if amount == 0 else f"{short(amount)} of {terms:,}"


def share(part: int, whole: int) -> str:
    """`0`, `12%`, `all`; never rounded to nothing or to everything: `<1%`, `>99%`."""
    if part == 0:
        return "0"
    if part >= whole:
        return "all"
    percent = 100 * part / whole
    return "<1%" if percent < 1 else ">99%" if percent > 99 else f"{percent:.0f}%"


def seconds(spent: float) -> str:
    """`3 ms`, `1.4 s`, `2 min 5 s`."""
    if spent < 0.0995:
        return f"{max(1, round(spent * 1000))} ms"
    if spent < 60:
        return f"{spent:.2g} s" if spent < 9.95 else f"{spent:.0f} s"
    minutes, rest = divmod(round(spent), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def index(position: tuple[int, ...]) -> str:
    """`[0, 3, 3, 1]`, with plain numbers whatever their type."""
    return f"[{', '.join(str(int(at)) for at in position)}]"
