"""Every published code is there, and its page is complete."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from convdiff.diagnose.hypotheses.registry import HEADINGS, by_code, page
from convdiff.errors import ConvdiffError

CODES = by_code()
PUBLISHED = """kernel-flipped kernel-not-flipped kernel-axes-permuted kernel-reshaped kernel-channels-reversed input-axes-permuted
output-axes-permuted input-reshaped output-reshaped input-channels-reversed output-channels-reversed input-batch-permuted
output-batch-permuted input-reversed output-channels-permuted input-channels-permuted wrong-padding wrong-pad-mode wrong-stride
wrong-dilation wrong-groups wrong-transposed wrong-output-padding groups-interleaved overlap-accumulated bias-missing bias-added
bias-doubled scaled activation-applied reduced-precision not-deterministic""".split()  # noqa: SIM905


def test_no_published_code_is_lost() -> None:
    assert set(CODES) >= set(PUBLISHED)


# Parts of a fix that are no framework's: what every line beneath "Fix:" may start with.
NAMED = ("numpy", "scipy", "opencv", "torch", "tensorflow", "jax", "theano", "onnx", "environment")


def parts(code: str) -> dict[str, str]:
    """The story's first line under "", and what stands under each heading."""
    first, *rest = page(code).removeprefix(f"{code}\n\n").split("\n\n")
    return {"": first} | dict(part.split(":", 1) for part in rest)


def items(code: str) -> list[tuple[str, str]]:
    """The lines of the fix: the framework and what to do there."""
    lines = parts(code)["Fix"].splitlines()
    return [
        (name, words)
        for name, words in (
            line.strip().split(": ", 1) for line in lines if line.startswith("    ")
        )
    ]


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_tells_what_how_why_and_the_fix(code: str) -> None:
    assert page(code).startswith(f"{code}\n\n")
    told = parts(code)
    assert tuple(told) == ("", *HEADINGS)
    assert told[""].endswith(".")
    assert (
        told[""].replace("\n", " ")
        == page(None).splitlines()[list(CODES).index(code)][len(max(CODES, key=len)) + 2 :]
    )
    for heading in HEADINGS[:3]:
        assert told[heading].strip().endswith(".")
        assert max(map(len, told[heading].splitlines())) <= 100


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_fix_is_told_for_each_framework(code: str) -> None:
    names = [name for name, _ in items(code)]
    assert {"torch", "tensorflow", "jax"} <= set(names)
    assert "numpy" in names or "NumPy" in parts(code)["Fix"]
    assert set(names) <= set(NAMED)
    # Each framework's lines side by side, in one order.
    assert names == sorted(names, key=NAMED.index)


@pytest.mark.parametrize("code", sorted(CODES))
def test_what_stands_in_backticks_is_code(code: str) -> None:
    assert page(code).count("`") % 2 == 0
    fix = parts(code)["Fix"]
    snippets = re.findall("`([^`]*)`", fix)
    assert snippets or "environment" in fix
    assert page(code).count("`") == 2 * len(snippets), "backticks stand in the fix alone"
    for snippet in snippets:
        compile(snippet, f"<{code}>", "exec")


ORDER = (2, 0, 1)


@pytest.mark.parametrize("code", sorted(CODES))
def test_numpys_code_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(3).standard_normal
    # C inputs in G groups of K, as big a batch, as many outputs: every layout fits every snippet.
    known = {
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
        known |= {"input": random((2, 3, 4, 5)), "H": 3, "W": 3}
    for name, words in items(code):
        for snippet in re.findall("`([^`]*)`", words) if name == "numpy" else ():
            exec(snippet, known)


def test_the_list_has_a_line_for_each() -> None:
    assert [line.split()[0] for line in page(None).splitlines()] == list(CODES)


def test_an_unknown_code_names_the_nearest() -> None:
    with pytest.raises(ConvdiffError, match="did you mean kernel-flipped"):
        page("kernel-fliped")
