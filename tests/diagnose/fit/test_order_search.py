"""An order of many channels is searched beside other edits."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Geometry, convolve


@pytest.mark.parametrize("items", [2, 3, 4])
def test_permuted_channels_beside_a_permuted_batch(items: int) -> None:
    rng = np.random.default_rng(30 + items)
    x = rng.standard_normal((items, 6, 9, 9)).astype(np.float32)
    w = rng.standard_normal((5, 6, 3, 3)).astype(np.float32)
    channels, batch = [3, 0, 5, 1, 4, 2], [*range(1, items), 0]
    output = convolve(x[:, channels], w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1)))
    (finding,) = convdiff.diff(x, w, output[batch].astype(np.float32), padding=1).findings
    planted = (
        {"code": "input-channels-permuted", "permutation": channels},
        {"code": "output-batch-permuted", "permutation": batch},
    )
    assert planted in (finding.edits, *finding.rivals)
