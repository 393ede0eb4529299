"""The pictures of the HTML page: PNG and the palette."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest

from convdiff.report import html_pictures
from tests.report.suites import PICTURE


def test_the_png_is_valid_and_has_the_levels_of_the_map() -> None:
    data = base64.b64decode(html_pictures.png(PICTURE.levels).partition(",")[2])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            kind + body
        )
        chunks[kind] = body
        at += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (16, 8)
    lines = zlib.decompress(chunks[b"IDAT"])
    assert [lines[row * 17 + 1] for row in range(8)] == [html_pictures.step(6.0)] * 8
    assert max(lines) < len(chunks[b"PLTE"]) // 3


@pytest.mark.parametrize(
    ("level", "entry"), [(-9, 0), (-5, 1), (-1.5, 2), (0.0, 3), (0.01, 4), (3, 6), (8, 9), (12, 9)]
)
def test_levels_beyond_the_bound_have_other_colors(level: float, entry: int) -> None:
    assert html_pictures.step(level) == entry
