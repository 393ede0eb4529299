"""Arrays in an .npz: a zip of .npy members.

Members are read whole, so that their checksums are checked, but only after what header, zip
directory and file claim about the size has been found to agree: an allocation is never larger than
what the file can hold.
"""

from __future__ import annotations

import difflib
import struct
import zipfile
import zlib
from pathlib import Path
from typing import NoReturn

import numpy as np

from convdiff.arrays import npy
from convdiff.errors import ConvdiffError, one_of
from convdiff.spec.layout import Array

# Deflate cannot shrink further than this; a directory that says so lies.
MOST_SHRUNK = 1100
# Keys that a message names: an archive may hold a whole model.
MOST_LISTED = 30
CHUNK = 1 << 20
_AGAIN = "save it again with np.savez"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    OverflowError,
    IndexError,
    KeyError,
)


def read_member(
    path: Path, key: str | None, role: str, any_shape: bool
) -> tuple[npy.Header, Array, str]:
    """The header, the elements (a flat array of their type) and the key of one array; its only one
    where `key` is None.

    Raises ConvdiffError for an archive or a member that is damaged, encrypted, or holds something
    else.
    """
    where = f"{role} {path}"
    try:
        with zipfile.ZipFile(path) as archive:
            info = _member(archive, key, where)
            key = _key(info.filename)
            where += f":{key}"
            _check_size(info, path, where)
            return *_read(archive, info, where, any_shape), key
    except ConvdiffError:
        raise
    except MemoryError:
        raise ConvdiffError(
            f"{where}: found too large an array for this machine's memory; save a smaller one"
        ) from None
    except _DAMAGE as error:
        _damaged(where, error)


def _member(archive: zipfile.ZipFile, key: str | None, where: str) -> zipfile.ZipInfo:
    names = {
        _key(info.filename): info for info in archive.infolist() if info.filename.endswith(".npy")
    }
    keys = sorted(names)
    if not keys:
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            raise ConvdiffError(
                f"{where}: found a torch file (.pt), expected a .npy or .npz; save it with "
                "np.save(file, tensor.detach().cpu().numpy())"
            )
        raise ConvdiffError(
            f"{where}: found a zip archive without .npy members, expected an .npz; make it with "
            "np.savez"
        )
    if key is None and len(keys) > 1:
        listed = ", ".join(f":{name}" for name in keys[:MOST_LISTED]) + (
            ", ..." if len(keys) > MOST_LISTED else ""
        )
        raise ConvdiffError(
            f"{where}: found {len(keys)} arrays, expected one, or a key behind the file's name: "
            f"one of {listed}"
        )
    if key is None:
        return names[keys[0]]
    if key not in keys:
        near = (
            difflib.get_close_matches(key, keys, n=MOST_LISTED, cutoff=0)
            if len(keys) > MOST_LISTED
            else keys
        )
        raise one_of(f"{where}:{key}", key, near)
    return names[key]


def _key(filename: str) -> str:
    return filename.removesuffix(".npy")


def _check_size(info: zipfile.ZipInfo, path: Path, where: str) -> None:
    if info.flag_bits & 1:
        raise ConvdiffError(f"{where}: found an encrypted member, expected a plain one; {_AGAIN}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA"}.get(
            info.compress_type, f"method {info.compress_type}"
        )
        raise ConvdiffError(
            f"{where}: found a member packed by {method}, expected stored or deflated; {_AGAIN}"
        )
    most = info.compress_size * (MOST_SHRUNK if info.compress_type == zipfile.ZIP_DEFLATED else 1)
    if info.compress_size > path.stat().st_size or info.file_size > most:
        raise ConvdiffError(
            f"{where}: found a directory that promises {info.file_size:,} bytes from "
            f"{info.compress_size:,} of a file of "
            f"{path.stat().st_size:,}, expected them to agree; the archive is damaged: {_AGAIN}"
        )


def _read(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, any_shape: bool
) -> tuple[npy.Header, Array]:
    with archive.open(info) as member:
        header = npy.read_header(member, where, any_shape)
        held = info.file_size - header.offset
        npy.check_size(where, header, held)
        if held - header.size > CHUNK:
            raise ConvdiffError(
                f"{where}: found {held - header.size:,} bytes behind the {header.size:,} of the "
                "elements, expected none; the member is "
                f"damaged, or made to take long: {_AGAIN}"
            )
        flat = np.empty(header.size // header.dtype.itemsize, header.dtype)
        view = flat.view(np.uint8).data
        at = 0
        # On to the member's very end, where zipfile compares the checksum.
        while chunk := member.read(CHUNK):
            taken = chunk[: header.size - at]
            view[at : at + len(taken)] = taken
            at += len(taken)
        if at < header.size:
            raise ConvdiffError(npy.short_of(where, header, at))
        return header, flat


def _damaged(where: str, error: Exception) -> NoReturn:
    if "CRC" in str(error):
        raise ConvdiffError(
            f"{where}: found a bad checksum (CRC-32), expected the data as saved; the file is "
            f"damaged: {_AGAIN}"
        ) from None
    what = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
    raise ConvdiffError(
        f"{where}: found a damaged zip archive ({what}), expected an .npz; {_AGAIN}"
    ) from None
