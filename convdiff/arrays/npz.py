"""Arrays in an .npz, a zip archive of .npy members.

A member is read to its end, so that its checksum is verified.  Before that, the sizes in its
header, in the zip directory and of the file must agree: no allocation exceeds what the file can
hold.
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

# Deflate cannot compress further than this; a directory that says so is wrong.
MAX_DEFLATE_RATIO = 1100
# Keys that a message lists, since an archive may hold a whole model.
MAX_LISTED_KEYS = 30
CHUNK_BYTES = 1 << 20  # read at once, and the most that may follow the elements in a member
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
    """The header, the elements (a flat array) and the key of one array in the archive.

    `key` may be None for an archive with a single array.  Raises ConvdiffError for an archive or a
    member that is damaged, encrypted, or holds something else.
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
        listed = ", ".join(f":{name}" for name in keys[:MAX_LISTED_KEYS]) + (
            ", ..." if len(keys) > MAX_LISTED_KEYS else ""
        )
        raise ConvdiffError(
            f"{where}: found {len(keys)} arrays, expected one, or a key behind the file's name: "
            f"one of {listed}"
        )
    if key is None:
        return names[keys[0]]
    if key not in keys:
        near = (
            difflib.get_close_matches(key, keys, n=MAX_LISTED_KEYS, cutoff=0)
            if len(keys) > MAX_LISTED_KEYS
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
    limit = info.compress_size * (
        MAX_DEFLATE_RATIO if info.compress_type == zipfile.ZIP_DEFLATED else 1
    )
    if info.compress_size > path.stat().st_size or info.file_size > limit:
        raise ConvdiffError(
            f"{where}: found a directory that declares {info.file_size:,} bytes from "
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
        if held - header.size > CHUNK_BYTES:
            raise ConvdiffError(
                f"{where}: found {held - header.size:,} bytes behind the {header.size:,} of the "
                "elements, expected none; the member is "
                f"damaged or malicious: {_AGAIN}"
            )
        flat = np.empty(header.size // header.dtype.itemsize, header.dtype)
        view = flat.view(np.uint8).data
        at = 0
        # To the member's very end, where zipfile verifies the checksum.
        while chunk := member.read(CHUNK_BYTES):
            taken = chunk[: header.size - at]
            view[at : at + len(taken)] = taken
            at += len(taken)
        if at < header.size:
            raise ConvdiffError(npy.too_short_message(where, header, at))
        return header, flat


def _damaged(where: str, error: Exception) -> NoReturn:
    if "CRC" in str(error):
        raise ConvdiffError(
            f"{where}: found a bad checksum (CRC-32), expected the data as saved; the file is "
            f"damaged: {_AGAIN}"
        ) from None
    reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
    raise ConvdiffError(
        f"{where}: found a damaged zip archive ({reason}), expected an .npz; {_AGAIN}"
    ) from None
