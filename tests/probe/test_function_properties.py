"""What is known of functions that are no convolution."""

from __future__ import annotations

from tests.probe.conftest import FUNCTIONS, Probe


def test_padding_with_another_value_shows_in_the_output_of_zeros(probe: Probe) -> None:
    properties = probe("numpy", f"{FUNCTIONS}:padded_with_positions").properties
    assert properties["an input of zeros"].endswith("padded with something other than 0?")


def test_random_outputs_are_not_deterministic(probe: Probe) -> None:
    properties = probe("numpy", f"{FUNCTIONS}:random_output").properties
    assert properties["deterministic"].startswith("no")


def test_a_kernel_that_is_ignored(probe: Probe) -> None:
    properties = probe("numpy", f"{FUNCTIONS}:kernel_ignored").properties
    assert properties["depends on the kernel"] == "no"
    assert properties["linear in the input"] == "yes"
