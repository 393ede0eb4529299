"""Element types: how the accepted ones are converted, and messages for the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.arrays import read
from tests.arrays.support import PLAIN, assert_rejected, header, saved, with_header

# The file's name, its bytes, and what the message says was found and expected.
REJECTED: dict[str, tuple[str, bytes, str, str]] = {
    "objects": ("x.npy", saved(np.array([{}, 1], object)), "Python objects", "never loaded"),
    "records": ("x.npy", saved(np.zeros(2, [("a", "f4")])), "structured elements", "one field"),
    "strings": ("x.npy", saved(np.array(["a", "b"])), "strings (<U1)", "array.astype"),
    "bytes": ("x.npy", saved(np.array([b"a", b"b"])), "strings (|S1)", "array.astype"),
    "dates": ("x.npy", saved(np.zeros(2, "M8[ns]")), "dates or times (<M8[ns])", "array.astype"),
    "odd dates": (
        "x.npy",
        with_header(header("(2,)", "'<M8[xx]'"), bytes(16)),
        "'<M8[xx]'",
        "float32",
    ),
    "complex of long doubles": (
        "x.npy",
        saved(np.zeros(2, np.clongdouble)),
        "of long doubles",
        "save it as array.astype(np.complex128)",
    ),
    "long double": ("x.npy", saved(np.zeros(2, np.longdouble)), "long double", "float64"),
    "float8": ("x.npy", with_header(header("(2,)", "'<f1'"), bytes(2)), "'<f1'", "float16"),
    "raw bytes": (
        "x.npy",
        with_header(header("(2,)", "'|V7'"), bytes(14)),
        "7 raw bytes",
        "float16",
    ),
    "type no string": (
        "x.npy",
        with_header(header("(2,)", "7"), bytes(14)),
        "element type 7",
        "float16",
    ),
    "unknown type": (
        "x.npy",
        with_header(header("(2,)", "'spam'"), bytes(14)),
        "'spam'",
        "float16",
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_another_element_type_is_rejected(name: str, tmp_path: Path) -> None:
    assert_rejected(tmp_path, *REJECTED[name])


ACCEPTED = [
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ACCEPTED)
@pytest.mark.parametrize("layout", ["C", "F"])
def test_every_type_byte_order_and_memory_order_is_read(
    dtype: str, order: str, layout: str, tmp_path: Path
) -> None:
    native: Any = np.asarray(PLAIN, dtype, order=layout)  # type: ignore[call-overload]
    array = native.astype(native.dtype.newbyteorder(order))
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array)
    np.savez_compressed(tmp_path / "y.npz", x=array)
    for text in ("x.npy", "x.npz", "y.npz:x"):
        stored = read(tmp_path / text, "input")
        assert stored.array.dtype == np.dtype(dtype)
        assert stored.array.dtype.isnative
        assert stored.stored == dtype
        assert np.array_equal(stored.array, PLAIN.astype(dtype))


def test_bool_becomes_uint8(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([True, False]))
    stored = read(tmp_path / "x.npy", "input")
    assert stored.array.dtype == np.uint8
    assert stored.array.tolist() == [1, 0]
    assert stored.stored == "bool"


@pytest.mark.parametrize("descr", ["|V2", "<V2", ">V2"])
def test_two_raw_bytes_are_bfloat16(descr: str, tmp_path: Path) -> None:
    values = np.array([[1.0, -2.5, 3.140625], [0.0, np.inf, 1e-40]], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(">u2" if descr[0] == ">" else "<u2")
    (tmp_path / "x.npy").write_bytes(with_header(header("(2, 3)", repr(descr)), upper.tobytes()))
    stored = read(tmp_path / "x.npy", "input")
    assert stored.stored == "bfloat16"
    assert stored.array.dtype == np.float32
    assert np.array_equal(stored.array, (upper.astype(np.uint32) << 16).view(np.float32))
    assert stored.array[0].tolist() == [1.0, -2.5, 3.140625]
