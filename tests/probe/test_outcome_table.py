"""`convdiff probe` in a terminal."""

from __future__ import annotations

from tests.cli.conftest import Invoke, folder, invoke  # noqa: F401
from tests.probe.conftest import FUNCTIONS


def test_a_mismatch_is_the_conclusion(invoke: Invoke) -> None:  # noqa: F811
    result = invoke("probe", f"numpy={FUNCTIONS}:padded", "--padding", "1")
    assert result.exit_code == 1
    assert "✗ given --padding 1, found 2" in result.stdout
    assert "cross-correlation" in result.stdout
    assert "convdiff run INPUT KERNEL" in result.stdout


def test_the_steps_after_the_convolution_follow_its_options(invoke: Invoke) -> None:  # noqa: F811
    result = invoke("probe", f"numpy={FUNCTIONS}:leaky_relu")
    assert result.exit_code == 0
    assert "and then leaky relu (0.125)" in result.stdout


def test_what_is_known_stands_in_place_of_the_options(invoke: Invoke) -> None:  # noqa: F811
    result = invoke("probe", f"numpy={FUNCTIONS}:tanh")
    assert result.exit_code == 2
    assert "linear in the input" in result.stdout
    assert "convdiff run" not in result.stdout
