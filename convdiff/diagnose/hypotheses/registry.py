"""Every code with its hypothesis, and the long story of each, taken from its docstring."""

from __future__ import annotations

import inspect
import re
import textwrap

from convdiff.diagnose.hypotheses.base import Hypothesis
from convdiff.diagnose.hypotheses.geometry import GEOMETRY
from convdiff.diagnose.hypotheses.input import INPUT
from convdiff.diagnose.hypotheses.kernel import KERNEL
from convdiff.diagnose.hypotheses.nondeterminism import NotDeterministic
from convdiff.diagnose.hypotheses.operation import OPERATION
from convdiff.diagnose.hypotheses.output_values import OUTPUT
from convdiff.diagnose.hypotheses.precision import ReducedPrecision
from convdiff.errors import one_of
from convdiff.records import Edit

HEADINGS = ("How it shows", "Typical causes", "What tells it apart", "Fix")
WIDTH = 100


def _by_code() -> dict[str, Hypothesis]:
    found: dict[str, Hypothesis] = {}
    families: tuple[tuple[Hypothesis, ...], ...] = (
        KERNEL,
        OPERATION,
        GEOMETRY,
        INPUT,
        OUTPUT,
        (ReducedPrecision(), NotDeterministic()),
    )
    for family in families:
        for hypothesis in family:
            # One code may be several hypotheses; one of them tells the story.
            if hypothesis.code not in found or "Fix:" not in (
                inspect.getdoc(type(found[hypothesis.code])) or ""
            ):
                found[hypothesis.code] = hypothesis
    return found


CODES: dict[str, Hypothesis] = _by_code()


def sentence(edit: Edit) -> str:
    """One edit as a clause in plain words."""
    return CODES[edit["code"]].sentence(edit)


def text(code: str | None) -> str:
    """The story of `code`; without one, every code with its first line.  Raises ConvdiffError for
    an unknown code.
    """
    if code is None:
        width = max(map(len, CODES))
        return "\n".join(f"{name:<{width}}  {_doc(name).splitlines()[0]}" for name in CODES)
    if code not in CODES:
        raise one_of("code", code, CODES)
    return f"{code}\n\n{_laid_out(_doc(code))}"


def _doc(code: str) -> str:
    return inspect.getdoc(type(CODES[code])) or ""


def _laid_out(doc: str) -> str:
    """`doc` with its parts as paragraphs of WIDTH columns, a blank line before each; indented lists
    stay as they are.
    """
    made: list[str] = []
    for part in re.split(rf"^(?=(?:{'|'.join(HEADINGS)}):)", doc, flags=re.MULTILINE):
        prose = [line for line in part.splitlines() if line and not line.startswith(" ")]
        items = [line for line in part.splitlines() if line.startswith(" ")]
        made.append(
            "\n".join(
                [
                    textwrap.fill(
                        " ".join(prose), WIDTH, break_long_words=False, break_on_hyphens=False
                    ),
                    *items,
                ]
            )
        )
    return "\n\n".join(made)
