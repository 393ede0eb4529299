"""How a number of edits is shared out among the stages, and within one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TypeVar

from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.hypotheses.base import Hypothesis

H = TypeVar("H", bound=Hypothesis)
F = TypeVar("F", InputForm, KernelForm, OutputForm)


def split_edits(edits: int, crowded: bool, operation: int) -> Iterator[tuple[int, int, int]]:
    """How many edits the input, the kernel and the geometry may share so many as: see
    `Search.level`.

    The kernel's include its operation's.  Of three edits in all, two are never the input's.
    """
    for inputs, changed in itertools.product(range(min(edits, 2) + 1), repeat=2):
        kernels = edits - inputs - changed
        if (
            kernels >= 0
            and (inputs <= 1 or edits == 2)
            and (inputs > 1 or kernels - operation > 1) == crowded
        ):
            yield inputs, kernels, changed


def canonical_extensions(hypotheses: tuple[H, ...], bases: list[F]) -> Iterator[tuple[H, F]]:
    """Each base with the hypotheses that come no earlier than its own last edit, so that no set of
    edits comes twice.
    """
    order = [hypothesis.code for hypothesis in hypotheses]
    for base in bases:
        own = base.own_edits if isinstance(base, KernelForm) else base.edits
        begin = order.index(own[-1]["code"]) if own else 0
        yield from ((hypothesis, base) for hypothesis in hypotheses[begin:])
