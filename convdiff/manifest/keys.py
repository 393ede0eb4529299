"""The keys of a case in a manifest, and the type of value that each takes.

Their names are those of the options of `convdiff run`, with underscores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from convdiff.errors import ConvdiffError, one_of


class ValueType(NamedTuple):
    """A type of value: in words, and as a predicate."""

    expected: str
    fits: Callable[[Any], bool]


# The name of a row, as in `--saved NAME=FILE`.
_NAME = re.compile(r"[^\W\d][\w.@+-]*")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_string_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_per_axis(value: Any) -> bool:
    return (
        _is_whole(value)
        or isinstance(value, str)
        or (isinstance(value, list) and bool(value) and all(map(_is_whole, value)))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_per_channel(value: Any) -> bool:
    return (
        _is_number(value)
        or isinstance(value, str)
        or (isinstance(value, list) and bool(value) and all(map(_is_number, value)))
    )


def _is_padding(value: Any) -> bool:
    def is_pair(item: Any) -> bool:
        return _is_whole(item) or (
            isinstance(item, list) and len(item) == 2 and all(map(_is_whole, item))
        )

    return (
        _is_whole(value)
        or isinstance(value, str)
        or (isinstance(value, list) and bool(value) and all(map(is_pair, value)))
    )


def _is_named(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(item, str) and _NAME.fullmatch(name) for name, item in value.items())
    return isinstance(value, str) or _is_string_list(value)


STRING = ValueType("a string", lambda value: isinstance(value, str))
FILE = ValueType("a file name", lambda value: isinstance(value, str) and value != "")
FLAG = ValueType("true or false", lambda value: isinstance(value, bool))
NUMBER = ValueType("a whole number", _is_whole)
COUNT = ValueType("a whole number of at least 1", lambda value: _is_whole(value) and value >= 1)
PER_AXIS = ValueType("a whole number, or one per axis: [2, 1]", _is_per_axis)
PER_CHANNEL = ValueType("a number, or one per input channel: [1, 2.5, 0]", _is_per_channel)
PADDING = ValueType("a word, a whole number, or [lo, hi] per axis: [[0, 1], [0, 1]]", _is_padding)
PAD_MODE = ValueType(
    'a word, or one per axis: ["wrap", "constant"]',
    lambda value: isinstance(value, str) or (_is_string_list(value) and value != []),
)
NAMES = ValueType(
    "a name or a list of names", lambda value: isinstance(value, str) or _is_string_list(value)
)
FILES = ValueType(
    "a file, a list of files, or names (letters, digits, _ . @ + -) with files: "
    '{ port = "port.npy" }',
    _is_named,
)
CALLS = ValueType('NAME=CODE, a list of those, or { NAME = "CODE" }', _is_named)
SECONDS = ValueType(
    "a number of seconds above 0",
    lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value > 0,
)

KEYS: Mapping[str, ValueType] = {
    "name": STRING,
    "input": FILE,
    "kernel": FILE,
    "bias": FILE,
    "saved": FILES,
    "call": CALLS,
    "allow": NAMES,
    "stride": PER_AXIS,
    "dilation": PER_AXIS,
    "padding": PADDING,
    "pad_mode": PAD_MODE,
    "pad_value": PER_CHANNEL,
    "groups": NUMBER,
    "depthwise": FLAG,
    "transposed": FLAG,
    "output_padding": PER_AXIS,
    "output_size": PER_AXIS,
    "flip": FLAG,
    "input_layout": STRING,
    "kernel_layout": STRING,
    "output_layout": STRING,
    "input_dilation": PER_AXIS,
    "as": STRING,
    "dtype": STRING,
    "backends": NAMES,
    "require": NAMES,
    "no_align": FLAG,
    "paths": STRING,
    "repeat": COUNT,
    "timeout": SECONDS,
    "fail_on": STRING,
}
# Keys of a case that [defaults] may not have: they would make all cases the same.
CASE_ONLY_KEYS = ("name", "input", "kernel", "saved")
# `outputs` are the outputs of a captured model as a whole, which belong to no case.
TOP_LEVEL_KEYS = ("case", "defaults", "outputs")


def check_key(key: str, value: Any, known: Mapping[str, ValueType] = KEYS) -> None:
    """Raises ConvdiffError for a key that is not `known`, or a value that it does not take."""
    if key not in known:
        raise one_of("key", key, known)
    if not known[key].fits(value):
        raise ConvdiffError(f"{key}: found {_shown(value)}, expected {known[key].expected}")


def _shown(value: Any) -> str:
    """`value` as in the TOML file, cut short where it is long."""
    text = "true" if value is True else "false" if value is False else repr(value)
    return text if len(text) <= 60 else f"{text[:50]}..."


def option_values(value: Any) -> list[str]:
    """The value of `saved` or `call` as the options take it: a list of "NAME=TEXT" or "TEXT"."""
    if isinstance(value, dict):
        return [f"{name}={text}" for name, text in value.items()]
    return [value] if isinstance(value, str) else list(value)
