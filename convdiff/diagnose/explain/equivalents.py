"""Explanations that are the same by algebra, whatever the arrays are, and so rivals of each other.

Each hypothesis knows the edits that can replace its own (`Hypothesis.equivalents`): channels
reversed in the input or in the kernel, a batch permuted before or after, end paddings that no
window reaches.  This module applies them, and adds what concerns two edits at once: a constant that
is the asked bias, and channels reversed before or after a constant is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.registry import by_code
from convdiff.records import Edit

# The error of a fitted constant, as a share of the largest one.
CONSTANT_TOLERANCE = 1e-3
KERNEL_REVERSED: Edit = {"code": "kernel-channels-reversed", "axis": "O"}
OUTPUT_REVERSED: Edit = {"code": "output-channels-reversed"}


def with_equivalents(proven: Sequence[Edits], problem: Problem) -> tuple[Edits, ...]:
    """The proven explanations and all that are equivalent to them, each once.

    The first one stays first, followed by the other proven ones, then by the rest.
    """
    explanations: list[Edits] = []
    for edits in proven:
        equivalent = list(_equivalents(edits, problem))
        equivalent_to_those = (
            other for replaced in equivalent for other in _equivalents(replaced, problem)
        )
        for explanation in (edits, *equivalent, *equivalent_to_those):
            if explanation not in explanations:
                explanations.append(explanation)
    explanations = [e for e in explanations if not _restates_the_bias(e, explanations, problem)]
    return tuple(sorted(explanations, key=lambda e: (e not in proven[:1], e not in proven)))


def _restates_the_bias(edits: Edits, others: Sequence[Edits], problem: Problem) -> bool:
    """Whether a constant that these edits add is the asked bias, missing or added twice.

    True only if one of the other explanations says so, and has the same other edits.
    """
    constants = next((edit["values"] for edit in edits if edit["code"] == "bias-added"), None)
    if constants is None or len(constants) != problem.channel_bias.size:
        return False
    beside = [edit for edit in edits if edit["code"] != "bias-added"]
    tolerance = CONSTANT_TOLERANCE * float(np.abs(problem.channel_bias).max())
    return any(
        code in [edit["code"] for edit in other]
        and beside == [edit for edit in other if edit["code"] != code]
        for code, sign in (("bias-missing", -1), ("bias-doubled", 1))
        if np.allclose(constants, sign * problem.channel_bias, atol=tolerance)
        for other in others
    )


def _equivalents(edits: Edits, problem: Problem) -> Iterator[Edits]:
    """The edits with one of them replaced by an equivalent one."""
    hypotheses = by_code()
    for position, edit in enumerate(edits):
        for equivalent in hypotheses[edit["code"]].equivalents(edit, edits, problem):
            yield (*edits[:position], equivalent, *edits[position + 1 :])
    yield from _reversed_beside_a_constant(edits, problem)


def _reversed_beside_a_constant(edits: Edits, problem: Problem) -> Iterator[Edits]:
    """Channels reversed in the output instead of the kernel, or the reverse, beside a constant.

    The kernel's channels are reversed before a constant is added to each, the output's after it, so
    the two are equivalent with the constants in reverse order.
    """
    codes = {edit["code"] for edit in edits}
    if problem.spec.groups > 1 or "bias-added" not in codes:
        return
    hypotheses = [by_code()[code] for code in codes]
    if any(each.moves_output_channels for each in hypotheses):
        return
    if problem.bias is not None and any(each.changes_bias for each in hypotheses):
        return
    is_kernel = KERNEL_REVERSED in edits
    if is_kernel == (OUTPUT_REVERSED in edits):
        return
    replaced, replacement = (
        (KERNEL_REVERSED, OUTPUT_REVERSED) if is_kernel else (OUTPUT_REVERSED, KERNEL_REVERSED)
    )
    yield tuple(
        replacement if edit == replaced else _with_reversed_constants(edit, problem)
        for edit in edits
    )


def _with_reversed_constants(edit: Edit, problem: Problem) -> Edit:
    """The edit with its constants, if it has any, such that they reverse together with the bias."""
    if "values" not in edit:
        return edit
    # The constants are added on top of the asked bias: their sum is what is reversed.
    bias = problem.channel_bias
    return {**edit, "values": ((bias + edit["values"])[::-1] - bias).tolist()}
