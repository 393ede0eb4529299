"""Whether a convolution, as settings say it, gives what the function gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.numerics.reference import compute_reference
from convdiff.probe.trials import Trial
from convdiff.spec.canonical import user_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.layout import Array
from convdiff.spec.settings import Settings

UNITS = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float64": 2.0**-53}
# Outputs of whole numbers differ by 1 at least where the structure does.
LEAST_STEP = 0.25


@dataclass(frozen=True)
class After:
    """What the function does beside the convolution: `slope` times negative values where that is
    not 1, times `factor`, `added`.

    `added` is a number, or one per output channel.  `biased` is whether it adds the bias that it is
    given.
    """

    factor: float = 1.0
    added: float | Array = 0.0
    biased: bool = False
    slope: float = 1.0

    @property
    def plain(self) -> bool:
        """Whether it does nothing but the convolution and its bias."""
        return self.factor == 1 and not np.any(self.added) and self.slope == 1


def spec_of(settings: Settings, trial: Trial) -> ConvSpec | None:
    """The convolution of a trial's arrays; None where the settings do not fit them."""
    try:
        spec, _ = read_spec(
            trial.input.shape, trial.kernel.shape, settings, bias=False, dtype="float32"
        )
    except ConvdiffError:
        return None
    return spec


def expected(settings: Settings, trial: Trial, after: After) -> Array | None:
    """What the function should have given, in its layout; None where the settings do not make an
    output of its shape.
    """
    spec = spec_of(settings, trial)
    if spec is None or spec.shape("output") != trial.output.shape:
        return None
    made = after.factor * compute_reference(spec, trial.input, trial.kernel).output
    for more in (trial.bias if after.biased else None, after.added):
        if more is not None:
            array: Any = np.asarray(more, np.float64)
            if array.size not in (1, made.shape[1]):
                return None
            made = made + array.reshape((1, -1) + (1,) * spec.rank)
    return user_output(
        spec, np.where(made < 0, after.slope * made, made) if after.slope != 1 else made
    )


def apart(settings: Settings, trial: Trial, after: After) -> float | None:
    """How far the function is from it at most; None where that is more than rounding makes of whole
    numbers.
    """
    made = expected(settings, trial, after)
    if made is None:
        return None
    gap = np.abs(made - trial.output)
    room = LEAST_STEP * min(1.0, abs(after.factor)) + 4 * UNITS.get(
        trial.stored, 2.0**-24
    ) * np.abs(made)
    return float(gap.max()) if bool(np.all(gap <= room)) else None


def reproduces(settings: Settings, trials: list[Trial], after: After) -> bool:
    """Whether every element of every trial is that."""
    return all(apart(settings, trial, after) is not None for trial in trials)


def slope_of(settings: Settings, trial: Trial, after: After) -> float | None:
    """By what negative values were multiplied, if by one number; None where they were not."""
    made = expected(settings, trial, after)
    if made is None or not np.any(made < 0):
        return None
    ratios = trial.output[made < 0] / made[made < 0]
    slope = float(np.median(ratios))
    return slope if abs(slope) <= 1.001 and float(np.abs(ratios - slope).max()) < 1e-3 else None
