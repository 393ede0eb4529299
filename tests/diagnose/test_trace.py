"""The trace says where an expected explanation got lost."""

from __future__ import annotations

import numpy as np

from convdiff.api import trace
from tests.diagnose.naive import Array, Geometry, convolve


def arrays() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 8, 8)), rng.standard_normal((4, 3, 3, 3))
    return x.astype(np.float32), w.astype(np.float32)


def flipped(x: Array, w: Array) -> Array:
    geometry = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))
    return convolve(x, w[..., ::-1, ::-1], geometry).astype(np.float32)


def test_a_right_explanation_is_followed_to_its_proof() -> None:
    x, w = arrays()
    lines = trace(x, w, flipped(x, w), ["kernel-flipped"], padding=1).splitlines()
    assert lines[0] == "kernel-flipped axes=['H', 'W'], cost 1.00:"
    assert lines[1:3] == ["  agrees at all 28 sample points", "  its proof holds"]
    assert lines[-1].strip() == lines[0].rstrip(":")


def test_a_wrong_explanation_is_followed_to_the_points_that_dismiss_it() -> None:
    x, w = arrays()
    text = trace(x, w, flipped(x, w), ["wrong-padding"], padding=1)
    assert "dismissed at sample points 0 and 1" in text
    assert "give or take" in text


def test_a_failing_proof_is_told() -> None:
    x, w = arrays()
    y = flipped(x, w)
    # One wrong element, which no sample point happens to look at.
    y[1, 3, 4, 5] += 1
    assert "its proof fails" in trace(x, w, y, ["kernel-flipped"], padding=1)


def test_a_code_that_no_form_has_is_named() -> None:
    x, w = arrays()
    text = trace(x, w, flipped(x, w), ["kernel-flipped", "sign-lost"], padding=1)
    assert "kernel-flipped: forms have it, but not beside the others" in text
    assert "sign-lost: unknown; convdiff explain lists the codes" in text


def test_edits_without_forms_are_undone_first() -> None:
    x = np.random.default_rng(0).standard_normal((1, 1, 9, 10)).astype(np.float32)
    w = np.random.default_rng(1).standard_normal((1, 1, 3, 3)).astype(np.float32)
    padded = np.pad(x[0, 0], 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    y = (windows * w[0, 0, ::-1, ::-1]).sum(axis=(2, 3))
    y[0] = y[-1] = 0
    y[:, 0] = y[:, -1] = 0
    lines = trace(x, w, y[None, None], ["not-computed", "kernel-flipped"], padding=1)
    assert lines.startswith("not-computed left=zero")
    assert "undone; the others in what is left:\n  kernel-flipped" in lines
    assert "    its proof holds" in lines
    unseen = trace(x, w, y[None, None], ["output-is-input"], padding=1)
    assert "it has no forms, and nothing in these values suggests it" in unseen
