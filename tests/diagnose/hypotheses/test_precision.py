"""Faults beside operands rounded to a narrower type, and outputs of so few elements that a fit may
say anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.diagnose import Problem
from convdiff.diagnose.core.precision_fit import operand_models
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import ROUND_TO
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from tests.diagnose.naive import Array, Geometry, convolve

RNG = np.random.default_rng(30)
X = RNG.standard_normal((2, 4, 8, 8)).astype(np.float32)
W = RNG.standard_normal((4, 4, 3, 3)).astype(np.float32)
BIAS = RNG.standard_normal(4).astype(np.float32)
FAULTS = ("kernel-flipped", "input-channels-reversed", "wrong-padding")


def rounded(operands: str, faults: tuple[str, ...], bias: Array | None) -> Array:
    """A convolution with padding 1 gone wrong, of operands rounded; the sums are kept in float32."""
    x, w = (np.asarray(ROUND_TO[operands](array)) for array in (X, W))
    if "kernel-flipped" in faults:
        w = w[:, :, ::-1, ::-1]
    if "input-channels-reversed" in faults:
        x = x[:, ::-1]
    pads = ((0, 2), (0, 2)) if "wrong-padding" in faults else ((1, 1), (1, 1))
    made = convolve(x, w, Geometry((1, 1), pads, (1, 1)))
    return (made if bias is None else made + bias.reshape(1, -1, 1, 1)).astype(np.float32)


@pytest.mark.parametrize("operands", ["tf32", "bf16", "fp16"])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("bias", ["none", "narrow", "wide"])
def test_faults_are_found_beside_rounded_operands(operands: str, count: int, bias: str) -> None:
    added = (
        None
        if bias == "none"
        else np.asarray(ROUND_TO[operands](BIAS))
        if bias == "narrow" and operands != "tf32"
        else BIAS
    )
    found = convdiff.diff(
        X,
        W,
        rounded(operands, FAULTS[:count], added),
        padding=1,
        bias=None if bias == "none" else BIAS,
    )
    # TF32 and float16 inputs are the same rounding within float16's range.
    names = {"bf16"} if operands == "bf16" else {"tf32", "fp16"}
    first = {edit["code"]: edit for edit in found.findings[0].edits}
    assert first.pop("reduced-precision")["obtained"] in names
    assert set(first) == set(FAULTS[:count])
    assert found.verdict == ("different" if count else "reduced-precision")


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (
            None,
            [
                "tf32",
                "tf32 (truncated)",
                "bf16",
                "fp16",
                "fp16 of kernel",
                "bf16 of kernel",
                "fp16 of input",
                "bf16 of input",
            ],
        ),
        (1.0, []),
        (2.0**-7, ["bf16", "bf16 of kernel", "bf16 of input"]),
    ],
)
def test_only_roundings_that_change_the_operands_are_tried(
    step: float | None, named: list[str]
) -> None:
    x, w = (
        (np.rint(array / step) * step).astype(np.float32) if step else array for array in (X, W)
    )
    spec, _ = read_spec(x.shape, w.shape, Settings(), bias=False, dtype="float32")
    problem = Problem(
        spec, x, w, None, np.zeros((2, 4, 6, 6)), Rounding("float32", "float32", spec.terms)
    )
    made = list(operand_models(problem))
    assert [
        f"{precision.operand_format}{'' if len(precision.rounded_operands) > 1 else f' of {precision.rounded_operands[0]}'}"
        for precision in made
    ] == named


def overlapped(y: Array) -> Array:
    """Counted up to three times along both axes."""
    counts = np.minimum(np.minimum(np.arange(8) + 1, 8 - np.arange(8)), 3)
    return y * counts * counts[:, None]


def normalised(y: Array) -> Array:
    """Each channel by itself, as a BatchNorm has it."""
    return y * np.array([0.6, 1.7, 0.9, 1.3]).reshape(1, -1, 1, 1) + BIAS.reshape(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("after", "code", "flipped"),
    [
        (overlapped, "overlap-accumulated", False),
        (overlapped, "overlap-accumulated", True),
        (normalised, "channels-scaled", False),
        (np.tanh, "activation-applied", False),
        (np.tanh, "activation-applied", True),
        (lambda y: y / 3, "scaled", True),
    ],
)
@pytest.mark.parametrize("stored", ["bf16", "fp16"])
def test_what_was_made_of_sums_stored_in_16_bits_and_stored_again(
    after: Any, code: str, flipped: bool, stored: str
) -> None:
    x, asked = (np.asarray(ROUND_TO[stored](array)) for array in (X, W / 8))
    w = asked[:, :, ::-1, ::-1] if flipped else asked
    sums = np.asarray(
        ROUND_TO[stored](
            convolve(x, w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))).astype(np.float32)
        )
    )
    found = convdiff.diff(x, asked, ROUND_TO[stored](after(sums).astype(np.float32)), padding=1)
    codes = {edit["code"] for edit in found.findings[0].edits} - {"reduced-precision"}
    assert codes == {code, *(["kernel-flipped"] if flipped else [])}


def test_three_faults_beside_sums_kept_in_16_bits() -> None:
    x, w = X.astype(np.float16), W[:, :, ::-1, ::-1].astype(np.float16)
    padded = np.pad(x, ((0, 0), (0, 0), (0, 2), (0, 2)))
    made = np.zeros((2, 4, 8, 8), np.float16)
    for channel, row, column in np.ndindex(4, 3, 3):
        made += (
            w[:, channel, row, column].reshape(1, -1, 1, 1)
            * padded[:, channel, None, row : row + 8, column : column + 8]
        )
    found = convdiff.diff(X, W, made[:, ::-1].astype(np.float32), padding=1)
    told = [
        {edit["code"] for edit in each} - {"reduced-precision"}
        for each in (found.findings[0].edits, *found.findings[0].rivals)
    ]
    assert {"kernel-flipped", "wrong-padding", "output-channels-reversed"} in told


LAYOUTS = {"input_layout": "NCHW", "kernel_layout": "OIHW"}


def tiny(channels: int = 4) -> tuple[Array, Array, Array]:
    """An input and kernels of its size: one element for each output channel."""
    x, w = (
        RNG.standard_normal((1, 3, 4, 4)).astype(np.float32),
        RNG.standard_normal((channels, 3, 4, 4)).astype(np.float32),
    )
    return x, w, convolve(x, w, Geometry((1, 1), ((0, 0), (0, 0)), (1, 1))).astype(np.float32)


def test_one_element_a_channel_is_some_constant_off_from_anything() -> None:
    x, w, y = tiny()
    assert not convdiff.diff(
        x, w, y + RNG.standard_normal(y.shape).astype(np.float32), **LAYOUTS
    ).findings


@pytest.mark.parametrize(("factor", "told"), [(0.5, True), (1 / 255, True), (0.8371, False)])
def test_one_element_is_scaled_only_by_a_factor_that_people_use(factor: float, told: bool) -> None:
    x, w, y = tiny(1)
    found = convdiff.diff(x, w, (y * factor).astype(np.float32), **LAYOUTS)
    lists = [each for finding in found.findings for each in (finding.edits, *finding.rivals)]
    assert ([{"code": "scaled", "factor": factor}] in [[*each] for each in lists]) == told
    assert bool(found.findings) == told


def test_channels_of_one_element_each_are_told_in_their_order() -> None:
    x, w, y = tiny()
    found = convdiff.diff(x, w, y[:, [2, 0, 3, 1]], **LAYOUTS)
    assert found.findings[0].edits == (
        {"code": "output-channels-permuted", "permutation": [2, 0, 3, 1]},
    )
    again = convdiff.diff(x, w, tiny()[2][:, [2, 0, 3, 1]], **LAYOUTS)
    assert not again.findings


@pytest.mark.parametrize("items", [2, 3, 4])
def test_many_channels_in_another_order_beside_a_batch_in_another_order(items: int) -> None:
    x, w = (
        RNG.standard_normal((items, 6, 9, 9)).astype(np.float32),
        RNG.standard_normal((5, 6, 3, 3)).astype(np.float32),
    )
    channels, batch = [3, 0, 5, 1, 4, 2], [*range(1, items), 0]
    obtained = convolve(x[:, channels], w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1)))[
        batch
    ].astype(np.float32)
    finding = convdiff.diff(x, w, obtained, padding=1).findings[0]
    wanted = (
        {"code": "input-channels-permuted", "permutation": channels},
        {"code": "output-batch-permuted", "permutation": batch},
    )
    assert wanted in (finding.edits, *finding.rivals)


@pytest.mark.parametrize("stored", ["bf16", "fp16"])
def test_narrow_operands_of_a_narrow_output_are_no_narrow_sums(stored: str) -> None:
    made = np.asarray(ROUND_TO[stored](rounded(stored, (), None)))
    result = convdiff.diff(X, W, made.astype(np.float16) if stored == "fp16" else made, padding=1)
    # Of what is stored as bfloat16 nothing but the values tells: that is a finding of its own.
    assert [edit["where"] for edit in result.findings[0].edits] == (
        ["inputs"] if stored == "fp16" else ["inputs", "output"]
    )


@pytest.mark.parametrize("seed", range(8))
def test_whole_numbers_are_not_taken_for_printed_ones(seed: int) -> None:
    """Sums of whole numbers with the errors of an FFT lie on the grid of whole numbers by
    themselves.
    """
    signal = pytest.importorskip("scipy.signal")
    random = np.random.default_rng(seed)
    x, w = (
        random.integers(0, 10, (6, 7)).astype(np.float32),
        random.integers(0, 10, (3, 3)).astype(np.float32),
    )
    obtained = signal.correlate(x, w, "same", method="fft")
    result = convdiff.diff(x, w, obtained, padding="same", input_layout="HW", kernel_layout="HW")
    assert "reduced-precision" not in {
        code for finding in result.findings for code in finding.codes
    }


def test_whole_numbers_that_were_printed_are() -> None:
    random = np.random.default_rng(1)
    x, w = (
        random.integers(0, 200, (1, 3, 9, 9)).astype(np.float32),
        random.integers(-90, 90, (4, 3, 3, 3)).astype(np.float32),
    )
    exact = convolve(x, w, Geometry((1, 1), ((0, 0), (0, 0)), (1, 1)))
    printed = np.array([float(f"{value:.3g}") for value in exact.ravel()], np.float32).reshape(
        exact.shape
    )
    (edit,) = convdiff.diff(x, w, printed).findings[0].edits
    assert edit["obtained"] == "3 digits"


@pytest.mark.parametrize("stored", ["bf16", "fp16"])
@pytest.mark.parametrize("operand", ["input", "kernel"])
@pytest.mark.parametrize("flipped", [False, True])
def test_one_operand_alone_that_was_rounded(stored: str, operand: str, flipped: bool) -> None:
    x, w = (
        np.asarray(ROUND_TO[stored](array)) if name == operand else array
        for name, array in (("input", X), ("kernel", W))
    )
    made = convolve(
        x, w[:, :, ::-1, ::-1] if flipped else w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))
    ).astype(np.float32)
    edits = convdiff.diff(X, W, made, padding=1).findings[0].edits
    assert [edit["code"] for edit in edits] == (["kernel-flipped"] if flipped else []) + [
        "reduced-precision"
    ]
    assert edits[-1] == {"code": "reduced-precision", "obtained": stored, "where": operand}


@pytest.mark.parametrize("operands", ["tf32", "bf16", "fp16"])
@pytest.mark.parametrize(("computed", "saved"), [("f4", "f4"), ("f8", "f4"), ("f8", "f8")])
def test_rounded_operands_of_float64_arrays(operands: str, computed: str, saved: str) -> None:
    """The arrays are numpy's, the type that was computed in is not said."""
    x, w = RNG.standard_normal((2, 4, 8, 8)), RNG.standard_normal((4, 4, 3, 3))
    narrow = (np.asarray(ROUND_TO[operands](array)).astype(computed) for array in (x, w))
    made = convolve(*narrow, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1)))
    found = convdiff.diff(x, w, made.astype(computed).astype(saved), padding=1)
    assert found.verdict == "reduced-precision"
    assert [edit["code"] for edit in found.findings[0].edits] == ["reduced-precision"]


@pytest.mark.parametrize(
    ("stored", "asked"), [("bf16", None), ("fp16", None), ("bf16", "bfloat16")]
)
@pytest.mark.parametrize(("times", "code"), [(0, "bias-missing"), (2, "bias-doubled")])
def test_a_bias_within_the_errors_of_narrow_sums(
    stored: str, asked: str | None, times: int, code: str
) -> None:
    """Sums kept in 16 bits would be off by as much, but not by the bias."""
    x, w = (
        RNG.standard_normal((2, 16, 10, 10)).astype(np.float32),
        RNG.standard_normal((8, 16, 3, 3)).astype(np.float32),
    )
    bias = np.linspace(-1, 1, 8, dtype=np.float32)
    narrow = ROUND_TO[stored]
    made = convolve(
        *(np.asarray(narrow(array)) for array in (x, w)), Geometry((1, 1), ((0, 0), (0, 0)), (1, 1))
    )
    made = np.asarray(narrow((made + times * bias.reshape(1, -1, 1, 1)).astype(np.float32)))
    found = convdiff.diff(x, w, made, bias=bias, **({"dtype": asked} if asked else {}))
    assert found.verdict == "different"
    assert found.findings[0].edits[0]["code"] == code


def test_sums_of_numbers_with_few_decimals_are_not_taken_for_printed_ones() -> None:
    """The decimals that they happen to have are no loss, though float32 has none of the operands
    exactly; rounding to fewer is.
    """
    x = (np.arange(1, 101) * 0.01).reshape(4, 1, 5, 5)
    w = (np.arange(1, 9) * 0.125).reshape(2, 2, 1, 2).transpose(3, 2, 0, 1)
    made = convolve(x, w, Geometry((2, 2), ((0, 0), (0, 0)), (1, 1)))
    x, w = x.astype(np.float32), w.astype(np.float32)
    assert convdiff.diff(x, w, made.astype(np.float32), stride=2).verdict == "rounding"
    edits = convdiff.diff(x, w, np.round(made, 2).astype(np.float32), stride=2).findings[0].edits
    assert edits == ({"code": "reduced-precision", "obtained": "2 decimals", "where": "output"},)
