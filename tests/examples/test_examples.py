"""Every example's run.sh prints what the example's README shows; CONVDIFF_REFRESH=1 (make golden)
rewrites what the READMEs show.

The comparison leaves out what differs between machines: times, versions, errors within rounding,
and which rows are the same bit for bit.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/run.sh"))
BLOCK = re.compile(r"```text\n(.*?)```", re.DOTALL)
REFRESH = bool(os.environ.get("CONVDIFF_REFRESH"))


def printed(folder: Path) -> str:
    """What the example's run.sh prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "run.sh"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path, "COLUMNS": "80"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def comparable(text: str) -> list[str]:
    """The lines of a report without what differs between machines."""
    lines = []
    # The rows that are the same bit for bit depend on the processor, and may fill several lines.
    same_rows = re.compile(r"^the same bit for bit:.*(\n  .*)*", re.MULTILINE)
    for line in same_rows.sub("", text).splitlines():
        # A framework may choose its kernels by the processor.
        line = re.sub(r"\bcpu/[\w-]+", "cpu", line)
        line = re.sub(r"reference [\d.]+ m?s", "", line)
        agrees = re.match(r"(\S+) .*[✓≈] (identical|rounding)", line)
        line = f"{agrees[1]} agrees" if agrees else re.sub(r"\d+\.\d\S*", "#", line)
        lines.append(" ".join(line.split()))
    return [
        line
        for line in lines
        if line and "exit code" not in line and line != "see convdiff explain CODE"
    ]


def shown(readme: Path, text: str) -> str:
    """The first block of output in `readme`; with CONVDIFF_REFRESH=1 replaced by `text` before."""
    whole = readme.read_text()
    if REFRESH and text:
        whole = BLOCK.sub(lambda _: f"```text\n{text.rstrip()}\n```", whole, count=1)
        readme.write_text(whole)
    block = BLOCK.search(whole)
    assert block, f"{readme} has no ```text block"
    return block[1]


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_an_example_prints_what_its_readme_shows(folder: Path) -> None:
    text = printed(folder)
    assert comparable(shown(folder / "README.md", text)) == comparable(text)


def test_the_projects_readme_shows_the_second_example() -> None:
    second = next(folder for folder in EXAMPLES if folder.name == "2-numpy-convolve")
    assert comparable(shown(ROOT / "README.md", shown(second / "README.md", ""))) == comparable(
        shown(second / "README.md", "")
    )


# The codes of every finding, in the order of the report.
CODES = {
    "1-overlapping-windows": ["overlap-accumulated"],
    "2-numpy-convolve": ["kernel-flipped"],
    "3-torch-groups": ["wrong-groups", "wrong-groups"],
    "4-theano-flip": ["kernel-flipped"],
    "5-jax-transposed": [
        "input-channels-reversed kernel-axes-permuted",
        "output-channels-reversed",
    ],
}
WORDS = {
    "1-overlapping-windows": ["counts per position: 1 2 2 1"],
    "2-numpy-convolve": ["the kernel was flipped along W"],
    "3-torch-groups": [
        "there were 2 groups instead of 1",
        "or everything was multiplied by 0.5",
        "the kernel's values are all equal",
    ],
    "4-theano-flip": [
        "the kernel was flipped along H and W",
        "obtained -0.04749081, expected -0.09766821",
    ],
    "5-jax-transposed": ["the kernel, WOI, was read as WIO", "channels were reversed"],
}


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_an_examples_readme_has_the_answer(folder: Path) -> None:
    text = " ".join(shown(folder / "README.md", "").split())
    for words in WORDS[folder.name]:
        assert words in text
    lines = [line.split(maxsplit=1) for line in shown(folder / "README.md", "").splitlines()]
    assert [
        " ".join(rest[0].split()) for first, *rest in filter(None, lines) if first == "code"
    ] == CODES[folder.name]


def test_there_are_five_examples() -> None:
    assert [folder.name for folder in EXAMPLES] == list(WORDS)
