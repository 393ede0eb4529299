"""Every published code is there, and its page in `convdiff explain` is complete."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from convdiff.diagnose.hypotheses.registry import HEADINGS, PAGE_WIDTH, by_code, page
from convdiff.errors import ConvdiffError

HYPOTHESES = by_code()
PUBLISHED_CODES = {
    "activation-applied",
    "bias-added",
    "bias-doubled",
    "bias-missing",
    "groups-interleaved",
    "input-axes-permuted",
    "input-batch-permuted",
    "input-channels-permuted",
    "input-channels-reversed",
    "input-reshaped",
    "input-reversed",
    "kernel-axes-permuted",
    "kernel-channels-reversed",
    "kernel-flipped",
    "kernel-not-flipped",
    "kernel-reshaped",
    "not-deterministic",
    "output-axes-permuted",
    "output-batch-permuted",
    "output-channels-permuted",
    "output-channels-reversed",
    "output-reshaped",
    "overlap-accumulated",
    "reduced-precision",
    "scaled",
    "wrong-dilation",
    "wrong-groups",
    "wrong-output-padding",
    "wrong-pad-mode",
    "wrong-padding",
    "wrong-stride",
    "wrong-transposed",
}
# What an item of a fix may start with, in the order in which the items stand.
FIX_NAMES = (
    "numpy",
    "scipy",
    "opencv",
    "torch",
    "tensorflow",
    "jax",
    "theano",
    "onnx",
    "environment",
)


def test_no_published_code_is_lost() -> None:
    assert set(HYPOTHESES) >= PUBLISHED_CODES


def sections(code: str) -> dict[str, str]:
    """The text of a page by heading; the first line, which has none, stands under ""."""
    first, *rest = page(code).removeprefix(f"{code}\n\n").split("\n\n")
    return {"": first} | dict(section.split(":", 1) for section in rest)


def fixes(code: str) -> list[tuple[str, str]]:
    """The items of the fix: the framework and what to do there."""
    lines = sections(code)["Fix"].splitlines()
    items = (line.strip().split(": ", 1) for line in lines if line.startswith("    "))
    return [(name, text) for name, text in items]


def code_snippets(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall("`([^`]*)`", text)


@pytest.mark.parametrize("code", sorted(HYPOTHESES))
def test_a_page_has_a_first_line_and_every_heading(code: str) -> None:
    assert page(code).startswith(f"{code}\n\n")
    texts = sections(code)
    assert tuple(texts) == ("", *HEADINGS)
    for heading in ("", *HEADINGS[:3]):
        text = texts[heading].strip()
        assert text.endswith(".")
        assert max(map(len, text.splitlines())) <= PAGE_WIDTH


@pytest.mark.parametrize("code", sorted(HYPOTHESES))
def test_the_first_line_of_a_docstring_is_the_code_s_line_in_the_list(code: str) -> None:
    docstring = inspect.getdoc(type(HYPOTHESES[code])) or ""
    first, *rest = docstring.splitlines()
    assert rest[0] == "", "the first sentence fits into one line"
    lines = {line.split()[0]: line for line in page(None).splitlines()}
    assert lines[code].removeprefix(code).strip() == first == sections(code)[""]
    assert len(lines[code]) <= PAGE_WIDTH


@pytest.mark.parametrize("code", sorted(HYPOTHESES))
def test_a_page_has_a_fix_for_every_framework(code: str) -> None:
    names = [name for name, _ in fixes(code)]
    assert {"torch", "tensorflow", "jax"} <= set(names)
    assert "numpy" in names or "NumPy" in sections(code)["Fix"]
    assert set(names) <= set(FIX_NAMES)
    assert names == sorted(names, key=FIX_NAMES.index)


@pytest.mark.parametrize("code", sorted(HYPOTHESES))
def test_backticks_enclose_code_and_stand_in_the_fix_only(code: str) -> None:
    fix = sections(code)["Fix"]
    snippets = code_snippets(fix)
    assert snippets or "environment" in fix
    assert page(code).count("`") == 2 * len(snippets)
    for snippet in snippets:
        compile(snippet, f"<{code}>", "exec")


# An order of three channels or items.
ORDER = (2, 0, 1)


@pytest.mark.parametrize("code", sorted(HYPOTHESES))
def test_the_numpy_code_of_a_fix_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(3).standard_normal
    # Sizes with which every snippet fits, whatever layout it takes: C inputs in G groups of K.
    variables = {
        "np": np,
        "input": random((3, 6, 6, 6)),
        "kernel": random((3, 3, 3, 3)),
        "output": random((3, 3, 8, 8)),
        "bias": random(3),
        "N": 3,
        "C": 6,
        "G": 3,
        "K": 2,
        "O": 3,
        "I": 3,
        "H": 6,
        "W": 6,
        "permutation": ORDER,
        "order": ORDER,
        "files": ["b", "a"],
        "gamma": random(3),
        "variance": np.ones(3),
        "epsilon": 1e-3,
        "tile": random((3, 3, 2, 2)),
        "i": 1,
        "j": 2,
        "h": 2,
        "w": 2,
    }
    if code in ("input-channels-permuted", "kernel-reshaped"):
        variables |= {"input": random((2, 3, 4, 5)), "H": 3, "W": 3}
    for name, text in fixes(code):
        for snippet in code_snippets(text) if name == "numpy" else ():
            exec(snippet, variables)


def test_the_list_has_a_line_for_each_code() -> None:
    assert [line.split()[0] for line in page(None).splitlines()] == list(HYPOTHESES)


def test_an_unknown_code_names_the_nearest() -> None:
    with pytest.raises(ConvdiffError, match="did you mean kernel-flipped"):
        page("kernel-fliped")
