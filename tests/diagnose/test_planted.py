"""Every fault, planted alone and with others by an implementation that shares no code, is found.

A diagnosis is right if the first finding has fewer edits than were planted (each finding reproduces
every element of the output), or as many and the planted ones are among it and its rivals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.api import trace
from convdiff.diagnose.diagnosis import MAX_RIVALS
from convdiff.diagnose.search import filter as filter_module
from convdiff.records import Edit
from tests.diagnose.faults import FAULTS, STAGES, Drawn, Fault, Work, draw, plant, with_pad_values
from tests.diagnose.naive import Array, Geometry, convolve

ALL_FAULTS = [fault for family in FAULTS.values() for fault in family]
# Fields of edits that are fitted, or that have several right values.
FREE_FIELDS = ("values", "factor", "factors", "offsets", "counts", "kernel")
# Drawn convolutions to which a fault is applied, at most, until it applies to `PLANTED`.
MAX_DRAWN, PLANTED = 200, 3


def codes(edits: Any) -> list[str]:
    return sorted(edit["code"] for edit in edits)


def diff(drawn: Drawn, obtained: Array) -> convdiff.Result:
    return convdiff.diff(drawn.x, drawn.w, obtained, bias=drawn.bias, **drawn.options())


def traced(drawn: Drawn, obtained: Array, expected: list[str]) -> str:
    return trace(drawn.x, drawn.w, obtained, expected, bias=drawn.bias, **drawn.options())


def starts(padding: list[list[int]]) -> list[int]:
    return [lo for lo, _ in padding]


def agree(found: Any, planted: list[Edit]) -> bool:
    """Whether the edits agree in every field that both have, apart from `FREE_FIELDS`.

    End paddings may differ, since no window may reach the difference.
    """
    if codes(found) != codes(planted):
        return False
    for edit in planted:
        other = next(e for e in found if e["code"] == edit["code"])
        for name in set(edit) & set(other) - set(FREE_FIELDS):
            values = edit[name], other[name]
            if edit["code"] == "wrong-padding" and name == "obtained":
                values = starts(edit[name]), starts(other[name])
            if values[0] != values[1]:
                return False
    return True


def check(drawn: Drawn, obtained: Array, planted: list[Edit]) -> None:
    """Asserts that the diagnosis of `obtained` is right."""
    result = diff(drawn, obtained)
    if result.agrees:
        # The faults changed nothing, as with a symmetric array or a padding that no window reaches.
        clean = Work(drawn, drawn.x, drawn.w, drawn.geometry).output()
        np.testing.assert_allclose(obtained, clean, rtol=1e-4, atol=1e-4)
        return
    assert result.findings, f"no finding for {planted}:\n{traced(drawn, obtained, codes(planted))}"
    first = result.findings[0]
    assert len(first.edits) <= len(planted)
    if len(first.edits) == len(planted):
        explanations = (first.edits, *first.rivals)
        has_planted = any(agree(edits, planted) for edits in explanations)
        assert has_planted or len(explanations) > MAX_RIVALS, f"{planted} found as {explanations}"


def output_with(fault: Fault, work: Work, rng: np.random.Generator) -> tuple[Array, Edit] | None:
    """The float32 output with the fault, and its edit; None if the fault does not apply."""
    edit = fault(work, rng)
    if edit is None:
        return None
    try:
        obtained = np.ascontiguousarray(work.output()).astype(np.float32)
    except ValueError:
        return None
    return (obtained, edit) if obtained.size else None


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_single_fault_is_found(fault: Fault, rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small arrays leave the last candidates to the proof.  Here the sample points must let the
    # planted fault through, as they must with large arrays.
    monkeypatch.setattr(filter_module, "MAX_LEFT_TO_PROOF", 0)
    rng = np.random.default_rng(rank)
    planted = 0
    for number in range(MAX_DRAWN):
        # Every other convolution is direct, or transposed where the fault needs that.
        transposed = None if number % 2 else fault.__name__ == "wrong_output_padding"
        drawn = draw(rng, rank=rank, transposed=transposed)
        wrong = output_with(fault, Work(drawn, drawn.x, drawn.w, drawn.geometry), rng)
        if wrong is not None:
            obtained, edit = wrong
            check(drawn, obtained, [edit])
            planted += 1
            if planted == PLANTED:
                break
    assert planted, "the fault never applied"


# An order of many input channels, fitted to the output, moves the numbers of the padding along.
# A quantized input is padded with a number of its grid, and an update in place with what was there.
OTHERWISE_PADDED = {
    False: ("quantized_input",),
    True: ("input_channels_permuted", "quantized_input", "updated_in_place"),
}
ASKED_PAD_VALUES = [
    (fault, each)
    for fault in ALL_FAULTS
    for each in (False, True)
    if fault.__name__ not in OTHERWISE_PADDED[each]
]


@pytest.mark.parametrize(
    ("fault", "each"),
    ASKED_PAD_VALUES,
    ids=[f"{fault.__name__}-{'each' if each else 'one'}" for fault, each in ASKED_PAD_VALUES],
)
def test_a_single_fault_is_found_where_numbers_were_asked_in_the_padding(
    fault: Fault, each: bool
) -> None:
    rng = np.random.default_rng(2)
    planted = 0
    for _ in range(MAX_DRAWN):
        drawn = draw(rng, transposed=False)
        if drawn.geometry.pad_mode != "constant" or not any(map(any, drawn.geometry.padding)):
            continue
        drawn = with_pad_values(drawn, rng, each=each)
        wrong = output_with(fault, Work(drawn, drawn.x, drawn.w, drawn.geometry), rng)
        if wrong is not None:
            check(drawn, wrong[0], [wrong[1]])
            planted += 1
            if planted == PLANTED:
                break
    assert planted or fault.__name__ == "wrong_output_padding", "the fault never applied"


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("faults", [2, 3])
def test_faults_of_several_stages_are_found_together(faults: int, seed: int) -> None:
    rng = np.random.default_rng(1000 * faults + seed)
    planted = None
    while planted is None:
        planted = plant(rng, faults)
    check(*planted)


@pytest.mark.parametrize(
    "beside", ["nothing", "kernel-flipped", "wrong-padding", "output-axes-permuted"]
)
@pytest.mark.parametrize("groups", [1, 2])
def test_the_order_of_too_many_channels_to_enumerate_is_fitted(beside: str, groups: int) -> None:
    rng = np.random.default_rng(5)
    order = [3, 0, 5, 1, 4, 2]
    x = rng.standard_normal((3, 6, 9, 9)).astype(np.float32)
    w = rng.standard_normal((4, 6 // groups, 3, 3)).astype(np.float32)
    pads = ((2, 0), (2, 0)) if beside == "wrong-padding" else ((1, 1), (1, 1))
    kernel = w[:, :, ::-1, ::-1] if beside == "kernel-flipped" else w
    obtained = convolve(x[:, order], kernel, Geometry((1, 1), pads, (1, 1), groups))
    if beside == "output-axes-permuted":
        obtained = np.moveaxis(obtained, 1, -1)
    layouts = {"input_layout": "NCHW", "kernel_layout": "OIHW"}
    result = convdiff.diff(x, w, obtained.astype(np.float32), padding=1, groups=groups, **layouts)
    edits = {edit["code"]: edit for edit in result.findings[0].edits}
    permuted = {"code": "input-channels-permuted", "permutation": order}
    assert edits.pop("input-channels-permuted") == permuted
    assert list(edits) == ([] if beside == "nothing" else [beside])


@pytest.mark.parametrize("seed", range(40))
def test_a_correct_output_has_no_finding(seed: int) -> None:
    drawn = draw(np.random.default_rng(seed))
    clean = Work(drawn, drawn.x, drawn.w, drawn.geometry).output()
    for dtype in (np.float32, np.float64, np.float16):
        result = diff(drawn, clean.astype(dtype))
        assert result.verdict in ("identical", "rounding"), result.row


# Faults that many people have, beside which the others are looked for.
COMMON_FAULTS = {
    fault.__name__: (stage, fault)
    for stage in STAGES
    for fault in FAULTS[stage]
    if fault.__name__
    in (
        "input_channels_reversed",
        "kernel_flipped",
        "wrong_padding",
        "wrong_stride",
        "bias_missing",
        "activation_applied",
    )
}
RARE_FAULTS = {
    fault.__name__: (stage.removesuffix(" alone"), fault)
    for stage, family in FAULTS.items()
    if stage.endswith(" alone")
    for fault in family
}
# Pairs that are not found: where one hides what the other is read off, or windows that were updated
# in place, or rolled, lie elsewhere.
UNKNOWN_PAIRS = {
    ("kernel_scaled", "bias_missing"),
    ("kernel_scaled", "activation_applied"),
    ("wrong_pad_value", "activation_applied"),
    ("output_is_input", "activation_applied"),
    ("output_rolled", "wrong_padding"),
    ("output_rolled", "wrong_stride"),
    ("updated_in_place", "wrong_padding"),
    ("updated_in_place", "wrong_stride"),
    ("updated_in_place", "input_channels_reversed"),
    ("updated_in_place", "activation_applied"),
    ("input_added", "kernel_flipped"),
    ("input_added", "input_channels_reversed"),
    ("input_added", "wrong_padding"),
    ("input_added", "wrong_stride"),
    ("dilation_zero", "wrong_padding"),
    ("dilation_zero", "wrong_stride"),
}
PAIRS = [
    (rare, common)
    for rare, (rare_stage, _) in RARE_FAULTS.items()
    for common, (stage, _) in COMMON_FAULTS.items()
    if (rare, common) not in UNKNOWN_PAIRS and (rare_stage != stage or stage == "output")
]


@pytest.mark.parametrize(("rare", "common"), PAIRS)
def test_a_rare_fault_is_found_beside_a_common_one(rare: str, common: str) -> None:
    (rare_stage, rare_fault), (_, common_fault) = RARE_FAULTS[rare], COMMON_FAULTS[common]
    # What is read off the output needs the other fault first, but for a change of its values.
    rare_first = common in ("activation_applied", "bias_missing") or rare_stage == "input"
    faults = [rare_fault, common_fault] if rare_first else [common_fault, rare_fault]
    rng = np.random.default_rng(len(rare) * 100 + len(common))
    planted = 0
    for _ in range(MAX_DRAWN):
        drawn = draw(rng)
        work = Work(drawn, drawn.x, drawn.w, drawn.geometry)
        try:
            edits = [fault(work, rng) for fault in faults]
            obtained = np.ascontiguousarray(work.output()).astype(np.float32)
        except (ValueError, IndexError):
            # The second fault does not fit the first one's shapes.
            continue
        if None in edits or not obtained.size:
            continue
        check(drawn, obtained, edits)
        planted += 1
        if planted == 2:
            break
