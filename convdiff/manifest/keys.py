"""The keys of a case: what each takes.  The same names as the options of `convdiff run`, with
underscores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from convdiff.errors import ConvdiffError, one_of


class Kind(NamedTuple):
    """What a value must be, in words and as a test."""

    expected: str
    fits: Callable[[Any], bool]


# A row's name, as `--saved NAME=FILE` takes it.
_NAME = re.compile(r"[^\W\d][\w.@+-]*")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _axes(value: Any) -> bool:
    return (
        _whole(value)
        or isinstance(value, str)
        or (isinstance(value, list) and bool(value) and all(map(_whole, value)))
    )


def _padding(value: Any) -> bool:
    def pair(item: Any) -> bool:
        return _whole(item) or (
            isinstance(item, list) and len(item) == 2 and all(map(_whole, item))
        )

    return (
        _whole(value)
        or isinstance(value, str)
        or (isinstance(value, list) and bool(value) and all(map(pair, value)))
    )


def _named(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(item, str) and _NAME.fullmatch(name) for name, item in value.items())
    return isinstance(value, str) or _texts(value)


TEXT = Kind("a text", lambda value: isinstance(value, str))
FILE = Kind("a file's name", lambda value: isinstance(value, str) and value != "")
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
NUMBER = Kind("a whole number", _whole)
COUNT = Kind("a whole number from 1 on", lambda value: _whole(value) and value >= 1)
AXES = Kind("a whole number, or one per axis: [2, 1]", _axes)
PADDING = Kind("a word, a whole number, or [lo, hi] per axis: [[0, 1], [0, 1]]", _padding)
NAMES = Kind("a name or a list of names", lambda value: isinstance(value, str) or _texts(value))
FILES = Kind(
    "a file, a list of files, or names (letters, digits, _ . @ + -) with files: "
    '{ port = "port.npy" }',
    _named,
)
CODES = Kind('NAME=CODE, a list of those, or { NAME = "CODE" }', _named)
SECONDS = Kind(
    "a number of seconds above 0",
    lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value > 0,
)

KEYS: Mapping[str, Kind] = {
    "name": TEXT,
    "input": FILE,
    "kernel": FILE,
    "bias": FILE,
    "saved": FILES,
    "call": CODES,
    "allow": NAMES,
    "stride": AXES,
    "dilation": AXES,
    "padding": PADDING,
    "pad_mode": TEXT,
    "groups": NUMBER,
    "depthwise": FLAG,
    "transposed": FLAG,
    "output_padding": AXES,
    "output_size": AXES,
    "flip": FLAG,
    "input_layout": TEXT,
    "kernel_layout": TEXT,
    "output_layout": TEXT,
    "input_dilation": AXES,
    "as": TEXT,
    "dtype": TEXT,
    "backends": NAMES,
    "require": NAMES,
    "no_align": FLAG,
    "paths": TEXT,
    "repeat": COUNT,
    "timeout": SECONDS,
    "fail_on": TEXT,
}
# Said of every case, these would make each the same.
OWN = ("name", "input", "kernel", "saved")
# `outputs` are a captured model's own, which no case has.
TOP = ("case", "defaults", "outputs")


def check(key: str, value: Any, known: Mapping[str, Kind] = KEYS) -> None:
    """ConvdiffError, opened by the key, for one that is none or a value that it does not take."""
    if key not in known:
        raise one_of("key", key, known)
    if not known[key].fits(value):
        raise ConvdiffError(f"{key}: found {_shown(value)}, expected {known[key].expected}")


def _shown(value: Any) -> str:
    text = "true" if value is True else "false" if value is False else repr(value)
    return text if len(text) <= 60 else f"{text[:50]}..."


def named(value: Any) -> list[str]:
    """`saved` and `call` as a list of "NAME=TEXT" or "TEXT"."""
    if isinstance(value, dict):
        return [f"{name}={text}" for name, text in value.items()]
    return [value] if isinstance(value, str) else list(value)
