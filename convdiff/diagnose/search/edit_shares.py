"""How a number of edits is split among the stages, and how edits of one stage are combined."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TypeVar

from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.hypotheses.base import Hypothesis

H = TypeVar("H", bound=Hypothesis)
F = TypeVar("F", InputForm, KernelForm, OutputForm)

# Three mistakes in one stage are too rare to be searched for.
MAX_INPUT_EDITS, MAX_GEOMETRY_EDITS = 2, 2


def split_edits(edits: int, stacked: bool, operation_edits: int) -> Iterator[tuple[int, int, int]]:
    """Splits `edits` among input, kernel and geometry: yields (input, kernel, geometry) counts.

    The kernel's count includes the `operation_edits` of its operation.  Splits with two edits of
    the input, or two of the kernel itself, are yielded only if `stacked`, and no others then.  The
    input has two edits only if these are all of `edits`.
    """
    for input_edits, geometry_edits in itertools.product(
        range(min(edits, MAX_INPUT_EDITS) + 1), range(min(edits, MAX_GEOMETRY_EDITS) + 1)
    ):
        kernel_edits = edits - input_edits - geometry_edits
        is_stacked = input_edits > 1 or kernel_edits - operation_edits > 1
        if kernel_edits >= 0 and (input_edits <= 1 or edits == 2) and is_stacked == stacked:
            yield input_edits, kernel_edits, geometry_edits


def canonical_extensions(hypotheses: tuple[H, ...], bases: list[F]) -> Iterator[tuple[H, F]]:
    """Yields the pairs of a hypothesis and a form that it may add another edit to.

    A form is extended only by hypotheses that are listed no earlier than that of its last edit, so
    that no set of edits arises in two orders.
    """
    codes = [hypothesis.code for hypothesis in hypotheses]
    for base in bases:
        edits = base.own_edits if isinstance(base, KernelForm) else base.edits
        first = codes.index(edits[-1]["code"]) if edits else 0
        yield from ((hypothesis, base) for hypothesis in hypotheses[first:])
