"""Every record of the port check has a sentence."""

from __future__ import annotations

from typing import get_args

import pytest

from convdiff.port import wording
from convdiff.port.folded_norm import OneFoldOfSeveralSuspected, OwnFoldSuspected
from convdiff.port.input_faults import FaultKind
from convdiff.port.layer_pair import PairedBy
from convdiff.port.own_weights import (
    BiasKind,
    BiasRelation,
    KernelKind,
    KernelRelation,
    WeightDifference,
    WeightRelation,
)
from convdiff.suite_result import InputAgreement

DIFFERENCE = WeightDifference(3, 1200, 0.25)


def test_every_pairing_and_every_input_fault_has_words() -> None:
    assert set(wording.PAIRED_BY) == set(get_args(PairedBy))
    assert set(wording.INPUT_FAULTS) == set(get_args(FaultKind))


KINDS: list[tuple[KernelKind, BiasKind | None]] = [
    (kernel, bias)
    for kernel in get_args(KernelKind)
    for bias in (None, *get_args(BiasKind))
    if kernel != "equal" or bias
]


@pytest.mark.parametrize(("kernel", "bias"), KINDS)
def test_every_relation_of_weights_has_a_sentence(
    kernel: KernelKind, bias: BiasKind | None
) -> None:
    fields = {"rounded_to": 3, "layer": "stem", "difference": DIFFERENCE}
    relation = WeightRelation(
        KernelRelation(kernel, **fields),  # type: ignore[arg-type]
        BiasRelation(bias, **fields) if bias else None,  # type: ignore[arg-type]
    )
    sentence = wording.weights(relation)
    assert "the port's" in sentence
    assert ("bias" in sentence) == (bias is not None)


@pytest.mark.parametrize(
    ("relation", "sentence"),
    [
        (
            WeightRelation(KernelRelation("rounded", rounded_to=1)),
            "the port's kernel is the source's, rounded to 1 decimal",
        ),
        (
            WeightRelation(
                KernelRelation("different", difference=DIFFERENCE),
                BiasRelation("another layer's", layer="stem"),
            ),
            "the port's kernel has different weights (3 of 1,200 differ, by up to 0.25); its bias "
            "is that of stem",
        ),
        (
            WeightRelation(KernelRelation("equal"), BiasRelation("rounded", rounded_to="float16")),
            "the port's bias is the source's, rounded to float16",
        ),
    ],
)
def test_weights_are_related_in_a_sentence(relation: WeightRelation, sentence: str) -> None:
    assert wording.weights(relation) == sentence


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (None, "another shape"),
        (float("inf"), "NaN or infinite"),
        (0.00123, "by 0.12%, where rounding explains 0.003%"),
        (0.0567, "by 5.7%"),
        (1.21, "by 121%"),
    ],
)
def test_a_distance_has_as_many_digits_as_matter(distance: float | None, text: str) -> None:
    assert wording.distance(InputAgreement(distance, 3e-5)) == text


def test_a_doubt_names_what_shows_it() -> None:
    agreement = InputAgreement(0.5, 1e-5)
    assert wording.doubt(OwnFoldSuspected("two", agreement)) == (
        "a normalization may be folded into its kernel, but the input of two after it differs "
        "(by 50%)"
    )
    assert wording.doubt(OwnFoldSuspected(None, agreement)) == (
        "a normalization may be folded into its kernel, but the models' outputs differ (by 50%)"
    )
    assert wording.doubt(OneFoldOfSeveralSuspected(("one", "two"))) == (
        "look for a normalization that is folded wrongly into one or two"
    )
