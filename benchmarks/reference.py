"""The float64 reference against torch's float32 convolution, on a layer of ResNet."""

from __future__ import annotations

import numpy as np

from benchmarks.timing import alternate, call_seconds
from convdiff.numerics.reference import correlate
from convdiff.spec.conv_spec import Correlation


def measure(runs: int = 15) -> str:
    """One line: both times and their ratio, which should be at most 4."""
    import torch

    random = np.random.default_rng(0)
    x = random.standard_normal((8, 64, 56, 56), dtype=np.float32)
    w = random.standard_normal((64, 64, 3, 3), dtype=np.float32)
    geometry = Correlation((1, 1), ((1, 1), (1, 1)), (1, 1), (1, 1), "constant")
    tensors = torch.from_numpy(x), torch.from_numpy(w)
    seconds, torch_seconds, ratio = alternate(
        lambda: call_seconds(lambda: correlate(x, w, geometry, 1, (56, 56))),
        lambda: call_seconds(lambda: torch.conv2d(*tensors, padding=1)),
        runs,
    )
    return (
        f"reference, float64, ResNet layer     {seconds * 1e3:6.1f} ms  torch float32 "
        f"{torch_seconds * 1e3:.1f} ms   ratio {ratio:.1f} (at most 4)"
    )
