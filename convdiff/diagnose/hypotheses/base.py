"""What a hypothesis is: one way in which one stage of a convolution goes wrong.

A hypothesis is one class, and everything about it stands in that class or beside it:

* `code`, and the docstring that `convdiff explain` prints: the first line says what happened; then,
  each under its own heading, "How it shows", "Typical causes", "What tells it apart" and "Fix", a
  line for each framework with code in backticks.
* `forms`: the ways its stage may have been, each with one more edit than the form that it is given.
  A form has a cost: 1 for each edit, and an oddness below 1 that ranks the common before the rare.
  Of an output hypothesis a form carries an `OutputChange`, which says where the convolution's sums
  must lie, or how two of them relate, and which verifies every element and fits what is left open.
* `sentence`: the edit in plain words.
* `common_name`: what people call this mistake, where the edit is a well-known one.
* `shown_by`: which arrays would show it, where a finding cannot be told from its rivals.
* `equivalents`: edits that give the same output whatever the arrays are.

To add one, write the class in its family's module and name it in that module's table; the search,
`explain` and the reports find it there.  Plant it in tests/diagnose/faults.py.  A test holds every
registered hypothesis to this list and says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from convdiff.diagnose.core.forms import InputForm, KernelForm, OperationForm, OutputForm
from convdiff.diagnose.core.problem import Problem
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec

Edits = tuple[Edit, ...]


class Hypothesis:
    """One way to go wrong, as far as explanations and reports are concerned."""

    code: ClassVar[str]
    # The arrays that would show this edit, as a noun phrase: "a bias with no zeros".
    shown_by: ClassVar[str]
    # Its numbers are read off the output, which explains as many values whatever they are.
    is_fitted: ClassVar[bool] = False
    # Codes that are this one under another name: either is right, whatever the arrays are.
    interchangeable_with: ClassVar[tuple[str, ...]] = ()

    def showing_arrays(self, spec: ConvSpec) -> str | None:
        """`shown_by`; None where the asked convolution has that already, and it showed nothing."""
        return self.shown_by

    def sentence(self, edit: Edit) -> str:
        """The edit as a clause in plain words: "the kernel was flipped along H and W"."""
        raise NotImplementedError

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        """What people call this mistake, or who makes it; None where it has no such name.

        `edits` are all edits of the finding, `spec` is the convolution that was asked.
        """
        return None

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """Edits that may stand in the place of this one among `edits`, by algebra."""
        return iter(())


class OperationHypothesis(Hypothesis):
    """Another operation was run than the one asked."""

    def forms(self, problem: Problem, base: OperationForm) -> Iterator[OperationForm]:
        """Forms with one more edit than `base`."""
        raise NotImplementedError


class InputHypothesis(Hypothesis):
    """The input was read or changed in some way."""

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """Forms with one more edit than `base`."""
        raise NotImplementedError


class KernelHypothesis(Hypothesis):
    """The kernel was read or changed in some way."""

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """Forms with one more edit than `base`, for a kernel of this operation."""
        raise NotImplementedError


class GeometryHypothesis(Hypothesis):
    """Windows lay elsewhere than asked.  The forms come from `search/geometry_table.py`.

    The output's size ties stride, padding and dilation together, so they are listed together.
    """


class OutputHypothesis(Hypothesis):
    """The output was written or changed in some way.

    Its forms do not depend on the operation, kernel or geometry beside it, and are made once; its
    verification sees them all (`output_change.Trial`).
    """

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """Forms with one more edit than `base`."""
        raise NotImplementedError


# Edits that may move batch items to other places.
MOVES_THE_BATCH = (
    "output-axes-permuted",
    "output-reshaped",
    "input-axes-permuted",
    "input-reshaped",
)


def without_groups(edits: Edits, problem: Problem) -> bool:
    """Whether neither what was asked nor the edits have more than one group."""
    return problem.spec.groups == 1 and all(edit["code"] != "wrong-groups" for edit in edits)


def listed(items: str | list[str]) -> str:
    """H and W; D, H and W."""
    parts = list(items)
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
