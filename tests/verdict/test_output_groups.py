"""Outputs held against each other: identical, alike up to rounding, different."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from convdiff.arrays import from_memory, read
from convdiff.pipeline.judge_rows import RowJudge
from convdiff.records import Answer, Case, OutputGroup
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from convdiff.verdict.output_groups import output_groups
from tests.diagnose.naive import Array, Geometry, convolve
from tests.report.reports import REPORTS

RNG = np.random.default_rng(4)
X = RNG.standard_normal((1, 3, 12, 13)).astype(np.float32)
W = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
RIGHT = convolve(X, W, Geometry((1, 1), ((0, 0), (0, 0)), (1, 1), 1))
FLIPPED = convolve(X, W[..., ::-1, ::-1], Geometry((1, 1), ((0, 0), (0, 0)), (1, 1), 1))


def groups(**outputs: Array) -> list[OutputGroup]:
    spec, _ = read_spec(X.shape, W.shape, Settings(), bias=False, dtype="float32")
    judge = RowJudge(Case(spec, from_memory(X, "x"), from_memory(W, "w")))
    answers = [
        Answer(name, "saved", "ok", output=output, stored=output.dtype.name)
        for name, output in outputs.items()
    ]
    return list(judge.groups(list(judge.rows(answers))))


def nearly(output: Array) -> Array:
    """The output with errors of a few units in the last place."""
    noise = RNG.uniform(-2e-7, 2e-7, output.shape)
    return (output * (1 + noise)).astype(np.float32)


def test_outputs_are_compared_bit_for_bit() -> None:
    row = replace(REPORTS["agreeing"].rows[0], verdict="rounding")
    outputs = {
        "nan": [np.nan, 1],
        "nan again": [np.nan, 1],
        "zero": [0.0, 1],
        "minus zero": [-0.0, 1],
        "end": [np.nan, 2],
        "shape": [[np.nan, 1]],
    }
    rows = [
        replace(row, answer=replace(row.answer, name=name, output=np.array(output, np.float32)))
        for name, output in outputs.items()
    ]
    rows.append(replace(row, answer=replace(row.answer, name="none", output=None)))
    rows.append(replace(row, answer=replace(row.answer, name="wide", output=np.array([np.nan, 1]))))
    found = output_groups(rows, lambda answer, other: False)
    assert found == (OutputGroup("identical", ("nan", "nan again")),)


def test_wrong_outputs_that_are_alike() -> None:
    wrong = FLIPPED.astype(np.float32)
    assert groups(right=nearly(RIGHT), a=wrong, b=nearly(FLIPPED), c=wrong, d=wrong + 1) == [
        OutputGroup("identical", ("a", "c")),
        OutputGroup("rounding", ("a", "c", "b")),
        OutputGroup("different", ("a", "d")),
    ]


def test_large_outputs_round_by_more() -> None:
    assert groups(a=nearly(1000 * RIGHT), b=nearly(1000 * RIGHT)) == [
        OutputGroup("rounding", ("a", "b"))
    ]
    assert groups(a=nearly(1000 * RIGHT), b=nearly(1000.1 * RIGHT)) == [
        OutputGroup("different", ("a", "b"))
    ]


def test_outputs_of_another_shape_are_compared_too() -> None:
    small = RIGHT[..., ::2, ::2].astype(np.float32)
    assert groups(a=small, b=small.copy()) == [OutputGroup("identical", ("a", "b"))]
    assert groups(a=small, b=FLIPPED.astype(np.float32)) == [OutputGroup("different", ("a", "b"))]


def test_of_outputs_that_agree_only_equality_is_told() -> None:
    assert groups(a=nearly(RIGHT), b=nearly(RIGHT)) == []
    assert groups(a=nearly(RIGHT), b=FLIPPED.astype(np.float32)) == []


def test_one_file_is_not_the_same_as_itself(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", FLIPPED.astype(np.float32))
    stored = read(str(tmp_path / "y.npy"), "y")
    spec, _ = read_spec(X.shape, W.shape, Settings(), bias=False, dtype="float32")
    saved = (("a", stored), ("b", stored))
    judge = RowJudge(Case(spec, from_memory(X, "x"), from_memory(W, "w"), saved=saved))
    answers = [Answer(name, "saved", "ok", output=each.array) for name, each in saved]
    assert judge.groups(list(judge.rows(answers))) == ()


def test_nan_at_the_same_places_is_alike() -> None:
    first, second = nearly(FLIPPED), nearly(FLIPPED)
    first[0, 0], second[0, 0] = np.nan, np.nan
    assert groups(a=first, b=second) == [OutputGroup("rounding", ("a", "b"))]
    second[0, 0, 0] = 0
    assert groups(a=first, b=second) == [OutputGroup("different", ("a", "b"))]
