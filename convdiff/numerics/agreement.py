"""Whether an output is that of a convolution, within rounding: for choosing among convolutions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convdiff.numerics.arithmetic import rounding_as_asked, stored_dtype
from convdiff.numerics.complex_parts import (
    EXTRA_ROUNDINGS,
    is_complex,
    output_parts,
    real_parts,
    with_common_scale,
    with_whole_nonfinite,
)
from convdiff.numerics.reference import Reference, compute_reference
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array


def is_output_of(
    spec: ConvSpec,
    input: Array,
    kernel: Array,
    bias: Array | None,
    output: Array,
    declared: str | None = None,
) -> bool:
    """Whether rounding explains every element of `output`; all arrays are in the spec's layouts.

    `declared` is the type that the output's file names.
    """
    stored = stored_dtype(output, declared)
    with np.errstate(all="ignore"):
        if not is_complex(input, kernel, bias, output):
            expected = compute_reference(spec, input, kernel, bias)
            rounding = rounding_as_asked(spec, stored)
            obtained = normal_output(spec, output)
        else:
            parts = real_parts(spec, input, kernel, bias)
            expected = with_common_scale(
                compute_reference(parts.spec, parts.input, parts.kernel, parts.bias)
            )
            rounding = rounding_as_asked(parts.spec, stored)
            rounding = replace(rounding, terms=rounding.terms + EXTRA_ROUNDINGS)
            obtained = with_whole_nonfinite(output_parts(spec, output))
            expected = Reference(with_whole_nonfinite(expected.output), expected.scale)
        return rounding.explains_all(obtained.astype(np.float64), expected.output, expected.scale)
