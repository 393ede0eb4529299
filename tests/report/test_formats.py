"""The formats for machines and pages: golden files, their schemas, and nothing hostile getting
through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema

from convdiff.report import github, json_report, junit, page_html, pixels, suite_table
from convdiff.suite_result import single_case_suite
from tests.report.reports import REPORTS
from tests.report.suites import EVIL, PICTURE, SUITE, SUITES

Golden = Callable[[str, str], None]
JUNIT = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))
SCHEMA = json.loads(files("convdiff.report").joinpath("schema.json").read_text())


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("width", [48, 80, 120])
def test_the_table_is_as_the_golden_file(name: str, width: int, golden: Golden) -> None:
    text = suite_table.render(SUITES[name], width)
    golden(f"{name}-{width}.txt", text)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize(
    ("kind", "render"),
    [
        ("json", json_report.render_suite),
        ("xml", junit.render),
        ("github", github.commands),
        ("md", github.summary_text),
        ("html", page_html.render),
    ],
)
def test_a_format_is_as_the_golden_file(
    name: str, kind: str, render: Callable[..., str], golden: Golden
) -> None:
    golden(f"{name}.{kind}", render(SUITES[name]))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [*map(json_report.render, REPORTS.values()), *map(json_report.render_suite, SUITES.values())],
)
def test_json_fits_the_schema_that_ships(text: str) -> None:
    jsonschema.validate(json.loads(text), SCHEMA)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda suite: suite.pop("exit_code"),
        lambda suite: suite["cases"][1]["rows"][0].update(status="fine"),
        lambda suite: suite["cases"][1]["rows"][-1]["error"].update(units=None),
        lambda suite: suite["cases"][0].pop("name"),
        lambda suite: suite["cases"][1]["rows"][-1]["findings"][0]["edits"][0].pop("code"),
        lambda suite: suite.update(schema="convdiff/2"),
    ],
)
def test_the_schema_refuses_what_is_spoilt(spoil: Callable[[dict[str, object]], object]) -> None:
    suite = json.loads(json_report.render_suite(SUITE))
    spoil(suite)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(suite, SCHEMA)


def test_junit_counts_what_it_holds() -> None:
    """As the readers have it: testsuites > testsuite > testcase, with one failure or error at most."""
    root = ElementTree.fromstring(junit.render(SUITE).encode())
    cases = root.findall("./testsuite/testcase")
    assert root.tag == "testsuites"
    assert [case.get("name") for case in cases][:2] == ["encoder/conv1", "encoder/conv2"]
    for under in root.findall("testsuite"):
        inside = under.findall(".//testcase")
        assert int(under.get("tests", "-1")) == len(inside)
        assert int(under.get("failures", "-1")) == len(under.findall(".//failure"))
        assert int(under.get("errors", "-1")) == len(under.findall(".//error"))
        assert float(under.get("time", "-1")) >= 0
    for case in cases:
        assert {"classname", "name", "time"} == set(case.keys())
        assert [child.tag for child in case] in ([], ["failure"], ["error"])
    failed = cases[1].find("failure")
    assert failed is not None
    assert failed.get("type") == "overlap-accumulated"
    assert "overlapping windows were added up" in str(failed.text)


@pytest.mark.parametrize("name", SUITES)
def test_junit_fits_its_schema(name: str) -> None:
    JUNIT.validate(junit.render(SUITES[name], began=1.5e9, host="builder"))
    assert "allowed: wrong-groups" in junit.render(SUITE)


@pytest.mark.parametrize(
    "spoil",
    [
        ('id="0"', 'id="first"'),
        ("<system-err />", ""),
        ("<testcase ", '<testcase line="3" '),
        ('type="trouble"', ""),
    ],
)
def test_the_schema_of_junit_refuses_what_is_spoilt(spoil: tuple[str, str]) -> None:
    text = junit.render(SUITE)
    assert spoil[0] in text
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        JUNIT.validate(text.replace(*spoil))


def test_junit_holds_any_name() -> None:
    """XML has no escape for most control characters, so they are told as text."""
    names = [
        case.get("name")
        for case in ElementTree.fromstring(junit.render(SUITE).encode()).iter("testcase")
    ]
    assert any(name and "\\x00\\x1b[2J" in name and "<script>" in name for name in names)


def test_annotations_are_one_line_each_and_a_name_cannot_make_one() -> None:
    lines = github.commands(SUITE).splitlines()
    commands = [line for line in lines if line.startswith("::")]
    assert commands == lines[:-1], "a message of several lines is one command"
    assert len(commands) == sum(case.exit_code > 0 for case in SUITE.cases) + 1 + len(SUITE.notes)
    assert "::error file=manifest.toml,line=9,title=convdiff%3A encoder/conv2::" in commands[0]
    assert any(
        "file=manifest.toml,line=22,title=convdiff%3A lost::" in line for line in commands
    ), "the key's line, not the case's 21"
    assert not any(
        "\n" in line or "::error::" in line.partition("::")[2].partition("::")[0]
        for line in commands
    )


def test_a_summary_s_cells_hold_no_broken_entities() -> None:
    assert "&\\#" not in github.summary_text(SUITE)


def test_a_summary_has_no_tag_that_is_not_ours() -> None:
    made = github.summary_text(SUITE)
    assert set(re.findall(r"</?([a-z]+)", made)) == {"details", "summary", "pre"}
    assert all(
        line.count("|") - line.count("\\|") == 5
        for line in made.splitlines()
        if line.startswith("|")
    )


class Page(HTMLParser):
    """The tags and what would load or run something."""

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
    page = Page(page_html.render(SUITE))
    assert not set(page.tags) & {"script", "iframe", "object", "embed", "link", "base", "form"}
    assert page.handlers == []
    assert all(
        address.startswith(("data:image/png;base64,", "#case-")) for address in page.addresses
    )
    assert "url(" not in page_html.render(SUITE)
    assert "</title><script>" in page.text


def test_the_page_tells_all_of_a_case() -> None:
    page = Page(page_html.render(SUITE))
    for said in (
        "overlap-accumulated",
        "obtained 54, expected 27",
        "as asked",
        "as obtained",
        "not told by this output",
        "none.npy: found no such file",
        "encoder/conv3 allows scaled",
        "1,234 elements",
    ):
        assert said in page.text or said in page_html.render(SUITE), said
    assert page.tags.count("article") == 4


def test_one_run_is_a_suite_of_one() -> None:
    made = single_case_suite(REPORTS["flipped"])
    assert (made.exit_code, made.cases[0].state) == (1, "differs")
    assert "np.convolve" in page_html.render(made)
    assert 'tests="1" failures="1"' in junit.render(made)
    assert github.commands(made).startswith(
        "::error title=convdiff%3A run::np.convolve: the kernel was flipped"
    )
    assert EVIL not in page_html.render(made)


def test_a_png_is_one() -> None:
    import base64
    import struct
    import zlib

    data = base64.b64decode(pixels.png(PICTURE.levels).partition(",")[2])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            kind + body
        )
        chunks[kind] = body
        at += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (16, 8)
    lines = zlib.decompress(chunks[b"IDAT"])
    assert [lines[row * 17 + 1] for row in range(8)] == [pixels.step(6.0)] * 8
    assert max(lines) < len(chunks[b"PLTE"]) // 3


@pytest.mark.parametrize(
    ("level", "at"), [(-9, 0), (-5, 1), (-1.5, 2), (0.0, 3), (0.01, 4), (3, 6), (8, 9), (12, 9)]
)
def test_beyond_the_bound_is_another_colour(level: float, at: int) -> None:
    assert pixels.step(level) == at
