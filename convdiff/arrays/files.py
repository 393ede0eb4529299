"""Reads `file.npy` and `file.npz:key`.

A .npy is mapped read-only, once the size that its header declares has been compared with the
file's.  Only the header is read here, unless the elements must be converted (big-endian, bfloat16).
"""

from __future__ import annotations

import difflib
import itertools
import os
import stat
from pathlib import Path

import numpy as np

from convdiff.arrays import npy, npz
from convdiff.arrays.element_types import stored_name, to_native
from convdiff.arrays.other_formats import identify
from convdiff.errors import ConvdiffError
from convdiff.records import Stored
from convdiff.spec.layout import Array

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def read(text: str | Path, role: str, *, any_shape: bool = False) -> Stored:
    """The array in `file.npy` or `file.npz:key`; an .npz with a single array needs no key.

    The array is native: any integer type, float16, float32 or float64, bool as uint8, bfloat16
    widened to float32.  It is neither 0-d nor empty, unless `any_shape`.  Raises ConvdiffError for
    everything else; the message begins with `role` ("input", "--bias") and says what was found,
    what was expected and what to do.
    """
    path = Path(text)
    where = f"{role} {path}"
    try:
        path, key = _split(str(text), role)
        where = f"{role} {path}"
        start, size = _first_bytes(path, where)
        if start.startswith(_ZIP) and path.suffix.lower() != ".npy":
            header, flat, key = npz.read_member(path, key, role, any_shape)
            return _stored(header, _shaped(flat, header), path, key)
        if key is not None:
            raise ConvdiffError(
                f"{where}:{key}: found a key for a file that is no .npz, expected the file alone; "
                f"give {path}"
            )
        if not start.startswith(npy.MAGIC[: len(start)]):
            raise ConvdiffError(_not_npy(start, path, where))
        with path.open("rb") as stream:
            header = npy.read_header(stream, where, any_shape)
        npy.check_size(where, header, size - header.offset)
        return _stored(header, _mapped(path, header), path, None)
    except OSError as error:
        raise ConvdiffError(_unreadable(path, where, error)) from None
    except MemoryError:
        raise ConvdiffError(
            f"{where}: found too large an array for this machine's memory; save a smaller one"
        ) from None


def _split(text: str, role: str) -> tuple[Path, str | None]:
    """The file and the key in `text`.

    A file whose own name has a colon takes precedence, then the shortest part that names a file.
    """
    if "\0" in text:
        raise ConvdiffError(
            f"{role} {text!r}: found a NUL in a file name, expected file.npy or file.npz:key"
        )
    if ":" not in text or os.path.lexists(text):
        return Path(text), None
    colons = [at for at, char in enumerate(text) if char == ":"]
    for at in colons:
        if Path(text[:at]).is_file():
            return Path(text[:at]), text[at + 1 :]
    at = text.find(".npz:") + 4
    return (Path(text[:at]), text[at + 1 :]) if at > 3 else (Path(text), None)


def _first_bytes(path: Path, where: str) -> tuple[bytes, int]:
    """The first bytes and the size of a regular file.

    Raises ConvdiffError for anything else: opening a FIFO or a device could block forever.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ConvdiffError(
            f"{where}: found a directory, expected file.npy or file.npz:key; name a file in it"
        )
    if not stat.S_ISREG(status.st_mode):
        raise ConvdiffError(
            f"{where}: found a pipe or device, expected a regular file; save the array to a .npy "
            "first"
        )
    if status.st_size == 0:
        raise ConvdiffError(
            f"{where}: found an empty file, expected a .npy; save it again with np.save"
        )
    with path.open("rb") as stream:
        return stream.read(512), status.st_size


def _not_npy(start: bytes, path: Path, where: str) -> str:
    if start.startswith(_ZIP):
        return (
            f"{where}: found an .npz or another zip archive, expected a .npy; rename it to "
            f"{path.with_suffix('.npz').name}"
        )
    name, advice = identify(start)
    return f"{where}: found {name}, expected a .npy or .npz; {advice}"


def _unreadable(path: Path, where: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        siblings = _siblings(path)
        near = difflib.get_close_matches(path.stem, siblings, n=1)
        hint = (
            f"did you mean {path.with_name(siblings[near[0]])}?"
            if near
            else "check the path: it is relative to the current directory, or in a manifest to the "
            "manifest's"
        )
        return f"{where}: found no such file, expected file.npy or file.npz:key; {hint}"
    if isinstance(error, PermissionError):
        return (
            f"{where}: found a file without read permission, expected a readable one; see ls -l, "
            "chmod"
        )
    return (
        f"{where}: found a file that cannot be read ({error.strerror or error}), expected "
        "file.npy or file.npz:key; check the path"
    )


def _siblings(path: Path) -> dict[str, str]:
    """The names of array files in the same folder, by stem; some of them in a very large one."""
    try:
        return {
            entry.stem: entry.name
            for entry in itertools.islice(path.parent.iterdir(), 2000)
            if entry.suffix in (".npy", ".npz")
        }
    except OSError:
        return {}


def _mapped(path: Path, header: npy.Header) -> Array:
    if header.size == 0:
        return np.empty(header.shape, header.dtype)
    flat = np.asarray(
        np.memmap(path, header.dtype, "r", header.offset, (header.size // header.dtype.itemsize,))
    )
    return _shaped(flat, header)


def _shaped(flat: Array, header: npy.Header) -> Array:
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _stored(header: npy.Header, array: Array, path: Path, key: str | None) -> Stored:
    return Stored(to_native(array, header.big_endian), stored_name(header.dtype), path, key)
