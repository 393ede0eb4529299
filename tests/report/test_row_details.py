"""The blocks under the table: which fix is shown."""

from __future__ import annotations

import pytest

from convdiff.records import Answer
from convdiff.report.row_details import shown_fixes


@pytest.mark.parametrize(
    ("backend", "layout", "fixes", "shown"),
    [
        ("torch", "NHWC", ["tensorflow", "torch"], "torch"),
        ("torch@1.13", "NHWC", ["tensorflow", "torch"], "torch"),
        (None, "NHWC", ["torch", "theano", "tensorflow"], "tensorflow"),
        (None, "NCHW", ["jax", "torch", "tensorflow"], "torch"),
        (None, "NCHW", ["onnx", "cudnn"], "cudnn"),
        ("cudnn", "NCHW", ["torch", "numpy"], "torch"),
    ],
)
def test_the_fix_is_for_the_rows_own_framework_or_the_likeliest_one(
    backend: str | None, layout: str, fixes: list[str], shown: str
) -> None:
    answer = Answer("x", "saved", "ok", backend)
    assert list(shown_fixes(dict.fromkeys(fixes, "code"), answer, layout)) == [shown]
    assert list(shown_fixes({}, answer, layout)) == []
