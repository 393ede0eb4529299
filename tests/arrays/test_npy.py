"""The header of a .npy: what is accepted, and messages for damaged and malicious ones."""

from __future__ import annotations

import ast
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.arrays import read
from convdiff.errors import ConvdiffError
from tests.arrays.support import PLAIN, assert_rejected, header, saved, with_header, zipped

MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


# The file's name, its bytes, and what the message says was found and expected.
REJECTED: dict[str, tuple[str, bytes, str, str]] = {
    "magic alone": ("x.npy", b"\x93NUM", "4 bytes", "a whole .npy header"),
    "no length": ("x.npy", saved(PLAIN)[:9], "0 bytes of the .npy header", "cut short"),
    "header cut": ("x.npy", saved(PLAIN)[:60], "50 bytes of the .npy header", "expected 118"),
    "data cut": (
        "x.npy",
        saved(PLAIN)[:-5],
        "91 bytes of elements",
        "expected 96 for shape (2, 3, 4) of float32",
    ),
    "no data": ("x.npy", saved(PLAIN)[:128], "0 bytes of elements", "expected 96"),
    "promises 4e36 bytes": (
        "x.npy",
        with_header(header("(10**12, 1000000000000)")),
        "malformed",
        "a dict",
    ),
    "promises 4e24 bytes": (
        "x.npy",
        with_header(header("(1000000000000, 1000000000000)")),
        "0 bytes",
        "over 10**18",
    ),
    "promises an absurd product": (
        "x.npy",
        with_header(header(str((10**18,) * 32))),
        "0 bytes",
        "over 10**18",
    ),
    "promises a little more": (
        "x.npy",
        with_header(header("(2, 3)"), bytes(20)),
        "20 bytes",
        "expected 24",
    ),
    "version 4": ("x.npy", b"\x93NUMPY\x04\x00" + saved(PLAIN)[8:], "version 4.0", "1 to 3"),
    "version 0": ("x.npy", b"\x93NUMPY\x00\x00" + saved(PLAIN)[8:], "version 0.0", "1 to 3"),
    "no dict": ("x.npy", with_header("[1, 2]"), "malformed .npy header, '[1, 2]'", "a dict"),
    "no literal": ("x.npy", with_header("__import__('os').system('true')"), "malformed", "a dict"),
    "missing keys": (
        "x.npy",
        with_header("{'descr': '<f4'}"),
        "with 'descr'",
        "descr, fortran_order and shape",
    ),
    "other keys": (
        "x.npy",
        with_header(header()[:-1] + ", 'more': 1}"),
        "'more'",
        "descr, fortran_order and shape",
    ),
    "list for a shape": (
        "x.npy",
        with_header(header("[2, 3]"), bytes(24)),
        "the shape [2, 3]",
        "a tuple of whole numbers",
    ),
    "negative size": (
        "x.npy",
        with_header(header("(-2, 3)"), bytes(24)),
        "(-2, 3)",
        "whole numbers",
    ),
    "float size": (
        "x.npy",
        with_header(header("(2.0, 3)"), bytes(24)),
        "(2.0, 3)",
        "whole numbers",
    ),
    "bool size": (
        "x.npy",
        with_header(header("(True, 3)"), bytes(24)),
        "(True, 3)",
        "whole numbers",
    ),
    "huge size": (
        "x.npy",
        with_header(header(f"({10**4000},)"), bytes(24)),
        "the shape",
        "whole numbers",
    ),
    "too huge a size to parse": (
        "x.npy",
        with_header(header(f"({'9' * 5000},)"), bytes(24)),
        "malformed",
        "a dict",
    ),
    "order no bool": (
        "x.npy",
        with_header(header(order="1"), bytes(24)),
        "fortran_order 1",
        "True or False",
    ),
    "long header": (
        "x.npy",
        with_header(header() + " " * 3_000_000, bytes(24), 2),
        "3,000,0",
        "at most 10,000",
    ),
    "absurd length": (
        "x.npy",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
        "4,294,967,295 bytes",
        "at most 10,000",
    ),
    "nested header": ("x.npy", with_header("(" * 9000), "malformed", "a dict"),
    "minus signs": ("x.npy", with_header("-" * 9000 + "1"), "malformed", "a dict"),
    "zero-sized": (
        "x.npy",
        saved(np.zeros((3, 0, 2))),
        "axis 1 of shape (3, 0, 2) has size 0",
        "at least 1",
    ),
    "0-d": ("x.npy", saved(np.float32(3)), "a single number", "an array with axes"),
    "40 axes": ("x.npy", with_header(header(str((1,) * 40)), bytes(4)), "40 axes", "at most 5"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_damaged_header_is_rejected(name: str, tmp_path: Path) -> None:
    assert_rejected(tmp_path, *REJECTED[name])


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_is_read(version: int, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(
        with_header(header("(2, 3)"), np.arange(6, dtype="<f4").tobytes(), version)
    )
    assert read(tmp_path / "x.npy", "input").array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_headers_of_python_2_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(with_header(header("(2L, 3L)"), bytes(24)))
    assert read(tmp_path / "x.npy", "input").array.shape == (2, 3)


def test_a_spurious_error_of_the_parser_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    literal_eval, calls = ast.literal_eval, []

    def fail_once(text: str) -> Any:
        calls.append(text)
        if len(calls) == 1:
            raise SystemError("AST constructor recursion depth mismatch (before=69, after=93)")
        return literal_eval(text)

    monkeypatch.setattr(ast, "literal_eval", fail_once)
    (tmp_path / "x.npy").write_bytes(saved(PLAIN))
    assert np.array_equal(read(tmp_path / "x.npy", "input").array, PLAIN)


def test_a_file_is_mapped_and_read_only(tmp_path: Path) -> None:
    """The file is nearly as large as the memory, and sparse: reading it would take very long."""
    size = MEMORY // 8
    path = tmp_path / "x.npy"
    path.write_bytes(with_header(header(f"({size},)")))
    try:
        os.truncate(path, path.stat().st_size + size * 4)
    except OSError:
        pytest.skip("this file system cannot hold a file of that size")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stored = read(path, "input")
    assert stored.array.shape == (size,)
    assert not stored.array.flags.writeable
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_an_array_larger_than_the_memory_is_rejected(tmp_path: Path) -> None:
    """Looking for NaN in all of it would take hours before the convolution fails."""
    path = tmp_path / "x.npy"
    path.write_bytes(with_header(header(f"(2, {MEMORY})", "'|i1'")))
    try:
        os.truncate(path, path.stat().st_size + 2 * MEMORY)
    except OSError:
        pytest.skip("this file system cannot hold a file of that size")
    message = (
        rf"found \d+ GiB of elements, shape \(2, {MEMORY}\), expected no more than this "
        r"machine's memory"
    )
    with pytest.raises(ConvdiffError, match=rf"^input {path}: {message}"):
        read(path, "input")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_a_shape_that_numpy_cannot_count_is_rejected_even_when_empty(
    name: str, tmp_path: Path
) -> None:
    """A saved output may be empty, but numpy has no array of this shape."""
    data = with_header(header(f"(0, {2**62}, {2**62})"))
    (tmp_path / name).write_bytes(data if name == "x.npy" else zipped({"a.npy": data}))
    with pytest.raises(ConvdiffError, match=r"found the shape \(0, 4611686018427387904, 46116"):
        read(tmp_path / name, "--saved", any_shape=True)
