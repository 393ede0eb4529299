"""Hypotheses about the operation: the number of groups, and transposed instead of direct."""

from __future__ import annotations

import pytest

from tests.diagnose.findings import conv, finding, first_edits, normal


@pytest.mark.parametrize(("asked", "obtained"), [(2, 1), (1, 4), (4, 2)])
def test_other_groups_of_a_transposed_convolution_give_other_channels(
    asked: int, obtained: int
) -> None:
    x, w = normal(2, 4, 6, 6), normal(4, 3, 3, 3)
    output = conv(x, w, 1, transposed=True, groups=obtained)
    layouts = {"input_layout": "NCHW", "kernel_layout": "IOHW"}
    edit = {"code": "wrong-groups", "asked": asked, "obtained": obtained, "kernel": "whole"}
    assert first_edits(x, w, output, groups=asked, transposed=True, padding=1, **layouts) == [edit]


def test_a_depthwise_kernel_run_dense_is_one_group() -> None:
    x, w = normal(2, 7, 8, 4), normal(3, 3, 4, 2)
    output = conv(x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), 1).transpose(0, 2, 3, 1)
    layouts = {"input_layout": "NHWC", "kernel_layout": "HWIM"}
    first = finding(x, w, output, depthwise=True, padding=1, **layouts)
    edit = {"code": "wrong-groups", "asked": 4, "obtained": 1, "kernel": "whole"}
    assert first.edits == (edit,)
    assert first.summary.startswith("there was 1 group instead of 4, with the kernel as it is")


def test_a_dense_kernel_run_depthwise_is_a_group_for_each_channel() -> None:
    x, w = normal(2, 7, 8, 4), normal(3, 3, 4, 2)
    grouped = w.transpose(2, 3, 0, 1).reshape(8, 1, 3, 3)
    output = conv(x.transpose(0, 3, 1, 2), grouped, 1, groups=4).transpose(0, 2, 3, 1)
    layouts = {"input_layout": "NHWC", "kernel_layout": "HWIO"}
    edit = {"code": "wrong-groups", "asked": 1, "obtained": 4, "kernel": "whole"}
    assert first_edits(x, w, output, padding=1, **layouts) == [edit]
