"""All hypotheses by family, and by code their sentences and the pages of `convdiff explain`.

The table of each family stands in its module, that of the output in `output_values`.  The
search reads `FAMILIES` anew for each problem, so a hypothesis that is added there is searched for.
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
from convdiff.diagnose.hypotheses.complex_numbers import COMPLEX_NUMBERS
from convdiff.diagnose.hypotheses.geometry import GEOMETRY
from convdiff.diagnose.hypotheses.input import INPUT
from convdiff.diagnose.hypotheses.kernel import KERNEL
from convdiff.diagnose.hypotheses.nondeterminism import NotDeterministic
from convdiff.diagnose.hypotheses.operation import OPERATION
from convdiff.diagnose.hypotheses.output_part import (
    AveragedByCount,
    DepthToSpace,
    InputAdded,
    MultiplierIgnored,
    NotComputed,
    OutputIsInput,
    OutputRolled,
    SpaceToDepth,
    UpdatedInPlace,
)
from convdiff.diagnose.hypotheses.output_values import OUTPUT
from convdiff.diagnose.hypotheses.precision import ReducedPrecision
from convdiff.diagnose.hypotheses.quantized import Quantized
from convdiff.errors import one_of
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec, pairs_text


class Families:
    """The hypotheses of each stage.

    Those of `kernel`, `operation`, `input` and `output` make forms, which the search combines; the
    forms of `geometry` come from `search.geometry_table`; those of `other` are found outside the
    search.
    """

    def __init__(self) -> None:
        self.kernel: tuple[KernelHypothesis, ...] = KERNEL
        self.operation: tuple[OperationHypothesis, ...] = OPERATION
        self.geometry: tuple[GeometryHypothesis, ...] = GEOMETRY
        self.input: tuple[InputHypothesis, ...] = INPUT
        self.output: tuple[OutputHypothesis, ...] = OUTPUT
        self.other: tuple[Hypothesis, ...] = (
            NotComputed(),
            UpdatedInPlace(),
            OutputIsInput(),
            InputAdded(),
            OutputRolled(),
            AveragedByCount(),
            DepthToSpace(),
            SpaceToDepth(),
            MultiplierIgnored(),
            *COMPLEX_NUMBERS,
            ReducedPrecision(),
            Quantized(),
            NotDeterministic(),
        )

    def __iter__(self) -> Iterator[Hypothesis]:
        yield from self.kernel
        yield from self.operation
        yield from self.geometry
        yield from self.input
        yield from self.output
        yield from self.other


FAMILIES = Families()

# The headings of a hypothesis's docstring, in their order, after its first line.
HEADINGS = ("How it shows", "Typical causes", "What tells it apart", "Fix")
# Columns of a printed page.
PAGE_WIDTH = 100
# Columns by which the items of a docstring's list are indented; further ones continue an item.
ITEM_INDENT = 4


def by_code() -> dict[str, Hypothesis]:
    """The hypotheses by their codes.

    Where several share a code, one for each stage in which the mistake can be made, it is the one
    whose docstring is complete.
    """
    hypotheses: dict[str, Hypothesis] = {}
    for hypothesis in FAMILIES:
        earlier = hypotheses.get(hypothesis.code)
        if earlier is None or not _is_complete(earlier):
            hypotheses[hypothesis.code] = hypothesis
    return hypotheses


def sentence(edit: Edit) -> str:
    """The edit as a clause in plain words."""
    return by_code()[edit["code"]].sentence(edit)


def changes_single_values(edit: Edit) -> bool:
    """Whether the edit changes each value of the output by itself, wherever that lies."""
    return by_code()[edit["code"]].changes_single_values


def common_names(edits: tuple[Edit, ...], spec: ConvSpec) -> tuple[str | None, ...]:
    """What people call each of these edits, None where it has no common name.

    A name that several edits share stands with the last of them.  `spec` is the convolution that
    was asked for.
    """
    hypotheses = by_code()
    names = [hypotheses[edit["code"]].common_name(edit, edits, spec) for edit in edits]
    return tuple(None if name in names[at + 1 :] else name for at, name in enumerate(names))


def agreeing_options(edits: tuple[Edit, ...], spec: ConvSpec) -> dict[str, object]:
    """The settings under which an output with these edits agrees; {} where no settings do.

    `spec` is the convolution that was asked for.
    """
    hypotheses = by_code()
    settings: dict[str, object] = {}
    for edit in edits:
        options = hypotheses[edit["code"]].options(edit, spec)
        # Two edits that need one option differently are asked for by none.
        if options is None or any(
            settings.get(name, options[name]) != options[name] for name in options
        ):
            return {}
        settings |= options
    if settings.keys() & {"stride", "dilation", "transposed", "input_layout"} and any(
        map(any, spec.padding)
    ):
        # A padding word that was given may then mean other numbers.
        settings.setdefault("padding", pairs_text(spec.padding))
    return settings


def page(code: str | None) -> str:
    """The page of `convdiff explain` for a code, or a line for every code if it is None.

    Raises ConvdiffError if there is no such code.
    """
    hypotheses = by_code()
    if code is None:
        width = max(map(len, hypotheses))
        return "\n".join(
            f"{known:<{width}}  {_first_line(hypothesis)}"
            for known, hypothesis in hypotheses.items()
        )
    if code not in hypotheses:
        raise one_of("code", code, hypotheses)
    return f"{code}\n\n{_page_text(_docstring(hypotheses[code]))}"


def _docstring(hypothesis: Hypothesis) -> str:
    """The docstring of the hypothesis's class, without its indentation."""
    return inspect.getdoc(type(hypothesis)) or ""


def _first_line(hypothesis: Hypothesis) -> str:
    """The first line of the docstring, which says what happened."""
    return _docstring(hypothesis).partition("\n")[0]


def _is_complete(hypothesis: Hypothesis) -> bool:
    """Whether the docstring has the headings, and so is not one that refers to another."""
    return "Fix:" in _docstring(hypothesis)


def _page_text(docstring: str) -> str:
    """A docstring as text of `PAGE_WIDTH` columns: a paragraph for each heading, then its list."""
    headings = "|".join(HEADINGS)
    sections = re.split(rf"^(?=(?:{headings}):)", docstring, flags=re.MULTILINE)
    return "\n\n".join(map(_section_text, sections))


def _section_text(section: str) -> str:
    """The unindented lines of a section as one paragraph, then the indented ones as a list."""
    lines = [line for line in section.splitlines() if line]
    prose = " ".join(line for line in lines if not line.startswith(" "))
    paragraph = textwrap.fill(prose, PAGE_WIDTH, break_long_words=False, break_on_hyphens=False)
    items: list[str] = []
    for line in (line for line in lines if line.startswith(" ")):
        text = line.strip()
        continues = bool(items) and len(line) - len(line.lstrip()) > ITEM_INDENT
        if continues:
            items[-1] += f" {text}"
        else:
            items.append(line)
    return "\n".join([paragraph, *items])
