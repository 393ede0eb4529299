"""The colors and symbols of the tables.

The colors are from the middle of the 256-color cube: each has a contrast of at least 3.5 against
white and against black, so that it can be read on both (a test checks it).  Terminals with 16
colors get color names, which their theme makes readable.  Each verdict has a symbol and a word
besides its color, for pipes and for readers who do not see the color.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

CUBE_STYLES = MappingProxyType(
    {
        "good": "color(28)",
        "warn": "color(130)",
        "bad": "bold color(167)",
        "dim": "color(243)",
        "accent": "color(32)",
        "string": "color(28)",
        "keyword": "color(133)",
        "comment": "italic color(243)",
        "number": "color(130)",
        "strong": "bold",
        "plain": "",
    }
)
ANSI_STYLES = MappingProxyType(
    {
        "good": "green",
        "warn": "magenta",
        "bad": "bold red",
        "dim": "dim",
        "accent": "blue",
        "string": "green",
        "keyword": "magenta",
        "comment": "dim italic",
        "number": "",
        "strong": "bold",
        "plain": "",
    }
)

# The style of each verdict and status: of its symbol and its word.
STATES = MappingProxyType(
    {
        "identical": "good",
        "rounding": "good",
        "reduced-precision": "warn",
        "different": "bad",
        "incomparable": "bad",
        "unavailable": "dim",
        "unsupported": "dim",
        "failed": "bad",
        "crashed": "bad",
        "timeout": "bad",
        "running": "accent",
    }
)


class Glyphs(NamedTuple):
    """The symbols of the tables, in one alphabet; `states` are by verdict and status."""

    states: MappingProxyType[str, str]
    rule: str
    dot: str
    spinner: str


UNICODE = Glyphs(
    MappingProxyType(
        {
            "identical": "✓",
            "rounding": "≈",
            "reduced-precision": "↓",
            "different": "✗",
            "incomparable": "?",
            "unavailable": "–",
            "unsupported": "–",
            "failed": "!",
            "crashed": "!",
            "timeout": "!",
        }
    ),
    rule="─",
    dot=" · ",
    spinner="⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏",
)
ASCII = Glyphs(
    MappingProxyType(
        {
            "identical": "=",
            "rounding": "~",
            "reduced-precision": "v",
            "different": "x",
            "incomparable": "?",
            "unavailable": "-",
            "unsupported": "-",
            "failed": "!",
            "crashed": "!",
            "timeout": "!",
        }
    ),
    rule="-",
    dot=", ",
    spinner="|/-\\",
)
