"""Given options are checked against the convolution that was found."""

from __future__ import annotations

from typing import Any

import pytest

from tests.probe.conftest import FUNCTIONS, Probe


@pytest.mark.parametrize(
    ("given", "mismatches"),
    [
        ({"padding": 0, "input_layout": "NCHW", "stride": "1,1", "flip": False, "groups": 1}, {}),
        ({"padding": "valid"}, {}),
        ({"padding": 1}, {"--padding": "0"}),
        ({"padding": "same", "stride": 2}, {"--padding": "0", "--stride": "1"}),
        ({"flip": True}, {"--flip": "not flipped"}),
        ({"input_layout": "NHWC"}, {"--input-layout": "NCHW"}),
        (
            {"kernel_layout": "HWIO", "input_layout": "NHWC"},
            {"--input-layout": "NCHW", "--kernel-layout": "OIHW"},
        ),
        ({"pad_value": 5}, {}),
        ({"padding": 1, "pad_value": 5}, {"--padding": "0"}),
        ({"transposed": True}, {"--transposed": "direct"}),
        ({"groups": 2}, {"--groups": "1"}),
        ({"as_": "torch"}, {}),
        ({"as_": "tensorflow"}, {"--as": "input NCHW, kernel OIHW"}),
        ({"as_": "theano"}, {"--flip": "not flipped"}),
    ],
)
def test_each_option_is_checked(
    given: dict[str, Any], mismatches: dict[str, str], probe: Probe
) -> None:
    outcome = probe("numpy", f"{FUNCTIONS}:plain", **given)
    assert {mismatch.option: mismatch.found for mismatch in outcome.mismatches} == mismatches
    assert outcome.exit_code == (1 if mismatches else 0)


def test_equivalent_settings_that_agree_are_preferred(probe: Probe) -> None:
    outcome = probe("numpy", "np.convolve(input, kernel)", transposed=True, kernel_layout="W")
    assert outcome.exit_code == 0
    assert outcome.found is not None
    assert outcome.found.spec.transposed


def test_a_given_pad_value_is_checked(probe: Probe) -> None:
    agreeing = probe("numpy", f"{FUNCTIONS}:padded_with_fives", pad_value="5")
    assert (agreeing.exit_code, agreeing.agreeing) == (0, ("--pad-value 5",))
    outcome = probe("numpy", f"{FUNCTIONS}:padded_with_fives", pad_value=3)
    assert outcome.exit_code == 1
    (mismatch,) = outcome.mismatches
    assert (mismatch.option, mismatch.found) == ("--pad-value", "5")
