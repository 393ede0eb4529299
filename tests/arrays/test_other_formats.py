"""Files in other formats are recognized, and the message says how to make a .npy of them."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import pytest

from tests.arrays.support import PLAIN, assert_rejected, saved, zipped

# The file's name, its bytes, and what the message says was found and expected.
REJECTED: dict[str, tuple[str, bytes, str, str]] = {
    "empty": ("x.npy", b"", "an empty file", "a .npy"),
    "zip named npy": ("x.npy", zipped({"a.npy": saved(PLAIN)}), "an .npz", "rename it to x.npz"),
    "torch": (
        "x.pt",
        zipped({"archive/data.pkl": b"x"}),
        "a torch file (.pt)",
        "tensor.detach().cpu().numpy()",
    ),
    "hdf5": ("x.npy", b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file", "h5py"),
    "png": ("x.npy", b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG image", "PIL"),
    "jpeg": ("x.npy", b"\xff\xd8\xff\xe0" + bytes(100), "a JPEG image", "PIL"),
    "text": ("x.npy", b"1.0,2.0\n3.0,4.0\n", "text", "np.loadtxt"),
    "text cut in a character": ("x.npy", ("x" + "ä" * 400).encode(), "text", "np.loadtxt"),
    "pickle": ("x.npy", pickle.dumps([1.0, 2.0]), "a pickle", "never loaded"),
    "gzip": ("x.npy", gzip.compress(saved(PLAIN)), "a gzip file", "gunzip"),
    "raw numbers": ("x.npy", PLAIN.tobytes()[4:], "bytes of no known format", "np.fromfile"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_file_in_another_format_is_named(name: str, tmp_path: Path) -> None:
    assert_rejected(tmp_path, *REJECTED[name])
