"""Reading arrays: what is taken, and what a hostile or mistaken file is told."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convdiff.arrays import compute_dtype, from_memory, notes, read
from convdiff.errors import ConvdiffError
from convdiff.records import Stored
from tests.cli.conftest import environment

MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
PLAIN = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def saved(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def with_header(text: str, data: bytes = b"", version: int = 1) -> bytes:
    head = text.encode() + b"\n"
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(head))
        + head
        + data
    )


def header(shape: str = "(2, 3)", descr: str = "'<f4'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped({"x.npy": saved(PLAIN)}))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def lying_directory() -> bytes:
    """A directory that promises a member of 4 GB, and a header in it that promises the same."""
    inner = with_header(header(f"({2**30 - 100},)"), bytes(8))
    data = bytearray(zipped({"x.npy": inner}))
    at = data.rindex(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<II", len(inner), 2**32 - 2)
    return bytes(data)


def bad_crc() -> bytes:
    data = bytearray(zipped({"x.npy": saved(PLAIN)}))
    data[data.index(b"\x93NUMPY") + 140] ^= 1
    return bytes(data)


# name of the file, its bytes, what the message must say was found, and was expected
HOSTILE: dict[str, tuple[str, bytes, str, str]] = {
    "empty": ("x.npy", b"", "an empty file", "a .npy"),
    "zip named npy": ("x.npy", zipped({"a.npy": saved(PLAIN)}), "an .npz", "rename it to x.npz"),
    "torch": (
        "x.pt",
        zipped({"archive/data.pkl": b"x"}),
        "a torch file (.pt)",
        "tensor.detach().cpu().numpy()",
    ),
    "hdf5": ("x.npy", b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file", "h5py"),
    "png": ("x.npy", b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture", "PIL"),
    "jpeg": ("x.npy", b"\xff\xd8\xff\xe0" + bytes(100), "a JPEG picture", "PIL"),
    "text": ("x.npy", b"1.0,2.0\n3.0,4.0\n", "text", "np.loadtxt"),
    "text cut in a character": ("x.npy", ("x" + "ä" * 400).encode(), "text", "np.loadtxt"),
    "pickle": ("x.npy", pickle.dumps([1.0, 2.0]), "a pickle", "never loaded"),
    "gzip": ("x.npy", gzip.compress(saved(PLAIN)), "a gzip file", "gunzip"),
    "raw numbers": ("x.npy", PLAIN.tobytes()[4:], "bytes of no known format", "np.fromfile"),
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
    "complex": (
        "x.npy",
        saved(np.zeros(2, "c8")),
        "complex64",
        "not supported yet: save the real and imaginary parts separately",
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
    "zero-sized": (
        "x.npy",
        saved(np.zeros((3, 0, 2))),
        "axis 1 of shape (3, 0, 2) has size 0",
        "at least 1",
    ),
    "0-d": ("x.npy", saved(np.float32(3)), "a single number", "an array with axes"),
    "40 axes": ("x.npy", with_header(header(str((1,) * 40)), bytes(4)), "40 axes", "at most 5"),
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
    "member of lies": ("x.npz", lying_directory(), "4,294,967,294 bytes", "to agree"),
    "member bzip2": (
        "x.npz",
        zipped({"a.npy": saved(PLAIN)}, zipfile.ZIP_BZIP2),
        "bzip2",
        "stored or deflated",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_told_what_it_is(name: str, tmp_path: Path) -> None:
    filename, data, found, expected = HOSTILE[name]
    path = tmp_path / filename
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
    assert f"found {found}" in message or (found in message and "found" in message)
    assert expected in message
    assert "\n" not in message
    assert len(message) < 600 + len(str(path))
    assert peak < 8 << 20


def _directory(path: Path) -> None:
    path.mkdir()


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file"),
    "near": (lambda path: np.save(path.with_name("input1.npy"), PLAIN), "did you mean"),
    "directory": (_directory, "a directory"),
    "fifo": (os.mkfifo, "a pipe or device"),
    "loop": (lambda path: path.symlink_to(path), "cannot be read"),
    "dangling link": (lambda path: path.symlink_to("nowhere.npy"), "no such file"),
    "parent is a file": (lambda path: None, "cannot be read"),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_no_file_is_told(name: str, tmp_path: Path) -> None:
    make, found = SPECIAL[name]
    path = tmp_path / "input.npy"
    make(path)
    if name == "parent is a file":
        (tmp_path / "file").write_bytes(b"")
        path = tmp_path / "file" / "input.npy"
    with pytest.raises(ConvdiffError, match=r"^input .*input.npy: .*" + found):
        read(path, "input")


def test_no_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "input.npy"
    np.save(path, PLAIN)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything: refuse in the system's place

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(
        ConvdiffError,
        match=r"input.npy: found a file that may not be read, expected read permission",
    ):
        read(path, "input")


@pytest.mark.parametrize("text", ["/dev/null", "/dev/zero"])
def test_a_device_is_not_opened(text: str) -> None:
    with pytest.raises(ConvdiffError, match="a pipe or device"):
        read(text, "input")


@pytest.mark.parametrize(
    "text", ["x" * 5000, "x" * 5000 + ":key", "a\0b.npy", ":", "", ":::", ".npz:x"]
)
def test_odd_names_are_errors_of_ours(text: str) -> None:
    with pytest.raises(ConvdiffError):
        read(text, "input")


TAKEN = [
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
@pytest.mark.parametrize("dtype", TAKEN)
@pytest.mark.parametrize("layout", ["C", "F"])
def test_every_type_order_and_layout_reads(
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


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_reads(version: int, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(
        with_header(header("(2, 3)"), np.arange(6, dtype="<f4").tobytes(), version)
    )
    assert read(tmp_path / "x.npy", "input").array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_headers_of_python_2_read(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(with_header(header("(2L, 3L)"), bytes(24)))
    assert read(tmp_path / "x.npy", "input").array.shape == (2, 3)


def test_a_file_is_mapped_and_read_only(tmp_path: Path) -> None:
    """A file nearly as large as the memory, which occupies nothing on the disk: whoever touched it
    would not come back soon.
    """
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


def test_an_array_larger_than_the_memory_is_refused(tmp_path: Path) -> None:
    """Reading all of it, for NaN or the largest integer, would take hours before anybody said that
    it cannot be computed with.
    """
    path = tmp_path / "x.npy"
    path.write_bytes(with_header(header(f"(2, {MEMORY})", "'|i1'")))
    try:
        os.truncate(path, path.stat().st_size + 2 * MEMORY)
    except OSError:
        pytest.skip("this file system cannot hold a file of that size")
    said = (
        rf"found \d+ GiB of elements, shape \(2, {MEMORY}\), expected no more than this "
        r"machine's memory"
    )
    with pytest.raises(ConvdiffError, match=rf"^input {path}: {said}"):
        read(path, "input")


def test_bytes_behind_the_elements_of_a_member_are_not_read(tmp_path: Path) -> None:
    """A small file may inflate to any number of them."""
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


LOOKS = [
    "notes(stored, 'input')",
    "stored.array[-1, 5]",
    "stored.array @ stored.array.T",
    "stored.array[[900], [3]]",
]


@pytest.mark.parametrize("look", LOOKS)
def test_a_file_that_shrinks_while_it_is_read_is_one_line(look: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1024, 1024), np.float32))
    script = (
        "import os\nfrom convdiff.arrays import notes, read\nfrom convdiff.arrays.truncated_files "
        "import watch\nwatch()\n"
        f"stored = read('x.npy', 'input')\nos.truncate('x.npy', 4096)\n{look}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(),
        timeout=60,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        "convdiff: an array's file was cut short or written again while it was read"
    )
    assert done.stderr.count("\n") == 1


def test_keys_of_an_archive(tmp_path: Path) -> None:
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


def test_an_archive_of_a_whole_model_is_not_listed_whole(tmp_path: Path) -> None:
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
    assert max(len(str(each.value)) for each in (listed, near)) < 800 + len(str(path))


def test_a_member_that_is_no_npy_hides_none(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(zipped({"a.npy": saved(PLAIN), "a": b"notes"}))
    assert read(tmp_path / "x.npz", "input").array.shape == PLAIN.shape


def test_a_name_that_is_damaged_is_not_told_whole(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.npy": saved(PLAIN)}))
    data[26:28] = struct.pack("<H", 200)
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(ConvdiffError, match="found a damaged zip archive") as raised:
        read(tmp_path / "x.npz", "input")
    assert len(str(raised.value)) < 260 + len(str(tmp_path))


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_no_elements_of_an_absurd_shape(name: str, tmp_path: Path) -> None:
    """A saved output may be empty, but numpy has no such array."""
    data = with_header(header(f"(0, {2**62}, {2**62})"))
    (tmp_path / name).write_bytes(data if name == "x.npy" else zipped({"a.npy": data}))
    with pytest.raises(ConvdiffError, match=r"found the shape \(0, 4611686018427387904, 46116"):
        read(tmp_path / name, "--saved", any_shape=True)


def test_a_file_whose_name_has_the_colon_wins(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", key=PLAIN)
    np.save(tmp_path / "x.npz:key.npy", PLAIN[0])
    assert read(f"{tmp_path}/x.npz:key.npy", "input").array.shape == (3, 4)
    assert read(f"{tmp_path}/x.npz:key", "input").array.shape == (2, 3, 4)


def test_a_key_behind_an_npy_is_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", PLAIN)
    with pytest.raises(ConvdiffError, match=r"x\.npy:key: found a key .* expected the file alone"):
        read(f"{tmp_path}/x.npy:key", "input")


def test_a_missing_archive_is_named_without_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConvdiffError, match=r"input .*none\.npz: found no such file"):
        read(f"{tmp_path}/none.npz:key", "input")


@st.composite
def mutations(draw: st.DrawFn, original: bytes) -> bytes:
    """The bytes with some changed, most of them early, and perhaps the end cut off or something put
    in.
    """
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        data[at] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data)))
        data[at:at] = draw(st.binary(max_size=6))
    return bytes(data[: draw(st.integers(1, len(data)))] if draw(st.integers(0, 4)) == 0 else data)


NPY = saved(PLAIN)
NPZ = zipped({"a.npy": saved(PLAIN)}, zipfile.ZIP_DEFLATED)
STORED_NPZ = zipped({"a.npy": saved(PLAIN)})


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
@pytest.mark.parametrize(
    ("name", "original"),
    [("x.npy", NPY), ("x.npz", NPZ), ("y.npz", STORED_NPZ)],
    ids=["npy", "deflated", "stored"],
)
def test_a_mutated_file_reads_or_is_refused(
    name: str, original: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / name
    path.write_bytes(data.draw(mutations(original)))
    tracemalloc.start()
    try:
        stored = read(path, "input")
    except ConvdiffError as error:
        assert "\n" not in str(error)
    else:
        assert stored.array.size >= 1
        assert stored.array.nbytes <= 2 * len(original) + 16
        notes(stored, "input")
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 << 20


def test_nan_and_infinity_are_counted() -> None:
    array = np.ones((700, 800), np.float32)
    array[3, 5] = array[699, 799] = np.nan
    array[0, 0] = -np.inf
    for view in (array, array.T, array[:, ::1][::-1]):
        assert notes(from_memory(view, "input"), "input") == [
            "input: 2 NaN and 1 infinite of 560,000 values; they are compared by place and kind"
        ]
    assert notes(from_memory(np.ones(3), "input"), "input") == []
    assert notes(from_memory(np.ones(3, int), "input"), "input") == []


def test_notes_take_little_memory() -> None:
    array = np.ones((2048, 4096), np.float32).T[::2]
    tracemalloc.start()
    notes(Stored(array, "float32"), "input")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_arrays_in_memory_are_made_native() -> None:
    assert from_memory([[1, 2], [3, 4]], "input").array.shape == (2, 2)
    assert from_memory(np.ones(3, ">f8"), "input").array.dtype == np.dtype("=f8")
    assert from_memory(np.ones(3, bool), "input").array.dtype == np.uint8
    mine = np.ones(3, np.float32)
    assert from_memory(mine, "input").array is mine
    assert from_memory(mine, "input").name == "array"


class Foreign:
    """A tensor of another framework, as numpy sees it."""

    def __array__(self, *_: object, **__: object) -> Any:
        return PLAIN


class Broken:
    def __array__(self, *_: object, **__: object) -> Any:
        raise RuntimeError("it lives on another device\nand there it stays")


def test_foreign_tensors_go_through_array() -> None:
    assert from_memory(Foreign(), "input").array.shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.ma.masked_array([1.0, 2.0], [True, False]), "a masked array"),
        (np.array([1, None], object), "Python objects"),
        (None, "Python objects"),
        ("text", "strings"),
        (np.zeros(2, complex), "complex128"),
        ([[1, 2], [3]], "a list that numpy cannot take"),
        (Broken(), "a Broken that numpy cannot take .it lives on another device."),
        (np.zeros((2, 0)), "axis 1 of shape"),
        (3.0, "a single number"),
    ],
)
def test_what_is_no_array_is_refused(value: object, found: str) -> None:
    with pytest.raises(ConvdiffError, match=f"^obtained: found .*{found}"):
        from_memory(value, "obtained")


def test_bfloat16_in_memory_is_widened() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    stored = from_memory(np.array([1.5, -3.0], ml_dtypes.bfloat16), "input")
    assert stored.stored == "bfloat16"
    assert stored.array.tolist() == [1.5, -3.0]


@pytest.mark.parametrize(
    ("input", "kernel", "expected"),
    [
        ("float32", "float32", "float32"),
        ("float16", "float16", "float16"),
        ("float16", "float32", "float32"),
        ("float32", "float64", "float64"),
        ("uint8", "int64", "float32"),
        ("uint8", "float16", "float32"),
        ("float64", "uint8", "float64"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("bfloat16", "float16", "float32"),
        ("bfloat16", "uint8", "float32"),
        ("bfloat16", "float64", "float64"),
    ],
)
def test_the_type_to_compute_in(input: str, kernel: str, expected: str) -> None:
    arrays = [
        Stored(np.ones(2, "float32" if name == "bfloat16" else name), name)
        for name in (input, kernel)
    ]
    assert compute_dtype(arrays[0], arrays[1], None) == expected
    assert compute_dtype(arrays[1], arrays[0], None) == expected
    assert compute_dtype(arrays[0], arrays[1], "float64") == "float64"


BEYOND = [
    (2**24, "float32"),
    (2**24 + 1, "float64"),
    (-(2**24) - 1, "float64"),
    (-(2**63), "float64"),
]


@pytest.mark.parametrize(("value", "expected"), BEYOND)
def test_integers_beyond_float32_are_computed_in_float64(value: int, expected: str) -> None:
    small = Stored(np.ones(2, np.uint8), "uint8")
    assert compute_dtype(Stored(np.array([0, value]), "int64"), small, None) == expected
