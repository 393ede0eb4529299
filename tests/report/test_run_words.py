"""The wording of a run: conclusions, exit codes, rivals."""

from __future__ import annotations

import pytest

from convdiff.records import Finding
from convdiff.report import run_words
from tests.report.reports import REPORTS


@pytest.mark.parametrize(
    ("name", "conclusion", "meaning"),
    [
        ("agreeing", "both agree", "all agree"),
        (
            "overlap",
            "4 of 7 agree; 2 differ: overlap accumulated; 1 is unavailable",
            "at least one differs",
        ),
        (
            "transposed",
            "2 of 3 agree; 1 differs: kernel flipped and kernel channels reversed",
            "at least one differs",
        ),
        ("empty", "nothing was compared", "nothing was compared"),
        (
            "awkward",
            "3 of 12 agree; 3 differ: wrong padding and bias missing, unexplained; 1 cannot be "
            "compared; 1 has reduced precision: "
            "tf32; 1 is unsupported; 1 failed; 1 crashed; 1 timed out",
            "a required backend or call could not run",
        ),
    ],
)
def test_conclusion_and_exit_code_of_a_run(name: str, conclusion: str, meaning: str) -> None:
    assert run_words.conclusion(REPORTS[name].rows) == conclusion
    assert run_words.exit_code_words(REPORTS[name]) == meaning


@pytest.mark.parametrize(
    ("name", "row", "conclusion"),
    [
        ("agreeing", 0, "it agrees"),
        ("groups", -1, "it differs: wrong groups"),
        ("awkward", 3, "it has reduced precision: tf32"),
        ("awkward", 4, "it crashed"),
        ("awkward", 10, "it differs: unexplained"),
        ("overlap", 4, "it is unavailable"),
    ],
)
def test_conclusion_of_a_single_row(name: str, row: int, conclusion: str) -> None:
    assert run_words.conclusion([REPORTS[name].rows[row]]) == conclusion


def test_rivals_beyond_the_first_four_are_counted() -> None:
    rivals = tuple(({"code": "scaled", "factor": float(n)},) for n in range(7))
    words = "; or ".join(f"everything was multiplied by {n}" for n in range(4))
    assert run_words.rivals_words(Finding((), "", rivals=rivals)) == (
        f"these arrays cannot tell this from: {words}; and 3 more"
    )


def test_other_fills_of_the_padding_are_told_once() -> None:
    def mode(obtained: str | list[str]) -> dict[str, object]:
        return {"code": "wrong-pad-mode", "asked": "constant", "obtained": obtained}

    rounded = {"code": "stored-as-integer", "type": "uint8", "rounding": "down", "saturated": True}
    finding = Finding(
        (mode("edge"),),
        "",
        rivals=(
            (mode("symmetric"),),
            (mode(["symmetric", "edge"]),),
            (mode("edge"), rounded),
            (mode("symmetric"), rounded),
        ),
    )
    words = run_words.rivals_words(finding)
    assert "the padding was filled by 'symmetric', along all axes or some; or" in words
    assert words.count("the padding was filled by") == 2
    assert "more" not in words
