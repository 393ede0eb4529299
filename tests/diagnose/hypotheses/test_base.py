"""Every registered hypothesis is complete; the failure names what is missing."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from convdiff.diagnose import Problem
from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.output_change import UNCHANGED, OpenChange, OutputChange
from convdiff.diagnose.hypotheses.base import Hypothesis, OutputHypothesis
from convdiff.diagnose.hypotheses.registry import FAMILIES, HEADINGS, by_code
from convdiff.numerics.error_bound import Rounding
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from tests.diagnose.faults import FAULTS

ALL = list(FAMILIES)
# The inverse of kernel-flipped, what a backend does when it is run again, and what has tests of its
# own: precision, and operands of a single channel, which are not drawn.
NOT_PLANTED = {
    "kernel-not-flipped",
    "not-deterministic",
    "reduced-precision",
    "operands-exchanged",
    # Planted in complex arrays: tests/diagnose/test_complex_planted.py.
    "kernel-conjugated",
    "input-conjugated",
    "output-conjugated",
    "part-kept",
}


def class_name(hypothesis: Hypothesis) -> str:
    return type(hypothesis).__name__


@pytest.mark.parametrize("hypothesis", ALL, ids=class_name)
def test_a_hypothesis_is_complete(hypothesis: Hypothesis) -> None:
    missing = []
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*", getattr(hypothesis, "code", "")):
        missing.append("a `code` that states the fault, in words with hyphens")
    if not getattr(hypothesis, "shown_by", ""):
        missing.append("`shown_by`, the arrays that would show it")
    if type(hypothesis).sentence is Hypothesis.sentence:
        missing.append("`sentence`, the edit in plain words")
    docstring = inspect.getdoc(type(by_code()[hypothesis.code])) or ""
    missing += [
        f"'{heading}:' in the docstring of one class with its code"
        for heading in HEADINGS
        if not re.search(rf"^{heading}:", docstring, re.MULTILINE)
    ]
    unknown = set(hypothesis.interchangeable_with) - set(by_code())
    missing += [f"a hypothesis of the code {code}, which it names" for code in sorted(unknown)]
    assert not missing, f"{class_name(hypothesis)} lacks {'; '.join(missing)}"


def test_every_code_is_planted() -> None:
    planted = {fault.__name__.replace("_", "-") for family in FAULTS.values() for fault in family}
    missing = set(by_code()) - planted - NOT_PLANTED
    assert not missing, f"tests/diagnose/faults.py plants no {', '.join(sorted(missing))}"


def problems() -> list[Problem]:
    """Problems with outputs of several kinds, so that each output hypothesis has forms for one."""
    rng = np.random.default_rng(0)
    x, bias = rng.standard_normal((3, 4, 6, 6)), np.arange(1.0, 5.0)
    signed = rng.standard_normal((3, 4, 6, 6))
    outputs = [
        signed,
        np.abs(signed) / 4,
        np.maximum(signed, 0),
        np.clip(signed, -1, 1),
        np.rint(signed * 30),
    ]
    found = []
    for groups in (1, 2):
        w = rng.standard_normal((4, 4 // groups, 3, 3))
        settings = Settings(padding=1, groups=groups)
        spec, _ = read_spec(x.shape, w.shape, settings, bias=True, dtype="float32")
        rounding = Rounding("float32", "float32", spec.terms)
        found += [Problem(spec, x, w, bias, output, rounding) for output in outputs]
    signal, kernel = rng.standard_normal((1, 1, 9, 9)), rng.standard_normal((1, 1, 3, 3))
    settings = Settings(padding="full")
    spec, _ = read_spec(signal.shape, kernel.shape, settings, bias=False, dtype="float64")
    output = rng.standard_normal(spec.shape("output"))
    rounding = Rounding("float64", "float64", spec.terms)
    return [*found, Problem(spec, signal, kernel, None, output, rounding)]


@pytest.mark.parametrize("hypothesis", FAMILIES.output, ids=class_name)
def test_the_changes_of_an_output_hypothesis_can_be_searched_for(
    hypothesis: OutputHypothesis,
) -> None:
    found = 0
    for problem in problems():
        base = OutputForm(array=ArrayView.of(problem.obtained))
        for form in hypothesis.forms(problem, base):
            found += 1
            change = form.change
            assert len(form.edits) == 1
            assert form.edits[0]["code"] == hypothesis.code
            assert 1 <= form.cost < 2, "1 for the edit, and an oddness below 1"
            assert hash(change) == hash(change)
            assert change == UNCHANGED or type(change).verify is not OutputChange.verify
            if isinstance(change, OpenChange):
                assert type(change).relates is not OpenChange.relates
                has_first_pair = change.axis is not None or any(
                    getattr(type(change), method) is not getattr(OpenChange, method)
                    for method in ("possible_sums", "invariant")
                )
                assert has_first_pair, f"{change} has neither `possible_sums` nor an `invariant`"
    # Its forms come from a search of its own.
    assert found or hypothesis.code == "channels-scaled", (
        "no problem here has an output of its kind"
    )
