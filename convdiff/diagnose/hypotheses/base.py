"""What a hypothesis is: one way that one stage of a convolution goes wrong, a small class in its
family's file.

Its docstring is its documentation, which `convdiff explain` prints: the first line says what
happened; then come, each under its own heading, how it shows, typical causes, what tells it apart,
and the fix, a line for each framework with code in backticks.  To add one, write the class in the
family's file and name it in that file's tuple; the search and `explain` pick it up.  Plant it in
tests/diagnose/faults.py: a test holds that, and finds it alone and in pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

from convdiff.diagnose.core.forms import InputForm, KernelForm, OperationForm, OutputForm
from convdiff.diagnose.core.problem import Problem
from convdiff.records import Edit


class Hypothesis(Protocol):
    """A finding's code with its story in the docstring, and the sentence for one edit of that code."""

    code: ClassVar[str]

    def sentence(self, edit: Edit) -> str:
        """The edit in plain words, as a clause: "the kernel was flipped along H and W"."""
        ...


class InputHypothesis(Hypothesis, Protocol):
    """One way the input was read or changed."""

    def forms(
        self, problem: Problem, operation: OperationForm, base: InputForm
    ) -> Iterator[InputForm]:
        """Forms with one more edit than `base`."""
        ...


class KernelHypothesis(Hypothesis, Protocol):
    """One way the kernel was read or changed."""

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """Forms with one more edit than `base`."""
        ...


class OutputHypothesis(Hypothesis, Protocol):
    """One way the output was written or changed."""

    def forms(
        self, problem: Problem, operation: OperationForm, base: OutputForm
    ) -> Iterator[OutputForm]:
        """Forms with one more edit than `base`."""
        ...


class OperationHypothesis(Hypothesis, Protocol):
    """One way that another operation was run than the one asked."""

    def forms(self, problem: Problem, base: OperationForm) -> Iterator[OperationForm]:
        """Forms with one more edit than `base`."""
        ...


def listed(items: str | list[str]) -> str:
    """H and W; D, H and W."""
    parts = list(items)
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
