"""Shared by the tests of arrays: the bytes of .npy and .npz files, right and wrong."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.arrays import read
from convdiff.errors import ConvdiffError

PLAIN = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
MAX_MEMORY = 8 << 20  # bytes that reading a small or damaged file may take
MAX_MESSAGE = 600  # characters of a message, without the file's path


def saved(array: Any) -> bytes:
    """A .npy as np.save writes it."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def with_header(text: str, data: bytes = b"", version: int = 1) -> bytes:
    """A .npy with the given header text, true or not."""
    head = text.encode() + b"\n"
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(head))
        + head
        + data
    )


def header(shape: str = "(2, 3)", descr: str = "'<f4'", order: str = "False") -> str:
    """The text of a header."""
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive with the given members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def assert_rejected(folder: Path, filename: str, data: bytes, found: str, expected: str) -> None:
    """Reading such a file raises one line that says what was found and expected.

    It takes little memory, whatever sizes the file declares.
    """
    path = folder / filename
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ConvdiffError) as raised:
            read(path, "--bias")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(raised.value)
    assert message.startswith(f"--bias {path}")
    assert "found" in message and found in message
    assert expected in message
    assert "\n" not in message
    assert len(message) < MAX_MESSAGE + len(str(path))
    assert peak < MAX_MEMORY
