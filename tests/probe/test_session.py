"""What a probe comes to: why a function is not identified, and what cannot be called."""

from __future__ import annotations

import pytest

from convdiff.errors import ConvdiffError
from tests.probe.conftest import FUNCTIONS, Probe


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("kernel_ignored", "it does not depend on the kernel"),
        ("tanh", "it is not linear in the input: stays between -1 and 1 (sigmoid, tanh?)"),
        ("rounded", "integers come out as from a convolution, fractions do not"),
        (
            "kernel_normalized",
            "it is not linear in the kernel: twice as much gives the same (normalized?)",
        ),
        ("interleaved_groups", ""),
        ("random_output", "repeated calls differ"),
    ],
)
def test_a_function_that_is_no_convolution_is_not_identified(
    name: str, reason: str, probe: Probe
) -> None:
    outcome = probe("numpy", f"{FUNCTIONS}:{name}")
    assert outcome.found is None
    assert outcome.exit_code == 2
    assert outcome.reason.startswith(reason), outcome.reason


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (f"{FUNCTIONS}:undefined_name", "NameError: name 'undefined'"),
        ("input +", "SyntaxError"),
        (f"{FUNCTIONS}:no_such_function", "no function"),
        (f"{FUNCTIONS}:images_of_8x8_only", r"none of the shapes .* images of 8x8 only"),
    ],
)
def test_code_that_cannot_be_called_is_an_error(code: str, message: str, probe: Probe) -> None:
    with pytest.raises(ConvdiffError, match=message):
        probe("numpy", code)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "sme"}, "--padding: found 'sme'.*did you mean same"),
        ({"pad_value": "zeros"}, "--pad-value: found 'zeros'"),
        ({"pad_mode": "zeros"}, "--pad-mode: found 'zeros'"),
        ({"stride": "two"}, "--stride: found 'two', expected whole numbers"),
        ({"dtype": "int8"}, "--dtype: found 'int8'"),
        ({"input_shape": "2,x", "kernel_shape": "1,1"}, "--input-shape: found '2,x'"),
        ({"input_shape": "2,4,9,8"}, "--input-shape, --kernel-shape: found one of them"),
    ],
)
def test_options_that_fit_no_rank_are_an_error(
    options: dict[str, str], message: str, probe: Probe
) -> None:
    with pytest.raises(ConvdiffError, match=message):
        probe("numpy", f"{FUNCTIONS}:plain", **options)
