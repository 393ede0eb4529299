"""Outputs with one element per channel, on which almost any fitted number would agree."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(30)
LAYOUTS = {"input_layout": "NCHW", "kernel_layout": "OIHW"}


def one_element_per_channel(channels: int = 4) -> tuple[Array, Array, Array]:
    """An input, kernels of the input's size, and their correlation."""
    x = RNG.standard_normal((1, 3, 4, 4)).astype(np.float32)
    w = RNG.standard_normal((channels, 3, 4, 4)).astype(np.float32)
    return x, w, convolve(x, w, Geometry((1, 1), ((0, 0), (0, 0)), (1, 1))).astype(np.float32)


def test_no_bias_is_fitted_to_one_element_per_channel() -> None:
    x, w, y = one_element_per_channel()
    obtained = y + RNG.standard_normal(y.shape).astype(np.float32)
    assert not convdiff.diff(x, w, obtained, **LAYOUTS).findings


@pytest.mark.parametrize(("factor", "believed"), [(0.5, True), (1 / 255, True), (0.8371, False)])
def test_one_element_is_scaled_only_by_a_common_factor(factor: float, believed: bool) -> None:
    x, w, y = one_element_per_channel(1)
    result = convdiff.diff(x, w, (y * factor).astype(np.float32), **LAYOUTS)
    explanations = [
        [*edits] for finding in result.findings for edits in (finding.edits, *finding.rivals)
    ]
    assert ([{"code": "scaled", "factor": factor}] in explanations) == believed
    assert bool(result.findings) == believed


def test_permuted_channels_of_one_element_each() -> None:
    x, w, y = one_element_per_channel()
    permutation = [2, 0, 3, 1]
    (finding,) = convdiff.diff(x, w, y[:, permutation], **LAYOUTS).findings
    assert finding.edits == ({"code": "output-channels-permuted", "permutation": permutation},)
    of_other_arrays = one_element_per_channel()[2][:, permutation]
    assert not convdiff.diff(x, w, of_other_arrays, **LAYOUTS).findings
