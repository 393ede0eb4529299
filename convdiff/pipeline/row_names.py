"""The rows' names: those the user gave, else the file's, each one of its own."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple


class SavedOption(NamedTuple):
    """`[NAME=]FILE` taken apart; `name` is None where none was given."""

    name: str | None
    file: str


def parse_saved(text: str) -> SavedOption:
    """A name is a word of letters, digits and `_ . @ + -`; a file that exists under the whole text
    wins.
    """
    match = re.fullmatch(r"([^\W\d][\w.@+-]*)=(.+)", text, re.DOTALL)
    if match is None or _exists(text):
        return SavedOption(None, text)
    return SavedOption(match[1], match[2])


def _exists(text: str) -> bool:
    try:
        return Path(text).exists() or (":" in text and Path(text.rpartition(":")[0]).is_file())
    except (OSError, ValueError):
        return False


def saved_names(saved: Sequence[SavedOption], taken: Collection[str]) -> list[str]:
    """A name for each: as given; else the key or the file's stem, with the folder's name where
    several share it.

    A file's stem that is `taken` (a backend's name) gets "-saved" behind it, a name that comes
    again a number.
    """
    stems = [_stem(file) for _, file in saved]
    names: list[str] = []
    for (given, file), stem in zip(saved, stems, strict=True):
        folder = _folder(file)
        name = given or (f"{folder}/{stem}" if stems.count(stem) > 1 and folder else stem)
        # A name that was given stays: a saved "torch" beside the backend is told from it by its
        # kind.
        names.append(
            unique(
                name if given or name not in taken else f"{name}-saved",
                names if given else [*taken, *names],
            )
        )
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
    """The function's name for path.py:function, else torch-call."""
    match = re.fullmatch(r".*\.py:([^\W\d]\w*)", code, re.DOTALL)
    return match[1] if match else f"{backend}-call"


def unique(name: str, taken: Collection[str]) -> str:
    """The name, or with the first number from 2 on that makes it a new one: `y-2`."""
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{name}-{number}"
    return made
