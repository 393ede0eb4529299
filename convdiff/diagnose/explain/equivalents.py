"""Edits that are the same by algebra, whatever the arrays: none is found without its twin as a
rival.

The input's channels reversed and the kernel's, of a convolution without groups; the output's
channels reversed and the kernel's output channels, where no bias tells them apart, or where one was
added that may be any; a batch permuted before and after; end paddings that no window tells apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.records import Edit
from convdiff.spec.padding import kernel_span

Edits = tuple[Edit, ...]
# A fitted constant is known this well.
SAME = 1e-3
_EXCHANGED = str.maketrans("IO", "OI")


def with_twins(found: Sequence[Edits], problem: Problem) -> tuple[Edits, ...]:
    """The explanations, each followed by those that its edits' twins make; none twice."""
    told: list[Edits] = []
    for edits in found:
        once = [edits, *_twins(edits, problem)]
        for same in (*once, *(twice for twin in once[1:] for twice in _twins(twin, problem))):
            if same not in told:
                told.append(same)
    told = [edits for edits in told if not _restates(edits, told, problem)]
    first = found[:1]
    # What was found by searching comes first; of what follows by algebra only what is told of the
    # first is told before other findings.
    return tuple(sorted(told, key=lambda each: (each not in first, each not in found)))


def _restates(edits: Edits, told: Sequence[Edits], problem: Problem) -> bool:
    """Whether a constant that these edits add is the asked bias, taken away or once more: what one
    of `told` says of it.
    """
    added = next((edit["values"] for edit in edits if edit["code"] == "bias-added"), None)
    if added is None or len(added) != problem.channel_bias.size:
        return False
    rest = [edit for edit in edits if edit["code"] != "bias-added"]
    near = SAME * float(np.abs(problem.channel_bias).max())
    return any(
        code in [edit["code"] for edit in other]
        and rest == [edit for edit in other if edit["code"] != code]
        for code, sign in (("bias-missing", -1), ("bias-doubled", 1))
        if np.allclose(added, sign * problem.channel_bias, atol=near)
        for other in told
    )


def _twins(edits: Edits, problem: Problem) -> Iterator[Edits]:
    for at, edit in enumerate(edits):
        for twin in _of(edit, edits, problem):
            yield (*edits[:at], twin, *edits[at + 1 :])
    yield from _reversed_beside_a_bias(edits, problem)


def _reversed_beside_a_bias(edits: Edits, problem: Problem) -> Iterator[Edits]:
    """The output's channels reversed after a bias was added, or the kernel's before another was: if
    it may be any, both are right.
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
    # Both say what is obtained, with what was asked to be added already in it.
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


def _of(edit: Edit, beside: Edits, problem: Problem) -> Iterator[Edit]:
    codes = {other["code"] for other in beside}
    alone = problem.spec.groups == 1 and "wrong-groups" not in codes
    reversed_axes = {
        other["axis"] for other in beside if other["code"] == "kernel-channels-reversed"
    }
    if alone and edit["code"] == "input-channels-reversed" and "I" not in reversed_axes:
        yield {"code": "kernel-channels-reversed", "axis": "I"}
    if (
        alone
        and edit == {"code": "kernel-channels-reversed", "axis": "I"}
        and "input-channels-reversed" not in codes
    ):
        yield {"code": "input-channels-reversed"}
    if (
        alone
        and problem.bias is None
        and not codes & {"bias-added", "output-axes-permuted", "output-reshaped"}
    ):
        if edit["code"] == "output-channels-reversed" and "O" not in reversed_axes:
            yield {"code": "kernel-channels-reversed", "axis": "O"}
        if (
            edit == {"code": "kernel-channels-reversed", "axis": "O"}
            and "output-channels-reversed" not in codes
        ):
            yield {"code": "output-channels-reversed"}
    # Neither side's other edits may move the batch.
    if not codes & {
        "output-axes-permuted",
        "output-reshaped",
        "input-axes-permuted",
        "input-reshaped",
    }:
        if edit["code"] == "output-batch-permuted" and "input-batch-permuted" not in codes:
            yield {"code": "input-batch-permuted", "permutation": edit["permutation"]}
        if edit["code"] == "input-batch-permuted" and "output-batch-permuted" not in codes:
            yield {"code": "output-batch-permuted", "permutation": edit["permutation"]}
    if "wrong-transposed" in codes and edit["code"] in (
        "kernel-axes-permuted",
        "kernel-reshaped",
        "kernel-channels-reversed",
    ):
        # The other operation takes the kernel's first channel axis for the other kind: either's
        # letters may be meant.
        yield {
            name: value if name == "code" else value.translate(_EXCHANGED)
            for name, value in edit.items()
        }
    if (
        edit["code"] == "wrong-padding"
        and not problem.spec.transposed
        and "wrong-transposed" not in codes
    ):
        yield from _other_ends(edit, beside, problem)


def _other_ends(edit: Edit, beside: Edits, problem: Problem) -> Iterator[Edit]:
    """The same start paddings with end paddings that make as many outputs; a fill that no window
    reaches cannot be told.
    """
    spec = problem.spec
    strides, dilations = (
        next((tuple(other["obtained"]) for other in beside if other["code"] == code), asked)
        for code, asked in (("wrong-stride", spec.stride), ("wrong-dilation", spec.dilation))
    )
    if any(
        other["code"]
        in ("input-axes-permuted", "kernel-axes-permuted", "input-reshaped", "kernel-reshaped")
        for other in beside
    ):
        return
    choices = []
    for i, (lo, hi) in enumerate(edit["obtained"]):
        dilated = (spec.input_size[i] - 1) * spec.input_dilation[i] + 1
        spare = (dilated + lo + hi - kernel_span(spec.kernel_size[i], dilations[i])) % strides[i]
        ends = range(max(hi - spare, 0), hi - spare + strides[i])
        choices.append(
            sorted(([lo, end] for end in ends), key=lambda pair: abs(pair[1] - hi)) or [[lo, hi]]
        )
    for pads in itertools.islice(itertools.product(*choices), 6):
        if list(pads) not in (edit["obtained"], edit["asked"]):
            yield {**edit, "obtained": [list(pair) for pair in pads]}
