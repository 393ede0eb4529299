"""How exactly it computes, from a call with fractions: whole numbers come back whole from every
type.
"""

from __future__ import annotations

import numpy as np

from convdiff.numerics.reference import compute_reference
from convdiff.probe.comparison import After, expected, spec_of
from convdiff.probe.roles import Settled
from convdiff.probe.trials import Trial
from convdiff.spec.canonical import user_output
from convdiff.spec.settings import Settings

# Of the sum of the products' magnitudes: float32 in any order and by FFT; TF32 and float16;
# bfloat16.
DIGITS = ((2.0**-17, None), (2.0**-9.5, "TF32 or float16"), (2.0**-6, "bfloat16"))


def digits(settings: Settings, trial: Trial, after: After) -> str | None:
    """The type whose rounding explains a trial with fractions; None for float32 or better.

    Raises Settled where none does: then values are rounded or cut off on purpose.
    """
    made, spec = expected(settings, trial, after), spec_of(settings, trial)
    if made is None or spec is None:
        return None
    scale = user_output(
        spec, compute_reference(spec, np.abs(trial.input), np.abs(trial.kernel)).output
    )
    room = (
        np.abs(after.factor) * scale
        + float(np.abs(after.added).max())
        + float(0 if trial.bias is None else np.abs(trial.bias).max())
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = float(np.nan_to_num(np.abs(made - trial.output) / room).max())
    for most, name in DIGITS:
        if worst <= most:
            return name
    raise Settled(
        "whole numbers come out as from a convolution, fractions do not: it rounds them, or cuts "
        "them off"
    )
