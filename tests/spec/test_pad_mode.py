"""A pad mode is read from what people write, one for all axes or one for each."""

from __future__ import annotations

import pytest

from convdiff.errors import ConvdiffError
from convdiff.spec.pad_mode import PadMode, pad_mode_text, pad_modes_of_axes, parse_pad_mode


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "constant"),
        ("wrap", "wrap"),
        (["wrap"], "wrap"),
        ("wrap,constant", ("wrap", "constant")),
        (" edge, wrap ", ("edge", "wrap")),
        (["edge", "wrap"], ("edge", "wrap")),
        (("edge", "wrap"), ("edge", "wrap")),
        ("edge,edge", "edge"),
        (["constant", "constant"], "constant"),
    ],
)
def test_one_mode_or_one_per_axis(given: object, expected: PadMode) -> None:
    mode = parse_pad_mode(given, 2)
    assert mode == expected
    assert parse_pad_mode(pad_mode_text(mode), 2) == mode
    assert len(pad_modes_of_axes(mode, 2)) == 2


@pytest.mark.parametrize(
    ("given", "rank", "message"),
    [
        ("edge,wrap", 1, "--pad-mode edge,wrap: found 2 modes, expected 1$"),
        (
            ["edge", "wrap", "wrap"],
            2,
            "--pad-mode edge,wrap,wrap: found 3 modes, expected 1 or 2, one per spatial axis",
        ),
        ("edge,wrap", 3, "expected 1 or 3, one per spatial axis"),
        ("edge,wrpa", 2, "--pad-mode: found 'wrpa', expected one of constant, .*mean wrap"),
        ("edge,", 2, "--pad-mode: found '', expected one of constant"),
        ([], 2, r"--pad-mode: found \[\], expected a word: wrap, or one per spatial axis"),
        ([1, 2], 2, r"--pad-mode: found \[1, 2\], expected a word"),
        (5, 2, "--pad-mode: found 5, expected a word"),
    ],
)
def test_anything_else_is_refused(given: object, rank: int, message: str) -> None:
    with pytest.raises(ConvdiffError, match=message):
        parse_pad_mode(given, rank)
