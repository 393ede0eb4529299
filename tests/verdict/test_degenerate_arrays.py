"""Arrays that hide a fault are named as such, in one sentence each."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from convdiff.verdict.degenerate_arrays import blind_spots
from tests.diagnose.naive import Array

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((2, 3, 6, 5)), RNG.standard_normal((4, 3, 3, 3))


@pytest.mark.parametrize(
    ("x", "w", "starts"),
    [
        (X, W, []),
        (X, np.ones_like(W), ["the kernel's values are all equal"]),
        (X, W + W[:, :, ::-1, ::-1], ["the kernel is symmetric"]),
        (X, W[..., :1, :1], []),
        (np.ones_like(X), W, ["the input's values are all equal"]),
        (np.repeat(X[:, :1], 3, axis=1), W, ["the input's channels are all alike"]),
        (X[:, :1], W[:, :1], []),
        (
            np.zeros_like(X),
            np.zeros_like(W),
            ["the kernel's values are all equal", "the input's values are all equal"],
        ),
    ],
    ids=[
        "nothing hidden",
        "constant kernel",
        "symmetric kernel",
        "1x1 kernel",
        "constant input",
        "equal channels",
        "one channel",
        "both constant",
    ],
)
def test_what_arrays_hide(x: Array, w: Array, starts: list[str]) -> None:
    spec, _ = read_spec(x.shape, w.shape, Settings(), bias=False, dtype="float64")
    notes = blind_spots(spec, x, w)
    assert len(notes) == len(starts)
    assert all(note.startswith(start) for note, start in zip(notes, starts, strict=True))
