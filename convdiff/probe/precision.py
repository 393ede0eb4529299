"""The type that the function rounds to, from a trial with fractions.

Integers come back exactly from every type, so the other trials do not show it.
"""

from __future__ import annotations

import numpy as np

from convdiff.numerics.reference import compute_reference
from convdiff.probe.comparison import Epilogue, expected_output, trial_spec
from convdiff.probe.errors import NotUnderstoodInAnyShape
from convdiff.probe.trials import Trial
from convdiff.spec.canonical import user_output
from convdiff.spec.settings import Settings

# The largest error of each type, relative to the sum of the products' magnitudes: float32 in any
# order of summation and by FFT; TF32 and float16; bfloat16.
MAX_ERRORS = ((2.0**-17, None), (2.0**-9.5, "TF32 or float16"), (2.0**-6, "bfloat16"))


def narrow_type(settings: Settings, trial: Trial, epilogue: Epilogue) -> str | None:
    """The type whose rounding explains a trial with fractions; None for float32 or better.

    Raises NotUnderstoodInAnyShape where none does: then the function rounds or truncates on
    purpose.
    """
    expected, spec = expected_output(settings, trial, epilogue), trial_spec(settings, trial)
    if expected is None or spec is None:
        return None
    magnitudes = compute_reference(spec, np.abs(trial.input), np.abs(trial.kernel)).output
    bias = 0.0 if trial.bias is None else float(np.abs(trial.bias).max())
    scale = (
        np.abs(epilogue.factor) * user_output(spec, magnitudes)
        + float(np.abs(epilogue.added).max())
        + bias
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        error = float(np.nan_to_num(np.abs(expected - trial.output) / scale).max())
    for largest, name in MAX_ERRORS:
        if error <= largest:
            return name
    raise NotUnderstoodInAnyShape(
        "integers come out as from a convolution, fractions do not: it rounds or truncates them"
    )
