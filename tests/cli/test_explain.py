"""`convdiff explain`."""

from __future__ import annotations

from tests.cli.conftest import Invoke


def test_codes_are_listed_and_explained(invoke: Invoke) -> None:
    listed = invoke("explain")
    assert listed.exit_code == 0
    assert any(line.startswith("kernel-flipped ") for line in listed.stdout.splitlines())
    assert invoke("explain", "kernel-flipped").stdout.startswith("kernel-flipped\n")
