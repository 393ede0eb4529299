"""The report files of a run, and errors where one cannot be written."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.cli.conftest import Invoke

RUN = (
    "run",
    "x.npy",
    "w.npy",
    "--padding",
    "1",
    "--backend",
    "none",
    "--saved",
    "port=flipped.npy",
)


def test_all_report_files_are_written_in_one_run(invoke: Invoke) -> None:
    result = invoke(*RUN, "--json", "r.json", "--junit", "r.xml", "--html", "r.html")
    assert result.exit_code == 1
    assert json.loads(Path("r.json").read_text())["rows"][0]["name"] == "port"
    case = ElementTree.parse("r.xml").find("./testsuite/testcase/failure")
    assert case is not None
    assert case.get("type") == "kernel-flipped"
    page = Path("r.html").read_text()
    assert "the kernel was flipped along H and W" in page
    assert "as obtained" in page, "the page shows the kernel that made the output"
    assert not list(Path().glob(".*.tmp"))


def test_github_format_annotates_and_appends_a_summary(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")
    result = invoke(*RUN, "--format", "github")
    assert (
        result.stdout.splitlines()[0]
        == "::error title=convdiff%3A run::port: the kernel was flipped along H and W%0A"
        + (result.stdout.splitlines()[0].partition("%0A")[2])
    )
    written = Path("summary.md").read_text()
    assert written.startswith("before\n### ❌ convdiff: 0 of 1 cases agree; 1 differs")


def test_the_map_shows_where_the_output_differs(invoke: Invoke) -> None:
    y = np.load("y.npy")
    y[:, :, 2:4, 1:3] += 1
    np.save("spot.npy", y)
    lines = invoke(
        "run", "x.npy", "w.npy", "--padding", "1", "--backend", "none", "--saved", "spot.npy"
    ).stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  map"))
    assert [line[11:] for line in lines[at : at + 6]] == [
        "·······",
        "·······",
        "·██····",
        "·██····",
        "·······",
        "·······",
    ]


@pytest.mark.parametrize("option", ["--json", "--junit", "--html"])
def test_a_file_that_cannot_be_written_is_an_error_before_any_work(
    option: str, invoke: Invoke
) -> None:
    result = invoke(*RUN, option, "no/where")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"convdiff: {option} no/where: found no directory")


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "the same file": (
        ("--json", "r", "--html", "r"),
        "--html r: found the destination of --json r, expected a file for each report",
    ),
    "the same file spelled differently": (
        ("--json", "r", "--junit", "./r"),
        "--junit ./r: found the destination of --json r",
    ),
    "stdout twice": (
        ("--json", "-", "--junit", "-"),
        "--junit -: found the destination of --json -",
    ),
    "stdout and --format": (
        ("--json", "-", "--format", "json"),
        "--json -: found the destination of --format json",
    ),
    "an array": (
        ("--json", "x.npy"),
        "--json x.npy: found the name of an array, expected the name of a report file",
    ),
    "an array with a slash": (("--html", "x.npy/"), "--html x.npy/: found the name of an array"),
    "an empty name": (("--junit", ""), "--junit '': found an empty name"),
    "a loop of links": (("--json", "loop"), "--json loop: found a path that cannot be resolved"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_report_does_not_overwrite_an_array_or_another_report(name: str, invoke: Invoke) -> None:
    Path("loop").symlink_to("loop")
    args, message = REFUSED[name]
    before = Path("x.npy").read_bytes()
    result = invoke(*RUN, *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"convdiff: {message}")
    assert Path("x.npy").read_bytes() == before


def test_several_reports_may_go_to_one_device(invoke: Invoke) -> None:
    assert invoke(*RUN, "--json", "/dev/null", "--html", "/dev/null").exit_code == 1


def test_a_report_on_stdout_moves_the_table_to_stderr(invoke: Invoke) -> None:
    result = invoke(*RUN, "--junit", "-")
    assert ElementTree.fromstring(result.stdout.encode()).tag == "testsuites"
    assert "kernel-flipped" in result.stderr
