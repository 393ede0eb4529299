"""Arrays in an .npz: keys, and messages for damaged and malicious archives."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from convdiff.arrays import read
from convdiff.errors import ConvdiffError
from tests.arrays.support import PLAIN, assert_rejected, header, saved, with_header, zipped


def encrypted() -> bytes:
    """An archive whose member is marked as encrypted."""
    data = bytearray(zipped({"x.npy": saved(PLAIN)}))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def wrong_directory() -> bytes:
    """An archive whose directory and header both declare a member of 4 GB."""
    inner = with_header(header(f"({2**30 - 100},)"), bytes(8))
    data = bytearray(zipped({"x.npy": inner}))
    at = data.rindex(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<II", len(inner), 2**32 - 2)
    return bytes(data)


def bad_crc() -> bytes:
    """An archive with a damaged element."""
    data = bytearray(zipped({"x.npy": saved(PLAIN)}))
    data[data.index(b"\x93NUMPY") + 140] ^= 1
    return bytes(data)


# The file's name, its bytes, and what the message says was found and expected.
REJECTED: dict[str, tuple[str, bytes, str, str]] = {
    "zip of nothing": ("x.npz", zipped({}), "without .npy members", "np.savez"),
    "zip cut": ("x.npz", zipped({"a.npy": saved(PLAIN)})[:-30], "a damaged zip archive", "an .npz"),
    "two arrays": (
        "x.npz",
        zipped({"b.npy": saved(PLAIN), "a.npy": saved(PLAIN)}),
        "2 arrays",
        "one of :a, :b",
    ),
    "member no npy": ("x.npz", zipped({"a.npy": b"hello, world"}), "no .npy", "its magic"),
    "member promises more": (
        "x.npz",
        zipped({"a.npy": with_header(header(), bytes(20))}),
        "20 bytes",
        "expected 24",
    ),
    "member promises 4e24": (
        "x.npz",
        zipped({"a.npy": with_header(header("(1000000000000, 1000000000000)"))}),
        "0 bytes",
        "over 10**18",
    ),
    "member objects": (
        "x.npz",
        zipped({"a.npy": saved(np.array([{}], object))}),
        "Python objects",
        "never loaded",
    ),
    "member bad crc": ("x.npz", bad_crc(), "a bad checksum", "the data as saved"),
    "member encrypted": ("x.npz", encrypted(), "an encrypted member", "a plain one"),
    "member of a wrong size": ("x.npz", wrong_directory(), "4,294,967,294 bytes", "to agree"),
    "member bzip2": (
        "x.npz",
        zipped({"a.npy": saved(PLAIN)}, zipfile.ZIP_BZIP2),
        "bzip2",
        "stored or deflated",
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_damaged_archive_is_rejected(name: str, tmp_path: Path) -> None:
    assert_rejected(tmp_path, *REJECTED[name])


def test_bytes_after_the_elements_of_a_member_are_not_read(tmp_path: Path) -> None:
    """A small file may decompress to any number of bytes."""
    path = tmp_path / "x.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(saved(PLAIN))
        for _ in range(200):
            member.write(bytes(1 << 20))
    with pytest.raises(
        ConvdiffError,
        match=r"x\.npz:a: found 209,715,200 bytes behind the 96 of the elements, expected none",
    ):
        read(path, "input")
    path.write_bytes(zipped({"a.npy": saved(PLAIN) + b"a little"}))
    assert np.array_equal(read(path, "input").array, PLAIN)


def test_an_array_is_found_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **{"kernel": PLAIN, "bias": PLAIN[0], "enc:1/w": PLAIN[1]})
    assert read(f"{path}:bias", "input").array.shape == (3, 4)
    assert read(f"{path}:enc:1/w", "input").key == "enc:1/w"
    assert read(f"{path}:kernel", "input").name == f"{path}:kernel"
    with pytest.raises(
        ConvdiffError,
        match=(
            r"x\.npz:kernal: found 'kernal', expected one of bias, enc:1/w, kernel; did you "
            r"mean kernel\?"
        ),
    ):
        read(f"{path}:kernal", "input")


def test_a_message_lists_only_some_keys_of_a_large_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **{f"layer{number}.weight": PLAIN for number in range(500)})
    with pytest.raises(
        ConvdiffError,
        match=r"found 500 arrays, expected one, .* one of :layer0\.weight, .*, \.\.\.$",
    ) as listed:
        read(path, "input")
    with pytest.raises(
        ConvdiffError,
        match=r"found 'layer499\.wieght', expected one of .*; did you mean layer499\.weight\?$",
    ) as near:
        read(f"{path}:layer499.wieght", "input")
    assert max(len(str(error.value)) for error in (listed, near)) < 800 + len(str(path))


def test_a_member_of_another_format_does_not_hide_an_array(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(zipped({"a.npy": saved(PLAIN), "a": b"notes"}))
    assert read(tmp_path / "x.npz", "input").array.shape == PLAIN.shape


def test_a_damaged_name_is_abbreviated(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.npy": saved(PLAIN)}))
    data[26:28] = struct.pack("<H", 200)
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(ConvdiffError, match="found a damaged zip archive") as raised:
        read(tmp_path / "x.npz", "input")
    assert len(str(raised.value)) < 260 + len(str(tmp_path))
