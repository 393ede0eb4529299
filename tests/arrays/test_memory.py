"""Arrays and tensors that are passed in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convdiff.arrays import from_memory
from convdiff.errors import ConvdiffError
from tests.arrays.support import PLAIN


def test_arrays_in_memory_are_made_native() -> None:
    assert from_memory([[1, 2], [3, 4]], "input").array.shape == (2, 2)
    assert from_memory(np.ones(3, ">f8"), "input").array.dtype == np.dtype("=f8")
    assert from_memory(np.ones(3, bool), "input").array.dtype == np.uint8
    mine = np.ones(3, np.float32)
    assert from_memory(mine, "input").array is mine
    assert from_memory(mine, "input").name == "array"


class ForeignTensor:
    """A tensor of another framework, as numpy sees it."""

    def __array__(self, *_: object, **__: object) -> Any:
        return PLAIN


class Broken:
    def __array__(self, *_: object, **__: object) -> Any:
        raise RuntimeError("it lives on another device\nand there it stays")


def test_tensors_of_other_frameworks_are_converted_by_array() -> None:
    assert from_memory(ForeignTensor(), "input").array.shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.ma.masked_array([1.0, 2.0], [True, False]), "a masked array"),
        (np.array([1, None], object), "Python objects"),
        (None, "Python objects"),
        ("text", "strings"),
        (np.zeros(2, np.clongdouble), "of long doubles"),
        ([[1, 2], [3]], "a list that numpy cannot convert"),
        (Broken(), "a Broken that numpy cannot convert .it lives on another device."),
        (np.zeros((2, 0)), "axis 1 of shape"),
        (3.0, "a single number"),
    ],
)
def test_what_is_not_an_array_is_rejected(value: object, found: str) -> None:
    with pytest.raises(ConvdiffError, match=f"^obtained: found .*{found}"):
        from_memory(value, "obtained")


def test_bfloat16_in_memory_is_widened() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    stored = from_memory(np.array([1.5, -3.0], ml_dtypes.bfloat16), "input")
    assert stored.stored == "bfloat16"
    assert stored.array.tolist() == [1.5, -3.0]
