"""The line on which a key of a TOML file stands, which tomllib does not tell: the first part of the
file that has it.

Only errors need it, so it may be slow: a line that looks like the key's is believed once the file
up to there has the key in that table and the file before has not.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from typing import Any

_HEADER = re.compile(r"\s*\[\[\s*(\"case\"|'case'|case)\s*\]\]")
# Lines that a value may go on for, in the search for its end.
LONGEST = 200


def case_line(text: str, number: int) -> int:
    """The line (from 1) of the header of the case with this number (from 0)."""
    found = _headers(text)
    return found[number] if number < len(found) else 1


@functools.lru_cache(maxsize=16)
def _headers(text: str) -> list[int]:
    """The lines of all headers, without those that stand in a multi-line text."""
    found = [at for at, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]
    if len(found) == _count(text, None):
        return found
    made: list[int] = []
    for at in found:
        if _count(text, at) == len(made) + 1:
            made.append(at)
    return made


def key_line(text: str, table: str, number: int, key: str) -> int:
    """The line of `key` in the case with this number, or in `defaults`; the table's own where it is
    not found.
    """
    lines = text.splitlines()
    start = case_line(text, number) if table == "case" else _defaults_line(lines)
    bare = re.compile(rf"""(^|[{{,.\s])["']?{re.escape(key)}["']?\s*[=.]""")
    for at in range(start, len(lines) + 1):
        if (
            bare.search(lines[at - 1])
            and _has(lines, at, table, number, key)
            and not _has(lines[: at - 1], at - 1, table, number, key)
        ):
            return at
    return start


def _defaults_line(lines: list[str]) -> int:
    return next(
        (at for at, line in enumerate(lines, 1) if re.match(r"\s*\[\s*defaults\s*\]", line)), 1
    )


def _count(text: str, lines: int | None) -> int:
    """How many cases there are up to this line; -1 where it is no line's end of TOML."""
    part = text if lines is None else "\n".join(text.splitlines()[:lines])
    cases = (_parsed(part) or {"case": ...}).get("case", [])
    return len(cases) if isinstance(cases, list) else -1


def _has(lines: list[str], at: int, table: str, number: int, key: str) -> bool:
    """Whether the first `at` lines, or some more where a value goes on, have the key."""
    for end in range(at, min(len(lines), at + LONGEST) + 1):
        found = _parsed("\n".join(lines[:end]))
        if found is None:
            continue
        cases = found.get("case", [])
        where = (
            found.get("defaults", {})
            if table == "defaults"
            else cases[number]
            if number < len(cases)
            else {}
        )
        return isinstance(where, Mapping) and key in where
    return False


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
