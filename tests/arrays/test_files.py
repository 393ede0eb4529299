"""Reading a path: names, files that are none, and damaged bytes."""

from __future__ import annotations

import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convdiff.arrays import nonfinite_notes, read
from convdiff.errors import ConvdiffError
from tests.arrays.support import PLAIN, saved, zipped


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
def test_what_is_not_a_file_is_an_error_of_one_line(name: str, tmp_path: Path) -> None:
    make, found = SPECIAL[name]
    path = tmp_path / "input.npy"
    make(path)
    if name == "parent is a file":
        (tmp_path / "file").write_bytes(b"")
        path = tmp_path / "file" / "input.npy"
    with pytest.raises(ConvdiffError, match=r"^input .*input.npy: .*" + found):
        read(path, "input")


def test_a_file_without_permission_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "input.npy"
    np.save(path, PLAIN)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything: the test raises the error

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(
        ConvdiffError,
        match=r"input.npy: found a file without read permission, expected a readable one",
    ):
        read(path, "input")


@pytest.mark.parametrize("text", ["/dev/null", "/dev/zero"])
def test_a_device_is_not_opened(text: str) -> None:
    with pytest.raises(ConvdiffError, match="a pipe or device"):
        read(text, "input")


@pytest.mark.parametrize(
    "text", ["x" * 5000, "x" * 5000 + ":key", "a\0b.npy", ":", "", ":::", ".npz:x"]
)
def test_unusual_names_are_errors_for_the_user(text: str) -> None:
    with pytest.raises(ConvdiffError):
        read(text, "input")


def test_a_file_with_a_colon_in_its_name_takes_precedence(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", key=PLAIN)
    np.save(tmp_path / "x.npz:key.npy", PLAIN[0])
    assert read(f"{tmp_path}/x.npz:key.npy", "input").array.shape == (3, 4)
    assert read(f"{tmp_path}/x.npz:key", "input").array.shape == (2, 3, 4)


def test_a_key_after_an_npy_is_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", PLAIN)
    with pytest.raises(ConvdiffError, match=r"x\.npy:key: found a key .* expected the file alone"):
        read(f"{tmp_path}/x.npy:key", "input")


def test_the_message_for_a_missing_archive_has_no_key(tmp_path: Path) -> None:
    with pytest.raises(ConvdiffError, match=r"input .*none\.npz: found no such file"):
        read(f"{tmp_path}/none.npz:key", "input")


@st.composite
def mutations(draw: st.DrawFn, original: bytes) -> bytes:
    """The bytes with some of them changed, some perhaps inserted, and perhaps the end cut off."""
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
def test_a_mutated_file_is_read_or_rejected(
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
        nonfinite_notes(stored, "input")
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 << 20
