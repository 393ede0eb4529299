"""Outputs that were multiplied by something and shifted: before a bias, beside one, channel by channel, beside other faults."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Array, Geometry, convolve

DENSE = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))


def conv(x: Array, w: Array, geometry: Geometry = DENSE) -> Array:
    return convolve(x, w, geometry).astype(np.float32)


def told(result: convdiff.Result) -> list[list[str]]:
    """The codes of everything told, sorted; none where there is no finding."""
    first = result.findings[:1]
    return [sorted(edit["code"] for edit in edits) for finding in first for edits in (finding.edits, *finding.rivals)]


@pytest.mark.parametrize("size", [1.0, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_a_picture_divided_again_beside_a_bias_is_told(size: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random((1, 3, 9, 9)).astype(np.float32)
    w, other = (0.1 * rng.uniform(-1, 1, (4, 3, 3, 3)).astype(np.float32) for _ in range(2))
    bias = (size * rng.standard_normal(4)).astype(np.float32)
    divided, shift = x / np.float32(255), bias[:, None, None]
    result = convdiff.diff(x, w, conv(divided, w) + shift, bias=bias, padding=1)
    assert result.findings[0].edits == ({"code": "scaled", "of": "sums", "factor": 1 / 255},)
    # The same of other weights is no factor, however small it is beside the bias.
    assert not told(convdiff.diff(x, w, conv(divided, other) + shift, bias=bias, padding=1))
    assert not told(convdiff.diff(x, w, conv(divided / 255, other) + shift, bias=bias, padding=1))
