"""Edits that are the same by algebra, whatever the arrays: each is a rival of the others.

Each hypothesis knows which edits may stand in its place (`Hypothesis.equivalents`): channels
reversed in the input or in the kernel, a batch permuted before or after, end paddings that no window
reaches.  Here they are put together, with what takes two edits to see: a constant that is the asked
bias, and channels reversed before or after a constant is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.registry import by_code

# The error of a fitted constant, as a share of the largest one.
CONSTANT_TOLERANCE = 1e-3


def with_equivalents(found: Sequence[Edits], problem: Problem) -> tuple[Edits, ...]:
    """The explanations with all that are equivalent to them, none twice.

    The first one comes first, then the others that were found, then those equivalent to the first,
    then the rest.
    """
    explanations: list[Edits] = []
    for edits in found:
        once = list(_equivalents(edits, problem))
        twice = (other for one in once for other in _equivalents(one, problem))
        for same in (edits, *once, *twice):
            if same not in explanations:
                explanations.append(same)
    explanations = [e for e in explanations if not _restates_the_bias(e, explanations, problem)]
    first = found[:1]
    return tuple(sorted(explanations, key=lambda each: (each not in first, each not in found)))


def _restates_the_bias(edits: Edits, others: Sequence[Edits], problem: Problem) -> bool:
    """Whether a constant that these edits add is the asked bias, missing or added once more.

    Then another of the explanations says so.
    """
    added = next((edit["values"] for edit in edits if edit["code"] == "bias-added"), None)
    if added is None or len(added) != problem.channel_bias.size:
        return False
    rest = [edit for edit in edits if edit["code"] != "bias-added"]
    near = CONSTANT_TOLERANCE * float(np.abs(problem.channel_bias).max())
    return any(
        code in [edit["code"] for edit in other]
        and rest == [edit for edit in other if edit["code"] != code]
        for code, sign in (("bias-missing", -1), ("bias-doubled", 1))
        if np.allclose(added, sign * problem.channel_bias, atol=near)
        for other in others
    )


def _equivalents(edits: Edits, problem: Problem) -> Iterator[Edits]:
    """The edits with one of them exchanged for an equivalent one."""
    known = by_code()
    for at, edit in enumerate(edits):
        for equivalent in known[edit["code"]].equivalents(edit, edits, problem):
            yield (*edits[:at], equivalent, *edits[at + 1 :])
    yield from _reversed_beside_a_constant(edits, problem)


def _reversed_beside_a_constant(edits: Edits, problem: Problem) -> Iterator[Edits]:
    """Output channels reversed after a constant was added, or the kernel's before another was.

    If the constant may be any, both are right.
    """
    codes = {edit["code"] for edit in edits}
    places = "output-axes-permuted", "output-reshaped", "output-channels-permuted", "wrong-groups"
    known = (
        ()
        if problem.bias is None
        else ("bias-missing", "bias-doubled", "scaled", "overlap-accumulated")
    )
    if problem.spec.groups > 1 or "bias-added" not in codes or codes & {*places, *known}:
        return
    kernel, output = (
        {"code": "kernel-channels-reversed", "axis": "O"},
        {"code": "output-channels-reversed"},
    )
    if (kernel in edits) == (output in edits):
        return
    # The edit's values come on top of the asked bias: what is reversed is their sum.
    asked = problem.channel_bias
    exchanged = {
        edit["code"]: {**edit, "values": ((asked + edit["values"])[::-1] - asked).tolist()}
        for edit in edits
        if "values" in edit
    }
    exchanged |= {kernel["code"]: output} if kernel in edits else {output["code"]: kernel}
    yield tuple(
        exchanged.get(edit["code"], edit) if edit != {**kernel, "axis": "I"} else edit
        for edit in edits
    )
