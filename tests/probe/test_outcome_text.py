"""Properties in words, on convolutions with one peculiarity each."""

from __future__ import annotations

import pytest

from convdiff.probe.outcome_text import option_value, proof, properties
from tests.probe.conftest import FUNCTIONS, Probe


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("relu", ("linear", "no", "negative values become 0: relu")),
        ("leaky_relu", ("linear", "no", "negative values are multiplied by 0.125: leaky relu")),
        ("own_bias", ("bias", "its own", "2.5")),
        ("halved", ("scale", "0.5", "times the convolution")),
        ("padded_with_edges", ("pad mode", "edge", "torch's replicate")),
        ("plain", ("pad mode", "none", "nothing is padded")),
    ],
)
def test_a_property_has_a_value_and_a_remark(
    name: str, line: tuple[str, str, str], probe: Probe
) -> None:
    found = probe("numpy", f"{FUNCTIONS}:{name}").found
    assert found is not None
    assert line in properties(found)


def test_the_proof_counts_the_elements_of_every_trial(probe: Probe) -> None:
    found = probe("numpy", f"{FUNCTIONS}:plain").found
    assert found is not None
    count = sum(trial.output.size for trial in found.trials)
    assert proof(found).startswith(f"{count:,} of {count:,} elements reproduced exactly")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("depthwise", True, ""),
        ("flip", False, ""),
        ("padding", ((0, 1), (0, 1)), "0:1,0:1"),
        ("stride", (2, 2), "2"),
        ("pad_mode", "edge", "edge"),
    ],
)
def test_an_option_value_is_written_as_on_the_command_line(
    name: str, value: object, text: str
) -> None:
    assert option_value(name, value) == text
