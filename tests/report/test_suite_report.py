"""The report of a suite as text: golden files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from convdiff.report import suite_report
from tests.report.suites import SUITES


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("width", [48, 80, 120])
def test_the_table_matches_the_golden_file(
    name: str, width: int, golden: Callable[[str, str], None]
) -> None:
    text = suite_report.render(SUITES[name], width)
    golden(f"{name}-{width}.txt", text)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= width
