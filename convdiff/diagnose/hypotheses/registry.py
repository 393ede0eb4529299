"""Every hypothesis, by family; and by code, its words and the page that `convdiff explain` prints.

The families' tables stand in their modules.  The search asks `FAMILIES` each time, so that what is
added there is searched for.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

from convdiff.diagnose.hypotheses.base import (
    GeometryHypothesis,
    Hypothesis,
    InputHypothesis,
    KernelHypothesis,
    OperationHypothesis,
    OutputHypothesis,
)
from convdiff.diagnose.hypotheses.geometry import GEOMETRY
from convdiff.diagnose.hypotheses.input import INPUT
from convdiff.diagnose.hypotheses.kernel import KERNEL
from convdiff.diagnose.hypotheses.nondeterminism import NotDeterministic
from convdiff.diagnose.hypotheses.operation import OPERATION
from convdiff.diagnose.hypotheses.output_values import OUTPUT
from convdiff.diagnose.hypotheses.precision import ReducedPrecision
from convdiff.errors import one_of
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec


class Families:
    """The hypotheses of each stage.

    Those of `kernel`, `operation`, `input` and `output` make forms that the search multiplies out;
    `geometry` has its tables in `search/geometry_table.py`; `other` are found beside the search.
    """

    def __init__(self) -> None:
        self.kernel: tuple[KernelHypothesis, ...] = KERNEL
        self.operation: tuple[OperationHypothesis, ...] = OPERATION
        self.geometry: tuple[GeometryHypothesis, ...] = GEOMETRY
        self.input: tuple[InputHypothesis, ...] = INPUT
        self.output: tuple[OutputHypothesis, ...] = OUTPUT
        self.other: tuple[Hypothesis, ...] = (ReducedPrecision(), NotDeterministic())

    def __iter__(self) -> Iterator[Hypothesis]:
        yield from self.kernel
        yield from self.operation
        yield from self.geometry
        yield from self.input
        yield from self.output
        yield from self.other


FAMILIES = Families()

# What a docstring tells under headings of their own, after its first line.
HEADINGS = ("How it shows", "Typical causes", "What tells it apart", "Fix")
# Columns of a printed page.
PAGE_WIDTH = 100


def by_code() -> dict[str, Hypothesis]:
    """The hypothesis of each code.

    Where several have one code, as one for each stage that may be wrong so, it is the one whose
    docstring tells the whole story.
    """
    found: dict[str, Hypothesis] = {}
    for hypothesis in FAMILIES:
        known = found.get(hypothesis.code)
        if known is None or not _is_complete(known):
            found[hypothesis.code] = hypothesis
    return found


def sentence(edit: Edit) -> str:
    """One edit as a clause in plain words."""
    return by_code()[edit["code"]].sentence(edit)


def common_names(edits: tuple[Edit, ...], spec: ConvSpec) -> tuple[str, ...]:
    """What people call these edits, where they are well-known ones; `spec` is what was asked."""
    known = by_code()
    names = (known[edit["code"]].common_name(edit, edits, spec) for edit in edits)
    return tuple(dict.fromkeys(name for name in names if name))


def page(code: str | None) -> str:
    """The page on `code`; without one, a line for every code.  ConvdiffError for an unknown code."""
    known = by_code()
    if code is None:
        width = max(map(len, known))
        return "\n".join(f"{name:<{width}}  {_first_line(known[name])}" for name in known)
    if code not in known:
        raise one_of("code", code, known)
    return f"{code}\n\n{_laid_out(_docstring(known[code]))}"


def _docstring(hypothesis: Hypothesis) -> str:
    return inspect.getdoc(type(hypothesis)) or ""


def _first_line(hypothesis: Hypothesis) -> str:
    return _docstring(hypothesis).split("\n\n")[0].replace("\n", " ")


def _is_complete(hypothesis: Hypothesis) -> bool:
    return "Fix:" in _docstring(hypothesis)


def _laid_out(doc: str) -> str:
    """A docstring as paragraphs, one for each heading, with the lines of the fix as a list.

    A line that is indented further than the list belongs to the item above it.
    """
    parts: list[str] = []
    for part in re.split(rf"^(?=(?:{'|'.join(HEADINGS)}):)", doc, flags=re.MULTILINE):
        lines = [line for line in part.splitlines() if line]
        prose = " ".join(line for line in lines if not line.startswith(" "))
        paragraph = textwrap.fill(prose, PAGE_WIDTH, break_long_words=False, break_on_hyphens=False)
        items: list[str] = []
        for line in (line for line in lines if line.startswith(" ")):
            continues = items and len(line) - len(line.lstrip()) > 4
            if continues:
                items[-1] += f" {line.strip()}"
            else:
                items.append(line)
        parts.append("\n".join([paragraph, *items]))
    return "\n\n".join(parts)
