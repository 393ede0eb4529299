"""The HTML page: golden files, its contents, and that it loads and runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from convdiff.report import html_report
from convdiff.suite_result import single_case_suite
from tests.report.reports import REPORTS
from tests.report.suites import EVIL, SUITE, SUITES


@pytest.mark.parametrize("name", SUITES)
def test_the_page_matches_the_golden_file(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.html", html_report.render(SUITES[name]))


class ParsedPage(HTMLParser):
    """The tags of a page, its text, and the attributes that would load or run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            value or ""
            for name, value in attrs
            if name in ("src", "href", "action", "data", "srcset")
        ]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_loads_and_runs_nothing() -> None:
    page = ParsedPage(html_report.render(SUITE))
    assert not set(page.tags) & {"script", "iframe", "object", "embed", "link", "base", "form"}
    assert page.handlers == []
    assert all(
        address.startswith(("data:image/png;base64,", "#case-")) for address in page.addresses
    )
    assert "url(" not in html_report.render(SUITE)
    assert "</title><script>" in page.text


def test_the_page_shows_everything_about_a_failing_case() -> None:
    page = ParsedPage(html_report.render(SUITE))
    for words in (
        "overlap-accumulated",
        "obtained 54, expected 27",
        "as asked",
        "as obtained",
        "not determined by this output",
        "none.npy: found no such file",
        "encoder/conv3 allows scaled",
        "1,234 elements",
    ):
        assert words in page.text or words in html_report.render(SUITE), words
    assert page.tags.count("article") == 4


def test_a_single_run_is_a_suite_of_one_case() -> None:
    suite = single_case_suite(REPORTS["flipped"])
    assert (suite.exit_code, suite.cases[0].state) == (1, "differs")
    assert "np.convolve" in html_report.render(suite)
    assert EVIL not in html_report.render(suite)
