"""Colors and symbols of the tables."""

from __future__ import annotations

import pytest
from rich.color import Color
from rich.style import Style

from convdiff.report.palette import CUBE_STYLES, STATES, UNICODE


def luminance(color: str) -> float:
    channels = [part / 255 for part in Color.parse(color).get_truecolor()]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", [name for name, style in CUBE_STYLES.items() if "color" in style])
def test_every_color_is_readable_on_white_and_on_black(name: str) -> None:
    color = Style.parse(CUBE_STYLES[name]).color
    assert color is not None
    at = luminance(color.name)
    assert min(1.05 / (at + 0.05), (at + 0.05) / 0.05) >= 3.5


def test_every_state_has_a_symbol_and_verdicts_have_different_ones() -> None:
    assert set(UNICODE.states) == set(STATES) - {"running"}
    verdicts = [
        UNICODE.states[verdict]
        for verdict in ("identical", "rounding", "reduced-precision", "different", "incomparable")
    ]
    assert len(set(verdicts)) == 5
