"""A new hypothesis needs one class: it is then searched for, proven and put into words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import convdiff
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.output_change import UNCHANGED, Fields, OpenChange, SumPair, WholeOutput
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import Edits, OutputHypothesis
from convdiff.diagnose.hypotheses.registry import FAMILIES, page
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from tests.diagnose.naive import Geometry, convolve


class SumsSquared(OutputHypothesis):
    """The squares of the sums were saved instead of the sums.

    How it shows: No element is negative, and each is the square of the expected one.
    Typical causes: The energy of a filter, which is the square of its output.
    What tells it apart: An output with negative elements.
    Fix: Save the output before it is squared:
        numpy: `np.save("output.npy", output)`
    """

    code: ClassVar[str] = "sums-squared"
    shown_by: ClassVar[str] = "sums far from 0 and 1"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The squares, if no obtained value is negative."""
        if base.change == UNCHANGED and problem.obtained_range[0] >= 0:
            yield base.plus({"code": self.code}, 0.3, change=Squared())

    def sentence(self, edit: Edit) -> str:
        return "the sums were squared"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "energy"


@dataclass(frozen=True)
class Squared(OpenChange):
    """Each sum may have had either sign."""

    def possible_sums(self, obtained: Array) -> Array:
        root = np.sqrt(np.maximum(obtained, 0))
        return np.stack([root, -root], axis=1)

    def relates(self, pair: SumPair) -> Array:
        error = np.abs(np.square(pair.sums) - pair.obtained)
        slack = (2 * np.abs(pair.sums) + pair.slack) * pair.slack
        return np.asarray((error <= slack + pair.storage_error).all(axis=0))

    def verify(self, whole: WholeOutput) -> Fields | None:
        sums, scale = whole.sums
        slack_scale = 2 * np.square(scale)
        agrees = whole.rounding.explains_all(whole.obtained, np.square(sums), slack_scale)
        return {} if agrees else None


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAMILIES, "output", (*FAMILIES.output, SumsSquared()))


def arrays() -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((2, 3, 8, 8)), rng.standard_normal((4, 3, 3, 3))
    return x.astype(np.float32), w.astype(np.float32)


def squares(x: Array, w: Array, pads: tuple[int, int]) -> Array:
    """The squares of a convolution with the same pads along H and W."""
    return np.square(convolve(x, w, Geometry((1, 1), (pads, pads), (1, 1)))).astype(np.float32)


@pytest.mark.usefixtures("registered")
def test_a_registered_hypothesis_is_found_alone() -> None:
    x, w = arrays()
    (finding,) = convdiff.diff(x, w, squares(x, w, (1, 1)), padding=1).findings
    assert finding.edits == ({"code": "sums-squared"},)
    assert finding.summary == "the sums were squared (energy)"
    assert "np.save" in page("sums-squared")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("other", ["kernel-flipped", "wrong-padding"])
def test_a_registered_hypothesis_is_found_beside_another_edit(other: str) -> None:
    x, w = arrays()
    kernel = w[..., ::-1, ::-1] if other == "kernel-flipped" else w
    pads = (0, 2) if other == "wrong-padding" else (1, 1)
    (finding,) = convdiff.diff(x, w, squares(x, kernel, pads), padding=1).findings
    assert {edit["code"] for edit in finding.edits} == {"sums-squared", other}


def test_an_unregistered_hypothesis_is_not_found() -> None:
    x, w = arrays()
    assert not convdiff.diff(x, w, squares(x, w, (1, 1)), padding=1).findings
