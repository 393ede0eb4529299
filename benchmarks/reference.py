"""The float64 reference against torch's float32 convolution, on ResNet's (8, 64, 56, 56) with (64,
64, 3, 3).
"""

from __future__ import annotations

import numpy as np

from benchmarks.measuring import function, paired
from convdiff.numerics.reference import correlate
from convdiff.spec.conv_spec import Correlation


def measure(runs: int = 15) -> str:
    """One line: the ratio should be at most 4."""
    import torch

    generator = np.random.default_rng(0)
    x = generator.standard_normal((8, 64, 56, 56), dtype=np.float32)
    w = generator.standard_normal((64, 64, 3, 3), dtype=np.float32)
    geometry = Correlation((1, 1), ((1, 1), (1, 1)), (1, 1), (1, 1), "constant")
    tensors = torch.from_numpy(x), torch.from_numpy(w)
    ours, torchs, ratio = paired(
        lambda: function(lambda: correlate(x, w, geometry, 1, (56, 56))),
        lambda: function(lambda: torch.conv2d(*tensors, padding=1)),
        runs,
    )
    return (
        f"reference, float64, ResNet layer     {ours * 1e3:6.1f} ms  torch float32 "
        f"{torchs * 1e3:.1f} ms   ratio {ratio:.1f} (at most 4)"
    )
