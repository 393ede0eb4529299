"""Layout strings, and arrays moved from one order of axes to another."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.errors import ConvdiffError
from convdiff.spec.layout import check_layout, from_order, kernel_to_order, to_order


@pytest.mark.parametrize(
    ("layout", "role", "message"),
    [
        ("NCHX", "input", "found the letter 'X', expected letters of N C D H W"),
        ("NHHW", "output", "found the letter H more than once"),
        ("NCHD", "input", "found the spatial axes HD, expected W (1-D), HW (2-D) or DHW (3-D)"),
        ("OI", "kernel", "found the spatial axes none"),
        ("HWOM", "kernel", "found both O and M"),
        ("NCHW", "kernel", "found the letter 'C'"),
    ],
)
def test_what_is_no_layout_is_refused(layout: str, role: str, message: str) -> None:
    with pytest.raises(ConvdiffError, match=f"^--{role}-layout {layout}: ") as caught:
        check_layout(layout, role)
    assert message in str(caught.value)


def test_lower_case_and_blanks_are_accepted() -> None:
    assert check_layout(" nhwc ", "input") == "NHWC"


def test_an_absent_axis_gets_size_1_and_is_dropped_on_the_way_back() -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    ordered = to_order(array, "HWC", "NCHW")
    assert ordered.shape == (1, 4, 2, 3)
    assert ordered[0, 3, 1, 2] == array[1, 2, 3]
    assert np.array_equal(from_order(ordered, "NCHW", "HWC"), array)


def test_a_depthwise_kernel_has_the_output_channels_of_one_input_channel_in_a_row() -> None:
    kernel = np.arange(12.0).reshape(2, 3, 2)
    ordered = kernel_to_order(kernel, "WIM", "W")
    assert ordered.shape == (6, 1, 2)
    for channel in range(3):
        for multiple in range(2):
            assert np.array_equal(ordered[channel * 2 + multiple, 0], kernel[:, channel, multiple])
