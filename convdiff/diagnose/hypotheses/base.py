"""The base classes of hypotheses: a hypothesis is one way in which one stage can go wrong.

A hypothesis is one class, and everything about it stands in that class or beside it (but for the
forms of the geometry, which `search.geometry_table` lists together, and those of scaled channels,
of scaled operands and of another border, which `fit.channel_scale_search`,
`fit.operand_scale_search` and `fit.border_search` find):

* `code`, the name of its edit.
* Its docstring, which `convdiff explain` prints.  The first line says what happened.  Then come the
  headings "How it shows", "Typical causes", "What tells it apart" and "Fix".  "Fix" is a list with
  one line per framework and code in backticks; a line indented further continues the item above it.
* `forms`: the states in which its stage may have been, each with one more edit than the form that
  is passed in.  A form costs 1 for each edit, plus an oddness below 1 that ranks common mistakes
  before rare ones: 0.05 for what everybody does, 0.1 to 0.2 for what is usual, 0.3 for what is
  rare, 0.4 where an order is read off the output, which explains more by chance.  The form of an
  output hypothesis carries an `OutputChange`, which limits the convolution's sums given the
  obtained values, verifies every element, and fits the numbers that are left open.
* `sentence`: the edit as a clause in plain words.
* `common_name`: the name by which people know the mistake, if it has one.
* `shown_by`: the arrays that would show the edit, if a finding cannot be told from its rivals.
* `equivalents`: edits that give the same output whatever the arrays are.
* `options`: the options that ask for what the edit says was done, where there are any.

To add a hypothesis, write its class in the module of its family and add it to the family's table,
which stands at the end of that module, or of `output_values` for all output hypotheses; the search,
`convdiff explain` and the reports find it there.  Plant the mistake in tests/diagnose/faults.py.  A
test checks every registered hypothesis and names what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from convdiff.diagnose.core.forms import InputForm, KernelForm, OperationForm, OutputForm
from convdiff.diagnose.core.problem import Problem
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec

Edits = tuple[Edit, ...]

# Numbers of a list that a sentence shows.
MAX_SHOWN_INDICES = 8
MAX_SHOWN_VALUES = 4


class Hypothesis:
    """One way to go wrong: its code, its words and its equivalents, without the forms."""

    code: ClassVar[str]
    # The arrays that would show this edit, as a noun phrase: "a bias with no zeros".
    shown_by: ClassVar[str]
    # The kernel that made the output may be another than the one asked for.
    changes_kernel: ClassVar[bool] = False
    # Output channels are in another order, or have other kernels: see `explain.equivalents`.
    moves_output_channels: ClassVar[bool] = False
    # The bias that was asked for is added otherwise, or scaled.
    changes_bias: ClassVar[bool] = False
    # It changes each value of the output by itself, wherever that lies: two such edits often come
    # together, as a magnitude that is then stored as a whole number, and any beside a restored one.
    changes_single_values: ClassVar[bool] = False
    # A field has one number for each output channel, or for each batch item.
    numbers_output_channels: ClassVar[bool] = False
    numbers_items: ClassVar[bool] = False
    # An output that is restored before the search may be explained by it instead.
    may_look_restored: ClassVar[bool] = False
    # Other code of the same framework would not help: a setting or the algorithm is to blame.
    has_no_fix: ClassVar[bool] = False
    # Codes under which the same mistake may be reported, whatever the arrays are.
    interchangeable_with: ClassVar[tuple[str, ...]] = ()

    def is_fitted(self, edit: Edit) -> bool:
        """Whether numbers of the edit are fitted to the output: then a match is weaker evidence."""
        return False

    def only_rounds(self, edit: Edit) -> bool:
        """Whether the edit moves values by no more than rounding does: then it is no difference."""
        return False

    def showing_arrays(self, spec: ConvSpec) -> str | None:
        """`shown_by`; None if the convolution that was asked for, `spec`, has that property."""
        return self.shown_by

    def sentence(self, edit: Edit) -> str:
        """The edit as a clause in plain words: "the kernel was flipped along H and W"."""
        raise NotImplementedError

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        """What people call this mistake, or which library makes it; None if it has no such name.

        `edits` are all edits of the finding; `spec` is the convolution that was asked for.
        """
        return None

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """Edits that can replace `edit` among `edits` without changing the output, by algebra."""
        return iter(())

    def options(self, edit: Edit, spec: ConvSpec) -> dict[str, object] | None:
        """The settings that ask for what was done, by option name; None where there are none."""
        return None


class OperationHypothesis(Hypothesis):
    """Another operation was run than asked for."""

    changes_kernel: ClassVar[bool] = True

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

    changes_kernel: ClassVar[bool] = True

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """Forms with one more edit than `base`, which is a kernel of `operation`."""
        raise NotImplementedError


class GeometryHypothesis(Hypothesis):
    """The windows were at other positions than asked for.

    Its forms come from `search.geometry_table`, since the size of the output ties stride, padding
    and dilation together.
    """


class OutputHypothesis(Hypothesis):
    """The output was written or changed in some way.

    Its forms are made once, because they do not depend on the operation, kernel and geometry with
    which they are combined; their changes see those when they verify a candidate
    (`output_change.WholeOutput`).  Forms with two edits arise in the order of the family's table: a
    hypothesis extends only the forms of those before it, and most extend only a form whose change
    is still `UNCHANGED`.
    """

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """Forms with one more edit than `base`."""
        raise NotImplementedError


# Codes of edits that may move batch items to other places.
CODES_THAT_MOVE_THE_BATCH = (
    "output-axes-permuted",
    "output-reshaped",
    "input-axes-permuted",
    "input-reshaped",
)


def has_one_group(edits: Edits, problem: Problem) -> bool:
    """Whether one group was asked for, and no edit changes that."""
    return problem.spec.groups == 1 and all(edit["code"] != "wrong-groups" for edit in edits)


def input_channels_are_padded_alike(edits: Edits, problem: Problem) -> bool:
    """Whether the padding holds the same when the input's channels are reversed."""
    numbers: Any = problem.spec.pad_value
    for edit in edits:
        if edit["code"] == "wrong-pad-value":
            # It is absent until the numbers have been read off.
            numbers = edit.get("obtained", numbers)
    return not isinstance(numbers, list | tuple) or list(numbers) == list(numbers)[::-1]


def exchanged_channel_letters(layout: str) -> str:
    """The kernel layout with the letters I and O exchanged."""
    return layout.translate(str.maketrans("IO", "OI"))


def enumeration(items: str | list[str]) -> str:
    """The items as English text: "H", "H and W" or "D, H and W"."""
    parts = list(items)
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def first_indices(indices: Sequence[int]) -> str:
    """The first `MAX_SHOWN_INDICES` indices as text, followed by "..." if there are more."""
    shown = ", ".join(map(str, indices[:MAX_SHOWN_INDICES]))
    return shown + (", ..." if len(indices) > MAX_SHOWN_INDICES else "")


def first_values(values: Sequence[float]) -> str:
    """The first `MAX_SHOWN_VALUES` values as text, followed by "..." if there are more."""
    shown = ", ".join(f"{value:.4g}" for value in values[:MAX_SHOWN_VALUES])
    return shown + (", ..." if len(values) > MAX_SHOWN_VALUES else "")
