"""The colours and signs of the table.

The colours are of the 256-colour cube's middle: each has a contrast of at least 3.5 on white and on
black, so that none vanishes on either (a test holds it).  Terminals with 16 colours get the names
that their own theme makes readable. Each verdict has a sign and a word beside its colour, for
readers who do not see the colour and for pipes.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

CUBE = MappingProxyType(
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
NAMED = MappingProxyType(
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

# What a row came to: the style of its sign and word.
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
    """The few characters outside ASCII, and what stands for them where the output cannot carry
    them.
    """

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
