"""The wording of a suite: states and conclusions, also of a port's layers."""

from __future__ import annotations

import pytest

from convdiff.report import suite_words
from convdiff.suite_result import CaseResult, Suite

AGREES = CaseResult("conv1", "m.toml:1", 0)
DIFFERS = CaseResult("conv2", "m.toml:2", 1)
TROUBLE = CaseResult("conv3", "m.toml:3", 2, trouble="found no such file")
INPUT_DIFFERS = CaseResult("conv4", "m.toml:4", 1, failure_kind="fed wrong")
MISSING = CaseResult("conv5", "m.toml:5", 1, failure_kind="lost")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (AGREES, "agrees"),
        (DIFFERS, "differs"),
        (TROUBLE, "trouble"),
        (INPUT_DIFFERS, "input differs"),
        (MISSING, "missing"),
    ],
)
def test_state_of_a_case(case: CaseResult, words: str) -> None:
    assert suite_words.state_words(case) == words


@pytest.mark.parametrize(
    ("cases", "conclusion"),
    [
        ((), "nothing was checked"),
        ((AGREES,), "the case agrees"),
        ((AGREES, AGREES), "all 2 cases agree"),
        ((AGREES, DIFFERS, TROUBLE), "1 of 3 cases agrees; 1 differs; 1 could not be checked"),
        ((AGREES, AGREES, MISSING), "2 of 3 cases agree; 1 without a counterpart"),
        ((DIFFERS, INPUT_DIFFERS), "0 of 2 cases agree; 1 differs; 1 with an input that differs"),
        ((INPUT_DIFFERS,), "the convolution agrees on its own, but its input differs"),
        (
            (AGREES, INPUT_DIFFERS),
            "each convolution agrees on its own, but the inputs differ",
        ),
    ],
)
def test_conclusion_of_a_suite(cases: tuple[CaseResult, ...], conclusion: str) -> None:
    code = max((case.exit_code for case in cases), default=2)
    assert suite_words.conclusion(Suite(cases, code, "convdiff check")) == conclusion
