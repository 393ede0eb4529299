"""Every code of the contract is there, and each tells its whole story."""

from __future__ import annotations

import pytest

from convdiff.diagnose.catalogue import CODES, text
from convdiff.errors import ConvdiffError

CONTRACT = """kernel-flipped kernel-not-flipped kernel-axes-permuted kernel-reshaped kernel-channels-reversed input-axes-permuted
output-axes-permuted input-reshaped output-reshaped input-channels-reversed output-channels-reversed input-batch-permuted
output-batch-permuted input-reversed output-channels-permuted input-channels-permuted wrong-padding wrong-pad-mode wrong-stride
wrong-dilation wrong-groups wrong-transposed wrong-output-padding groups-interleaved overlap-accumulated bias-missing bias-added
bias-doubled scaled activation-applied reduced-precision not-deterministic""".split()  # noqa: SIM905


def test_the_codes_are_the_contracts() -> None:
    assert set(CODES) >= set(CONTRACT)


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_tells_what_how_why_and_the_fix(code: str) -> None:
    story = text(code)
    assert story.startswith(f"{code}\n")
    for heading in ("How it shows:", "Typical causes:", "Fix:"):
        assert heading in story


def test_the_list_has_a_line_for_each() -> None:
    assert [line.split()[0] for line in text(None).splitlines()] == list(CODES)


def test_an_unknown_code_names_the_nearest() -> None:
    with pytest.raises(ConvdiffError, match="did you mean kernel-flipped"):
        text("kernel-fliped")
