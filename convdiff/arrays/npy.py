"""The header of the .npy format, versions 1 to 3, read without trusting any of it.

A file has 6 bytes of magic, 2 of version, the header's length (2 bytes in version 1, 4 in later
ones), the header, which is a Python literal such as
{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}, and then the elements.
"""

from __future__ import annotations

import ast
import os
import re
import warnings
from typing import IO, Any, NamedTuple

from convdiff.arrays.element_types import DType, abbreviate, from_descr
from convdiff.errors import ConvdiffError
from convdiff.spec.layout import element_count

MAGIC = b"\x93NUMPY"
KEYS = {"descr", "fortran_order", "shape"}
# numpy's own limit, for the same reason: a longer literal can exhaust the parser.
MAX_HEADER_BYTES = 10_000
# The limit of numpy 1; a convolution has five axes at most.
MAX_AXES = 32
_AGAIN = "save it again with np.save"


class Header(NamedTuple):
    """What a .npy declares: `size` bytes of elements from byte `offset` on."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: DType
    big_endian: bool
    offset: int

    @property
    def size(self) -> int:
        """The size of the elements in bytes, as a Python integer, which cannot overflow."""
        return element_count(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], where: str, any_shape: bool = False) -> Header:
    """The header at the start of the stream, which is left at the elements.

    Raises ConvdiffError, which begins with `where` (the role and the file), for a header that is
    cut short or malformed, has another version, or describes an array that cannot be used.
    """
    start = stream.read(8)
    if not start.startswith(MAGIC[: len(start)]):
        raise ConvdiffError(
            f"{where}: found bytes that are no .npy, expected its magic {MAGIC!r}; {_AGAIN}"
        )
    if len(start) < 8:
        raise ConvdiffError(
            f"{where}: found {len(start)} bytes, expected a whole .npy header; the file is cut "
            f"short: {_AGAIN}"
        )
    if start[6] not in (1, 2, 3):
        raise ConvdiffError(
            f"{where}: found .npy version {start[6]}.{start[7]}, expected 1 to 3; {_AGAIN}"
        )
    width = 2 if start[6] == 1 else 4
    field = stream.read(width)
    length = int.from_bytes(field, "little")
    if len(field) == width and length > MAX_HEADER_BYTES:
        raise ConvdiffError(
            f"{where}: found a header of {length:,} bytes, expected at most {MAX_HEADER_BYTES:,}; "
            f"the file is damaged or holds records: {_AGAIN}"
        )
    text = stream.read(length)
    if len(field) < width or len(text) < length:
        raise ConvdiffError(
            f"{where}: found {len(text)} bytes of the .npy header, expected {length}; the file is "
            f"cut short: {_AGAIN}"
        )
    fields = _literal(text.decode("utf-8" if start[6] == 3 else "latin1", "replace"), where)
    return _checked(fields, 8 + width + length, where, any_shape)


def _literal(text: str, where: str) -> dict[str, Any]:
    """The header's dict; numbers that Python 2 wrote as 10L are accepted."""
    fields: object = None
    for candidate in (text, re.sub(r"(?<=\d)L\b", "", text)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fields = ast.literal_eval(candidate.strip())
            break
        # The parser of CPython 3.11 may raise SystemError for a correct text, on a busy machine
        # (python/cpython, issue 106905).  The second candidate, mostly the same text, is then read.
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError, SystemError):
            continue
    if not isinstance(fields, dict):
        raise ConvdiffError(
            f"{where}: found a malformed .npy header, {abbreviate(text.strip())}, expected a dict "
            f"with descr, fortran_order and shape; {_AGAIN}"
        )
    if set(fields) != KEYS:
        names = ", ".join(sorted(abbreviate(name) for name in list(fields)[:5])) or "no keys"
        raise ConvdiffError(
            f"{where}: found a malformed .npy header with {names}, expected descr, fortran_order "
            f"and shape; {_AGAIN}"
        )
    return fields


def _checked(fields: dict[str, Any], offset: int, where: str, any_shape: bool) -> Header:
    shape, fortran, descr = fields["shape"], fields["fortran_order"], fields["descr"]
    if not isinstance(shape, tuple) or any(
        type(size) is not int or not 0 <= size < 2**63 for size in shape
    ):
        raise ConvdiffError(
            f"{where}: found the shape {abbreviate(shape)} in the .npy header, expected a tuple of "
            f"whole numbers; {_AGAIN}"
        )
    if not isinstance(fortran, bool):
        raise ConvdiffError(
            f"{where}: found fortran_order {abbreviate(fortran)} in the .npy header, expected True "
            f"or False; {_AGAIN}"
        )
    dtype = from_descr(descr)
    if isinstance(dtype, str):
        raise ConvdiffError(f"{where}: {dtype}")
    check_shape(shape, where, any_shape)
    return Header(shape, fortran, dtype, str(descr).startswith(">"), offset)


def check_shape(shape: tuple[int, ...], where: str, any_shape: bool = False) -> None:
    """Raise ConvdiffError where no convolution takes an array of this shape.

    It must have axes, not too many, and none of size 0.
    """
    if not shape and not any_shape:
        raise ConvdiffError(
            f"{where}: found a single number (shape ()), expected an array with axes; reshape it, "
            "e.g. array.reshape(1)"
        )
    if len(shape) > MAX_AXES:
        raise ConvdiffError(
            f"{where}: found {len(shape)} axes, expected at most 5 (batch, channels, three of "
            "space); reshape it"
        )
    if 0 in shape and not any_shape:
        raise ConvdiffError(
            f"{where}: found no elements, axis {shape.index(0)} of shape {shape_text(shape)} has "
            "size 0, expected at least 1 along every "
            "axis; look at the code that saved it"
        )


def check_size(where: str, header: Header, held: int) -> None:
    """Raise ConvdiffError where the file has fewer bytes of elements (`held`) than its header says.

    Also where the array is larger than numpy can count or this machine's memory.
    """
    if header.size > held:
        raise ConvdiffError(too_short_message(where, header, held))
    if element_count(tuple(size or 1 for size in header.shape)) * header.dtype.itemsize >= 2**63:
        # No elements, since an axis has size 0, but more along the others than numpy can count.
        raise ConvdiffError(
            f"{where}: found the shape {shape_text(header.shape)} in the .npy header, expected "
            f"one of an array; {_AGAIN}"
        )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if header.size > memory:
        raise ConvdiffError(
            f"{where}: found {header.size / 2**30:.0f} GiB of elements, shape "
            f"{shape_text(header.shape)}, expected no more than this "
            f"machine's memory, {memory / 2**30:.0f} GiB; save a part of the array"
        )


def too_short_message(where: str, header: Header, held: int) -> str:
    """The message for a file with fewer bytes of elements (`held`) than its header says."""
    declared = f"{header.size:,}" if header.size < 10**18 else "over 10**18"
    return (
        f"{where}: found {held:,} bytes of elements, expected {declared} for shape "
        f"{shape_text(header.shape)} of {header.dtype.name}; "
        f"the file is cut short or was still being written: {_AGAIN}"
    )


def shape_text(shape: tuple[int, ...]) -> str:
    """The shape as text, abbreviated where it is very long."""
    return abbreviate(shape)
