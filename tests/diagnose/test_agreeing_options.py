"""With the options that a finding names, its output agrees."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from tests.diagnose.faults import (
    Edit,
    Fault,
    Work,
    draw,
    input_axes_permuted,
    kernel_axes_permuted,
    kernel_flipped,
    output_axes_permuted,
    wrong_dilation,
    wrong_groups,
    wrong_output_padding,
    wrong_pad_mode,
    wrong_padding,
    wrong_stride,
    wrong_transposed,
)

KERNEL_OR_INPUT = (kernel_flipped, kernel_axes_permuted, input_axes_permuted)
GEOMETRY = (wrong_padding, wrong_pad_mode, wrong_stride, wrong_dilation, wrong_output_padding)
OPERATION = (wrong_groups, wrong_transposed)
ALONE = [(fault,) for fault in (*KERNEL_OR_INPUT, *GEOMETRY, *OPERATION, output_axes_permuted)]
PAIRS = [
    (first, second)
    for first in (*KERNEL_OR_INPUT, wrong_transposed)
    for second in (*GEOMETRY, output_axes_permuted)
]
DRAWN = 25


@pytest.mark.parametrize(
    "faults", [*ALONE, *PAIRS], ids=lambda faults: "+".join(fault.__name__ for fault in faults)
)
def test_with_its_options_the_output_agrees(faults: tuple[Fault, ...]) -> None:
    rng = np.random.default_rng(7)
    for _ in range(DRAWN):
        drawn = draw(rng, transposed=True if wrong_output_padding in faults else None)
        work = Work(drawn, drawn.x, drawn.w, drawn.geometry)
        edits: list[Edit | None] = [fault(work, rng) for fault in faults]
        try:
            obtained = np.ascontiguousarray(work.output()).astype(np.float32)
        except ValueError:
            continue
        if None in edits or not obtained.size:
            continue
        result = convdiff.diff(drawn.x, drawn.w, obtained, bias=drawn.bias, **drawn.options())
        if not result.findings or not result.findings[0].options:
            continue
        options = {**drawn.options(), **result.findings[0].options}
        again = convdiff.diff(drawn.x, drawn.w, obtained, bias=drawn.bias, **options)
        assert again.agrees, (drawn.options(), result.findings[0])
