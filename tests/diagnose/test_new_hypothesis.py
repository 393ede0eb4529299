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


class SignLost(OutputHypothesis):
    """The magnitudes of the sums were saved instead of the sums.

    How it shows: No element is negative, and each has the magnitude of the expected one.
    Typical causes: np.abs before the output of an edge filter is displayed as an image.
    What tells it apart: An output with negative elements.
    Fix: Save the output before the magnitude is taken:
        numpy: `np.save("output.npy", output)`
    """

    code: ClassVar[str] = "sign-lost"
    shown_by: ClassVar[str] = "sums of both signs"

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The magnitudes, if no obtained value is negative."""
        if base.change == UNCHANGED and problem.obtained_range[0] >= 0:
            yield base.plus({"code": self.code}, 0.3, change=Magnitude())

    def sentence(self, edit: Edit) -> str:
        return "the signs of the sums were lost"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        return "np.abs"


@dataclass(frozen=True)
class Magnitude(OpenChange):
    """Each sum may have had either sign."""

    def possible_sums(self, obtained: Array) -> Array:
        return np.stack([obtained, -obtained], axis=1)

    def relates(self, pair: SumPair) -> Array:
        error = np.abs(np.abs(pair.sums) - pair.obtained)
        return np.asarray((error <= pair.slack + pair.storage_error).all(axis=0))

    def verify(self, whole: WholeOutput) -> Fields | None:
        sums = whole.sums
        agrees = whole.rounding.explains_all(whole.obtained, np.abs(sums.output), sums.scale)
        return {} if agrees else None


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAMILIES, "output", (*FAMILIES.output, SignLost()))


def arrays() -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((2, 3, 8, 8)), rng.standard_normal((4, 3, 3, 3))
    return x.astype(np.float32), w.astype(np.float32)


def magnitudes(x: Array, w: Array, pads: tuple[int, int]) -> Array:
    """The magnitudes of a convolution with the same pads along H and W."""
    return np.abs(convolve(x, w, Geometry((1, 1), (pads, pads), (1, 1)))).astype(np.float32)


@pytest.mark.usefixtures("registered")
def test_a_registered_hypothesis_is_found_alone() -> None:
    x, w = arrays()
    (finding,) = convdiff.diff(x, w, magnitudes(x, w, (1, 1)), padding=1).findings
    assert finding.edits == ({"code": "sign-lost"},)
    assert finding.summary == "the signs of the sums were lost (np.abs)"
    assert "np.save" in page("sign-lost")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("other", ["kernel-flipped", "wrong-padding"])
def test_a_registered_hypothesis_is_found_beside_another_edit(other: str) -> None:
    x, w = arrays()
    kernel = w[..., ::-1, ::-1] if other == "kernel-flipped" else w
    pads = (0, 2) if other == "wrong-padding" else (1, 1)
    (finding,) = convdiff.diff(x, w, magnitudes(x, kernel, pads), padding=1).findings
    assert {edit["code"] for edit in finding.edits} == {"sign-lost", other}


def test_an_unregistered_hypothesis_is_not_found() -> None:
    x, w = arrays()
    assert not convdiff.diff(x, w, magnitudes(x, w, (1, 1)), padding=1).findings
