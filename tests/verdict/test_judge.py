"""The judge's verdicts, one for each step that it takes."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from convdiff.numerics.precision import ROUND_TO
from convdiff.records import Answer, Case, Row, Stored
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from convdiff.verdict import judge as module
from convdiff.verdict.judge import Judge, with_unit_axes
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(7)
X = RNG.standard_normal((2, 4, 8, 8)).astype(np.float32)
W = RNG.standard_normal((3, 4, 3, 3)).astype(np.float32)


def correlated(x: Array, w: Array) -> Array:
    return convolve(x, w, Geometry((1, 1), ((0, 0), (0, 0)), (1, 1)))


CORRECT = correlated(X, W)
FLIPPED = correlated(X, W[:, :, ::-1, ::-1]).astype(np.float32)


def case(x: Array = X, w: Array = W, dtype: str = "float32") -> Case:
    spec, _ = read_spec(x.shape, w.shape, Settings(), bias=False, dtype=dtype)
    return Case(spec, Stored(x, x.dtype.name), Stored(w, w.dtype.name))


def saved(output: Array | None, stored: str | None = None) -> Answer:
    return Answer("y", "saved", "ok", output=output, stored=stored)


def test_an_answer_without_an_output_has_no_verdict() -> None:
    answer = Answer("torch", "backend", "crashed", message="out of memory")
    assert Judge(case()).row(answer) == Row(answer)


def test_an_output_of_strings_is_incomparable() -> None:
    row = Judge(case()).row(saved(CORRECT.astype("U8")))
    assert row.verdict == "incomparable"
    assert row.message == "the output holds <U8, expected numbers"


def test_the_reference_rounded_to_the_outputs_type_is_identical() -> None:
    row = Judge(case()).row(saved(CORRECT.astype(np.float32)))
    assert (row.verdict, row.findings, row.where) == ("identical", (), None)


def test_whole_numbers_are_compared_with_integers() -> None:
    x, w = np.rint(3 * X), np.rint(3 * W)
    row = Judge(case(x, w)).row(saved(correlated(x, w).astype(np.int32)))
    assert row.verdict == "identical"


def test_errors_within_the_bound_are_rounding() -> None:
    row = Judge(case()).row(saved(CORRECT.astype(np.float32) * np.float32(1 + 2e-7)))
    assert row.verdict == "rounding"
    assert row.error is not None and row.error.differing == 0


def test_the_worst_element_is_given_in_the_output_layout() -> None:
    spec, _ = read_spec(
        X.shape,
        W.shape,
        Settings.from_mapping({"output_layout": "NHWC"}),
        bias=False,
        dtype="float32",
    )
    obtained = CORRECT.astype(np.float32)
    obtained[1, 2, 3, 4] += 1
    given = Case(spec, Stored(X, "float32"), Stored(W, "float32"))
    row = Judge(given).row(saved(obtained.transpose(0, 2, 3, 1)))
    assert row.error is not None and row.error.worst == (1, 3, 4, 2)
    assert row.where == "in one element, N 1, C 2, H 3, W 4"


def test_a_fast_algorithm_is_rounding_with_a_message() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((1, 1, 64)).astype(np.float32), np.ones((1, 1, 2), np.float32)
    x[..., :16] *= 1e-3
    exact = correlated_1d(x, w)
    obtained = exact.astype(np.float32)
    obtained[0, 0, 3] += 2e-7 * np.abs(exact).max()
    row = Judge(case(x, w)).row(saved(obtained))
    assert row.verdict == "rounding"
    assert "fast algorithm (FFT, Winograd)" in (row.message or "")
    obtained[0, 0, 3] += 1e-4
    assert Judge(case(x, w)).row(saved(obtained)).verdict == "different"


def correlated_1d(x: Array, w: Array) -> Array:
    return convolve(x, w, Geometry((1,), ((0, 0),), (1,)))


def test_reduced_precision_within_the_bound() -> None:
    """TF32 in a long sum is within the bound of float32."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, 512, 6, 6)).astype(np.float32)
    w = rng.standard_normal((4, 512, 3, 3)).astype(np.float32)
    obtained = correlated(*(ROUND_TO["tf32"](array) for array in (x, w))).astype(np.float32)
    row = Judge(case(x, w)).row(saved(obtained))
    assert row.error is not None and row.error.differing == 0
    assert row.verdict == "reduced-precision"
    assert row.findings[0].summary == "the inputs were rounded to tf32"


def test_a_saved_output_of_float64_arrays_may_come_from_float32() -> None:
    x, w = X.astype(np.float64) + 1e-9, W.astype(np.float64)
    from_float32 = correlated(x.astype(np.float32), w.astype(np.float32)).astype(np.float32)
    assert Judge(case(x, w, "float64")).row(saved(from_float32)).verdict in (
        "identical",
        "rounding",
    )
    backend = Answer("numpy", "backend", "ok", output=from_float32.astype(np.float64))
    assert Judge(case(x, w, "float64")).row(backend).verdict == "different"


def test_a_differing_output_is_explained_or_described() -> None:
    row = Judge(case()).row(saved(FLIPPED))
    assert (row.verdict, row.where, row.message) == ("different", "everywhere", None)
    assert row.findings[0].codes == ("kernel-flipped",)
    noise = RNG.standard_normal(CORRECT.shape).astype(np.float32)
    row = Judge(case()).row(saved(noise))
    assert (row.verdict, row.findings) == ("different", ())
    assert (row.message or "").startswith("it differs everywhere; ")


def test_where_most_elements_agree_three_edits_are_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most: list[int] = []

    class Unexplained(module.Diagnosis):
        def explanation(self, most_edits: int = 3, *, sums: bool = True) -> None:
            most.append(most_edits)

    monkeypatch.setattr(module, "Diagnosis", Unexplained)
    obtained = CORRECT.astype(np.float32)
    obtained[0, 0] += 1
    for output in (obtained, FLIPPED):
        Judge(case()).row(saved(output))
    assert most == [2, 3]


def test_a_row_that_is_known_without_a_diagnosis() -> None:
    class Informed(Judge):
        def row_without_diagnosis(self, answer: Answer, differing: Row) -> Row | None:
            return Row(answer, differing.verdict, message=f"known: {differing.where}")

    rows = [Informed(case()).row(saved(output)) for output in (FLIPPED, FLIPPED[..., 1:])]
    assert [row.message for row in rows] == [
        "known: everywhere",
        "known: its shape is 2x3x6x5 instead of 2x3x6x6",
    ]


def test_an_output_of_another_shape_is_diagnosed() -> None:
    strided = convolve(X, W, Geometry((2, 2), ((0, 0), (0, 0)), (1, 1))).astype(np.float32)
    row = Judge(case()).row(saved(strided))
    assert row.findings[0].codes == ("wrong-stride",)
    assert row.where == "its shape is 2x3x3x3 instead of 2x3x6x6"
    row = Judge(case()).row(saved(RNG.standard_normal(strided.shape).astype(np.float32)))
    assert row.message == "its shape is 2x3x3x3 instead of 2x3x6x6; no explanation found"


@pytest.mark.parametrize(
    ("stored", "asked"), [("bf16", None), ("fp16", None), ("bf16", "bfloat16")]
)
@pytest.mark.parametrize(("times", "code"), [(0, "bias-missing"), (2, "bias-doubled")])
def test_a_bias_within_the_errors_of_narrow_sums(
    stored: str, asked: str | None, times: int, code: str
) -> None:
    """Sums accumulated in 16 bits would be off by as much, but not by the bias."""
    x = RNG.standard_normal((2, 16, 10, 10)).astype(np.float32)
    w = RNG.standard_normal((8, 16, 3, 3)).astype(np.float32)
    bias = np.linspace(-1, 1, 8, dtype=np.float32)
    round_to = ROUND_TO[stored]
    sums = correlated(*(np.asarray(round_to(array)) for array in (x, w)))
    sums += times * bias.reshape(1, -1, 1, 1)
    obtained = np.asarray(round_to(sums.astype(np.float32)))
    options = {} if asked is None else {"dtype": asked}
    result = convdiff.diff(x, w, obtained, bias=bias, **options)
    assert result.verdict == "different"
    assert result.findings[0].edits[0]["code"] == code


def test_sums_accumulated_in_the_asked_16_bit_type_are_rounding() -> None:
    x, w = X.astype(np.float16), W.astype(np.float16)
    sums = np.zeros(CORRECT.shape, np.float16)
    for channel, row, column in np.ndindex(W.shape[1:]):
        window = x[:, channel, None, row : row + 6, column : column + 6]
        sums += w[:, channel, row, column].reshape(1, -1, 1, 1) * window
    assert Judge(case(x, w, "float16")).row(saved(sums)).verdict == "rounding"
    row = Judge(case(X, W)).row(saved(sums))
    assert row.verdict == "reduced-precision"
    assert row.findings[0].summary == "sums were accumulated in fp16"


def test_the_reference_is_computed_once_per_type() -> None:
    judge = Judge(case())
    assert judge.reference() is judge.reference("float32")
    assert judge.operands("float16") is judge.operands("float16")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6,), (1, 1, 6)),
        ((1, 6), (1, 1, 6)),
        ((1, 1, 6, 1), (1, 1, 6)),
        # A fault, not a convention: the axes are in another order.
        ((1, 6, 1), (1, 6, 1)),
        ((5,), (5,)),
    ],
)
def test_missing_and_extra_axes_of_size_1(
    shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    spec, _ = read_spec((1, 1, 8), (1, 1, 3), Settings(), bias=False, dtype="float32")
    assert with_unit_axes(np.ones(shape), spec).shape == expected
