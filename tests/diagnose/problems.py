"""Problems to diagnose, made without the command line."""

from __future__ import annotations

from typing import Any

import numpy as np

from convdiff.diagnose.core.problem import Problem
from convdiff.numerics.error_bound import Rounding
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from tests.diagnose.naive import Array


def problem_of(
    x: Array, w: Array, obtained: Array, bias: Array | None = None, **settings: Any
) -> Problem:
    """The problem of a float32 convolution that was asked with these settings."""
    spec, _ = read_spec(
        x.shape,
        w.shape,
        Settings.from_mapping(settings),
        bias=bias is not None,
        dtype="float32",
    )
    rounding = Rounding("float32", "float32", spec.terms)
    return Problem(spec, x, w, bias, np.asarray(obtained), rounding)
