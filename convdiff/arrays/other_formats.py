"""Recognizes files in other formats by their first bytes, and says how to make a .npy of each."""

from __future__ import annotations

_SAVE = "save it with np.save(file, {})"
_TORCH = _SAVE.format("tensor.detach().cpu().numpy()")
_IMAGE = _SAVE.format("np.asarray(PIL.Image.open(file))")

MAGICS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _SAVE.format("h5py.File(file)['dataset'][...]")),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", _IMAGE),
    (b"\xff\xd8\xff", "a JPEG image", _IMAGE),
    (b"GIF8", "a GIF image", _IMAGE),
    (b"BM", "a BMP image", _IMAGE),
    (b"II*\x00", "a TIFF image", _IMAGE),
    (b"MM\x00*", "a TIFF image", _IMAGE),
    (b"\x1f\x8b", "a gzip file", "decompress it first: gunzip"),
    (b"MATLAB 5.0", "a MATLAB file", _SAVE.format("scipy.io.loadmat(file)['name']")),
    (b"PK", "a zip archive", "expected an .npz here: name it .npz and give file.npz:key"),
)


def identify(start: bytes) -> tuple[str, str]:
    """The format of a file that starts with these bytes (some hundred), and what to do about it."""
    for magic, name, advice in MAGICS:
        if start.startswith(magic):
            return name, advice
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return (
            "a pickle (or an old torch .pt), which is never loaded",
            f"load it where you trust it and {_TORCH}",
        )
    if start[8:10] in (b'{"', b"{ ") and start[4:8] == b"\0\0\0\0":
        return "a safetensors file", _SAVE.format("safetensors.numpy.load_file(file)['name']")
    if _is_text(start):
        return "text", _SAVE.format("np.loadtxt(file)") + " (delimiter=',' for CSV)"
    return "bytes of no known format", _SAVE.format(
        "np.fromfile(file, np.float32).reshape(...)"
    ) + " if they are raw numbers"


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode()
    except UnicodeDecodeError as error:
        # The last character may have been cut in two.
        if error.start < len(start) - 3:
            return False
        text = start[: error.start].decode()
    return all(char.isprintable() or char in "\r\n\t\ufeff" for char in text)
