"""Names for the rows of saved outputs and calls: as given, or made from the file, and unique."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple


class SavedOption(NamedTuple):
    """The two parts of `[NAME=]FILE`; `name` is None where none was given."""

    name: str | None
    file: str


def parse_saved(text: str) -> SavedOption:
    """The parts of `[NAME=]FILE`.

    A name consists of letters, digits and `_ . @ + -`.  Where a file is called like the whole text,
    equals sign included, that file is meant.
    """
    match = re.fullmatch(r"([^\W\d][\w.@+-]*)=(.+)", text, re.DOTALL)
    if match is None or _is_file(text):
        return SavedOption(None, text)
    return SavedOption(match[1], match[2])


def _is_file(text: str) -> bool:
    """Whether `text` is an existing file, or an existing file with a key behind it."""
    try:
        return Path(text).exists() or (":" in text and Path(text.rpartition(":")[0]).is_file())
    except (OSError, ValueError):
        return False


def saved_names(saved: Sequence[SavedOption], taken: Collection[str]) -> list[str]:
    """A name for each saved output: the given one, else the .npz key or the stem of the file name.

    Where several files share a stem, the folder's name comes before it.  A stem that is `taken` by
    a backend gets "-saved" appended; a name that occurs again gets a number.
    """
    stems = [_stem(option.file) for option in saved]
    names: list[str] = []
    for (given, file), stem in zip(saved, stems, strict=True):
        if given:
            # A given name is kept: a row "torch" of a saved output and one of the backend are told
            # apart by their kind.
            names.append(unique(given, names))
            continue
        folder = _folder(file)
        name = f"{folder}/{stem}" if stems.count(stem) > 1 and folder else stem
        names.append(unique(f"{name}-saved" if name in taken else name, [*taken, *names]))
    return names


def _folder(file: str) -> str:
    try:
        return Path(file).absolute().parent.name
    except OSError:  # the current folder has been deleted
        return Path(file).parent.name


def _stem(file: str) -> str:
    path, colon, key = file.rpartition(":")
    return key if colon and path.endswith(".npz") and key else Path(file).stem or "saved"


def call_name(backend: str, code: str) -> str:
    """The function's name for path.py:function; torch-call for an expression run in torch."""
    match = re.fullmatch(r".*\.py:([^\W\d]\w*)", code, re.DOTALL)
    return match[1] if match else f"{backend}-call"


def unique(name: str, taken: Collection[str]) -> str:
    """`name`, or if it is taken `name-2`, `name-3`, ...: the first that is not."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate
