"""Hypotheses about the order of the output: what is found, and the name that it has."""

from __future__ import annotations

import pytest

import convdiff
from tests.diagnose.findings import conv, explanations, first_edits, normal, summary

NCHW = {"input_layout": "NCHW", "kernel_layout": "OIHW"}


def test_the_order_of_a_depthwise_layers_outputs_is_named() -> None:
    x, w = normal(2, 3, 8, 9), normal(6, 1, 3, 3)
    output = conv(x, w, 1, groups=3)
    obtained = output.reshape(2, 3, 2, 8, 9).swapaxes(1, 2).reshape(output.shape)
    text = summary(x, w, obtained, padding=1, groups=3, **NCHW)
    assert "outputs in the order c*M+m; here they are in the order m*C+c" in text


@pytest.mark.parametrize("layout", ["NHWC", "NCWH"])
def test_axes_of_size_1_in_another_order_are_found(layout: str) -> None:
    x, w = normal(1, 3, 12, 10), normal(1, 3, 3, 3)
    obtained = conv(x, w, 1).transpose(["NCHW".index(letter) for letter in layout])
    edit = {"code": "output-axes-permuted", "asked": "NCHW", "obtained": layout}
    assert [edit] in explanations(x, w, obtained, padding=1, **NCHW)


def test_an_output_without_its_axes_of_size_1_agrees() -> None:
    x, w = normal(1, 1, 12), normal(1, 1, 3)
    layouts = {"input_layout": "NCW", "kernel_layout": "OIW"}
    assert convdiff.diff(x, w, conv(x, w)[0, 0], **layouts).agrees


def test_a_reshape_of_one_item_is_reported_in_the_usual_layouts() -> None:
    x, w = normal(1, 3, 8, 8), normal(3, 3, 3, 3)
    obtained = conv(x, w, 1).transpose(0, 2, 3, 1).reshape(x.shape)
    expected = {"code": "output-reshaped", "asked": "NHWC", "obtained": "NCHW"}
    assert first_edits(x, w, obtained, padding=1) == [expected]


def test_the_channels_of_a_strided_transposed_output_are_compared_between_its_zeros() -> None:
    x, w = normal(1, 2, 9, 9), normal(2, 4, 1, 1)
    order = [2, 1, 3, 0]
    obtained = conv(x, w, stride=2, transposed=True)[:, order]
    layouts = {"input_layout": "NCHW", "kernel_layout": "IOHW"}
    asked = {"transposed": True, "stride": 2, "padding": 0, **layouts}
    edit = {"code": "output-channels-permuted", "permutation": order}
    assert first_edits(x, w, obtained, **asked) == [edit]
