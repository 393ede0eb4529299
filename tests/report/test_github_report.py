"""Workflow commands and the job summary for GitHub Actions."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from convdiff.report import github_report
from convdiff.suite_result import single_case_suite
from tests.report.reports import REPORTS
from tests.report.suites import SUITE, SUITES


@pytest.mark.parametrize("name", SUITES)
def test_commands_and_summary_match_the_golden_files(
    name: str, golden: Callable[[str, str], None]
) -> None:
    golden(f"{name}.github", github_report.commands(SUITES[name]))
    golden(f"{name}.md", github_report.summary_text(SUITES[name]))


def test_each_command_is_one_line_and_a_name_cannot_add_one() -> None:
    lines = github_report.commands(SUITE).splitlines()
    commands = [line for line in lines if line.startswith("::")]
    assert commands == lines[:-1], "a message of several lines is one command"
    assert len(commands) == sum(case.exit_code > 0 for case in SUITE.cases) + 1 + len(SUITE.notes)
    assert "::error file=manifest.toml,line=9,title=convdiff%3A encoder/conv2::" in commands[0]
    assert any(
        "file=manifest.toml,line=22,title=convdiff%3A lost::" in line for line in commands
    ), "the annotated line is that of the key at fault, not the case's 21"
    assert not any(
        "\n" in line or "::error::" in line.partition("::")[2].partition("::")[0]
        for line in commands
    )


def test_the_summary_has_no_broken_entities() -> None:
    assert "&\\#" not in github_report.summary_text(SUITE)


def test_the_summary_has_no_tags_from_outside() -> None:
    text = github_report.summary_text(SUITE)
    assert set(re.findall(r"</?([a-z]+)", text)) == {"details", "summary", "pre"}
    assert all(
        line.count("|") - line.count("\\|") == 5
        for line in text.splitlines()
        if line.startswith("|")
    )


def test_a_single_run_is_a_suite_of_one_case() -> None:
    assert github_report.commands(single_case_suite(REPORTS["flipped"])).startswith(
        "::error title=convdiff%3A run::np.convolve: the kernel was flipped"
    )
