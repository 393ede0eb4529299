"""The magnitude of two gradients is named, and nothing that only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from convdiff.arrays import from_memory
from convdiff.pipeline.judge_rows import RowJudge
from convdiff.records import Answer, Case
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(2)
PICTURE = RNG.integers(0, 256, (24, 30)).astype(np.float32)
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
BOTH = np.stack([SOBEL, SOBEL.T])


def filtered(kernel: Array, pad: int = 0) -> Array:
    geometry = Geometry((1, 1), ((pad, pad), (pad, pad)), (1, 1), 1)
    return convolve(PICTURE[None, None], kernel[None, None], geometry)[0, 0]


def magnitude(pad: int = 0) -> Array:
    return np.hypot(filtered(SOBEL, pad), filtered(SOBEL.T, pad)).astype(np.float32)


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("last", [False, True])
def test_the_magnitude_of_two_channels(pad: int, last: bool) -> None:
    kernel = np.moveaxis(BOTH, 0, -1) if last else BOTH
    result = convdiff.diff(PICTURE, kernel, magnitude(pad))
    (edit,) = result.findings[0].edits
    assert edit == {"code": "activation-applied", "obtained": "magnitude", "of": "channels"}
    assert result.verdict == "different"
    dense = convdiff.diff(PICTURE[None, None], BOTH[:, None], magnitude(pad)[None, None])
    assert dense.findings[0].edits == (edit,)


@pytest.mark.parametrize("pad", [0, 1])
def test_the_magnitude_of_a_kernel_and_the_same_with_its_axes_exchanged(pad: int) -> None:
    (edit,) = convdiff.diff(PICTURE, SOBEL, magnitude(pad)).findings[0].edits
    assert edit == {"code": "activation-applied", "obtained": "magnitude", "of": "exchanged axes"}


def test_the_magnitude_of_two_other_outputs() -> None:
    gx, gy = RNG.standard_normal((2, 3, 3)).astype(np.float32)
    outputs = {"gx": filtered(gx), "gy": filtered(gy)}
    outputs["both"] = np.hypot(*outputs.values())
    spec, _ = read_spec(PICTURE.shape, gx.shape, Settings(), bias=False, dtype="float32")
    saved = tuple((name, from_memory(y.astype(np.float32), name)) for name, y in outputs.items())
    judge = RowJudge(Case(spec, from_memory(PICTURE, "x"), from_memory(gx, "w"), saved=saved))
    answers = [Answer(n, "saved", "ok", output=s.array, stored=s.stored) for n, s in saved]
    (finding,) = list(judge.rows(answers))[2].findings
    assert finding.codes == ("activation-applied",)
    assert finding.edits[0]["of"] == "outputs"


def test_what_only_looks_like_a_magnitude() -> None:
    nearly = magnitude()
    nearly[3, 4] += 1
    total = np.abs(filtered(SOBEL)) + np.abs(filtered(SOBEL.T))
    for wrong in (nearly, total.astype(np.float32), -magnitude()):
        for kernel in (BOTH, SOBEL):
            result = convdiff.diff(PICTURE, kernel, wrong)
            edits = [edit for finding in result.findings[:1] for edit in finding.edits]
            assert "magnitude" not in [edit.get("obtained") for edit in edits]
    assert (
        convdiff.diff(PICTURE, SOBEL, np.abs(filtered(SOBEL))).findings[0].edits[0]["obtained"]
        == "abs"
    )
