"""Trials answered by the reference in place of a function."""

from __future__ import annotations

from typing import Any

import numpy as np

from convdiff.numerics.reference import compute_reference
from convdiff.probe.trials import Trial, TrialKind
from convdiff.spec.canonical import user_output
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.layout import Array
from convdiff.spec.settings import Settings


def reference_trial(
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    *,
    kind: TrialKind = "data",
    bias: Array | None = None,
    **options: Any,
) -> Trial:
    """A trial with random integers whose output is that of the convolution the options express."""
    random = np.random.default_rng(0)
    x, w = (random.integers(-4, 5, shape).astype(float) for shape in (input_shape, kernel_shape))
    spec, _ = read_spec(input_shape, kernel_shape, Settings(**options), bias=False, dtype="float32")
    output = user_output(spec, compute_reference(spec, x, w).output)
    return Trial(kind, x, w, bias, output, stored="float32", deterministic=True)
