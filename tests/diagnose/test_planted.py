"""Every fault there is, planted by an implementation that shares nothing with the engine, singly
and in pairs.

A finding is right if its edits are the planted ones, or if they are no more than those (every
finding has reproduced every element) and, where they are as many, the planted ones stand among its
rivals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.diagnose.diagnosis import MAX_RIVALS
from tests.diagnose.faults import FAULTS, Drawn, Work, draw, plant
from tests.diagnose.naive import Array, Geometry, convolve

SINGLES = [fault for family in FAULTS.values() for fault in family]


def codes(edits: Any) -> list[str]:
    return sorted(edit["code"] for edit in edits)


def result(drawn: Drawn, obtained: Array) -> convdiff.Result:
    return convdiff.diff(drawn.x, drawn.w, obtained, bias=drawn.bias, **drawn.options())


def same(found: Any, planted: list[dict[str, Any]]) -> bool:
    """Whether the edits agree in every field that both name; fitted numbers and the end padding no
    window reaches aside.
    """
    loose = ("values", "factor", "counts", "kernel")
    if codes(found) != codes(planted):
        return False
    for edit in planted:
        other = next(each for each in found if each["code"] == edit["code"])
        for name in set(edit) & set(other) - set(loose):
            if edit["code"] == "wrong-padding" and name == "obtained":
                if [lo for lo, _ in edit[name]] != [lo for lo, _ in other[name]]:
                    return False
            elif edit[name] != other[name]:
                return False
    return True


def check(drawn: Drawn, obtained: Array, edits: list[dict[str, Any]]) -> None:
    found = result(drawn, obtained)
    if found.agrees:
        # Nothing changed: a symmetric array, a padding that no window reaches.
        np.testing.assert_allclose(
            obtained, Work(drawn, drawn.x, drawn.w, drawn.geometry).output(), rtol=1e-4, atol=1e-4
        )
        return
    assert found.findings, f"unexplained: {edits}"
    first = found.findings[0]
    assert len(first.edits) <= len(edits)
    if len(first.edits) == len(edits):
        told = (first.edits, *first.rivals)
        assert any(same(each, edits) for each in told) or len(told) > MAX_RIVALS, (
            f"{edits} found as {told}"
        )


def conv(x: Array, w: Array) -> Array:
    return convolve(x, w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))).astype(np.float32)


@pytest.mark.parametrize("fault", SINGLES, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_single_fault_is_found(fault: Any, rank: int) -> None:
    rng = np.random.default_rng(rank)
    tried = 0
    for number in range(200):
        drawn = draw(
            rng,
            rank=rank,
            transposed=None if number % 2 else fault.__name__ == "wrong_output_padding",
        )
        work = Work(drawn, drawn.x, drawn.w, drawn.geometry)
        edit = fault(work, rng)
        if edit is None:
            continue
        try:
            obtained = np.ascontiguousarray(work.output()).astype(np.float32)
        except ValueError:
            continue
        if obtained.size == 0:
            continue
        check(drawn, obtained, [edit])
        tried += 1
        if tried == 3:
            break
    assert tried, "the fault never applied"


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
def test_channels_too_many_to_try_are_read_off(beside: str, groups: int) -> None:
    rng = np.random.default_rng(5)
    order = [3, 0, 5, 1, 4, 2]
    x, w = (
        rng.standard_normal((3, 6, 9, 9)).astype(np.float32),
        rng.standard_normal((4, 6 // groups, 3, 3)).astype(np.float32),
    )
    pads = ((2, 0), (2, 0)) if beside == "wrong-padding" else ((1, 1), (1, 1))
    used = w[:, :, ::-1, ::-1] if beside == "kernel-flipped" else w
    obtained = convolve(x[:, order], used, Geometry((1, 1), pads, (1, 1), groups)).astype(
        np.float32
    )
    if beside == "output-axes-permuted":
        obtained = np.moveaxis(obtained, 1, -1)
    found = convdiff.diff(
        x, w, obtained, padding=1, groups=groups, input_layout="NCHW", kernel_layout="OIHW"
    )
    edits = {edit["code"]: edit for edit in found.findings[0].edits}
    assert edits.pop("input-channels-permuted") == {
        "code": "input-channels-permuted",
        "permutation": order,
    }
    assert list(edits) == ([] if beside == "nothing" else [beside])


def test_the_nearest_miss_is_told() -> None:
    rng = np.random.default_rng(6)
    x, w = (
        rng.standard_normal((2, 3, 10, 10)).astype(np.float32),
        rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
    )
    obtained = conv(x, w[:, :, ::-1, ::-1])
    obtained[..., 7:] += rng.standard_normal(obtained[..., 7:].shape).astype(np.float32)
    found = convdiff.diff(x, w, obtained, padding=1)
    assert not found.findings
    assert "the nearest miss, the kernel was flipped along H and W, gives 70% of them" in (
        found.row.message or ""
    )


@pytest.mark.parametrize("seed", range(40))
def test_a_clean_output_is_never_accused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = draw(rng)
    clean = Work(drawn, drawn.x, drawn.w, drawn.geometry).output()
    for dtype in (np.float32, np.float64, np.float16):
        found = result(drawn, clean.astype(dtype))
        assert found.verdict in ("identical", "rounding"), found.row


@pytest.mark.parametrize("kind", ["noise", "other kernel", "one element", "one channel"])
@pytest.mark.parametrize("seed", range(3))
def test_what_no_edit_explains_gets_no_story(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = draw(rng, rank=2, transposed=False)
    clean = Work(drawn, drawn.x, drawn.w, drawn.geometry).output()
    if kind == "noise":
        wrong = clean + 0.1 * rng.standard_normal(clean.shape)
    elif kind == "other kernel":
        wrong = Work(drawn, drawn.x, rng.standard_normal(drawn.w.shape), drawn.geometry).output()
    else:
        wrong = clean.copy()
        wrong[(0, 0, 1, 1) if kind == "one element" else (slice(None), 0)] += (
            rng.standard_normal() + 3
        )
        if kind == "one channel":
            wrong[:, 0] *= rng.uniform(0.9, 1.1, wrong[:, 0].shape)
    found = result(drawn, wrong.astype(np.float32))
    assert found.verdict == "different"
    assert not found.findings, found.findings
    assert found.row.message
    if kind == "one element":
        assert "one element" in found.row.message


def test_other_weights_are_told() -> None:
    rng = np.random.default_rng(3)
    x, w = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((2, 5, 12, 12), (6, 5, 3, 3))
    )
    one, channel, all_of_them = w.copy(), w.copy(), rng.standard_normal(w.shape).astype(np.float32)
    one[3, 2, 1, 0] += 0.5
    channel[4] *= 0.25
    told = {
        f"[3, 2, 1, 0] is {one[3, 2, 1, 0]:.4g}": one,
        "output channel 4 multiplied by 0.25": channel,
        "of them differ": all_of_them,
    }
    for words, other in told.items():
        found = convdiff.diff(x, w, conv(x, other), padding=1)
        assert not found.findings
        assert words in (found.row.message or "")


@pytest.mark.parametrize(
    "beside", ["overlap-accumulated", "output-channels-permuted", "output-batch-permuted"]
)
@pytest.mark.parametrize("rank", [1, 2])
def test_an_activation_beside_another_edit_of_the_output(beside: str, rank: int) -> None:
    rng = np.random.default_rng(rank)
    space = "HW"[-rank:]
    x, w = (
        rng.standard_normal((3, 3, *(9,) * rank)).astype(np.float32),
        rng.standard_normal((5, 3, *(3,) * rank)).astype(np.float32),
    )
    made = np.maximum(convolve(x, w, Geometry((1,) * rank, ((1, 1),) * rank, (1,) * rank)), 0)
    counts = np.minimum(np.minimum(np.arange(9) + 1, 9 - np.arange(9)), 3)
    obtained = {
        "overlap-accumulated": lambda: made * (counts if rank == 1 else np.outer(counts, counts)),
        "output-channels-permuted": lambda: made[:, [3, 0, 4, 1, 2]],
        "output-batch-permuted": lambda: made[[1, 2, 0]],
    }[beside]().astype(np.float32)
    found = convdiff.diff(
        x, w, obtained, padding=1, input_layout=f"NC{space}", kernel_layout=f"OI{space}"
    )
    told = [codes(each) for each in (found.findings[0].edits, *found.findings[0].rivals)]
    assert sorted(["activation-applied", beside]) in told
