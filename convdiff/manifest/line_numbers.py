"""The lines of cases and keys in a TOML file, for error messages: tomllib does not give them.

A line is searched for by what it looks like, and confirmed by parsing: a key stands on the first
line up to which the file has it, and before which it has not.  That is slow, and done only for
errors.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from typing import Any

_HEADER = re.compile(r"\s*\[\[\s*(\"case\"|'case'|case)\s*\]\]")
# How many lines a value may span, in the search for its end.
MAX_VALUE_LINES = 200


def case_line(text: str, number: int) -> int:
    """The line (from 1) of the header of case `number` (from 0)."""
    lines = _header_lines(text)
    return lines[number] if number < len(lines) else 1


@functools.lru_cache(maxsize=16)
def _header_lines(text: str) -> list[int]:
    """The lines of all [[case]] headers, without those inside multi-line strings."""
    candidates = [at for at, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]
    if len(candidates) == _count_cases(text, None):
        return candidates
    lines: list[int] = []
    for at in candidates:
        if _count_cases(text, at) == len(lines) + 1:
            lines.append(at)
    return lines


def key_line(text: str, table: str, number: int, key: str) -> int:
    """The line of `key` in case `number`, or in the table "defaults".

    Where the key is not found, it is the line of the table's header.
    """
    lines = text.splitlines()
    start = case_line(text, number) if table == "case" else _defaults_line(lines)
    assignment = re.compile(rf"""(^|[{{,.\s])["']?{re.escape(key)}["']?\s*[=.]""")
    for at in range(start, len(lines) + 1):
        if (
            assignment.search(lines[at - 1])
            and _has_key(lines, at, table, number, key)
            and not _has_key(lines[: at - 1], at - 1, table, number, key)
        ):
            return at
    return start


def _defaults_line(lines: list[str]) -> int:
    return next(
        (at for at, line in enumerate(lines, 1) if re.match(r"\s*\[\s*defaults\s*\]", line)), 1
    )


def _count_cases(text: str, line: int | None) -> int:
    """The number of cases up to `line`; -1 where what stands up to there is not valid TOML."""
    part = text if line is None else "\n".join(text.splitlines()[:line])
    cases = (_parse(part) or {"case": ...}).get("case", [])
    return len(cases) if isinstance(cases, list) else -1


def _has_key(lines: list[str], at: int, table: str, number: int, key: str) -> bool:
    """Whether the first `at` lines, and as many more as a value spans, define the key."""
    for end in range(at, min(len(lines), at + MAX_VALUE_LINES) + 1):
        data = _parse("\n".join(lines[:end]))
        if data is None:
            continue
        if table == "defaults":
            keys = data.get("defaults", {})
        else:
            cases = data.get("case", [])
            keys = cases[number] if number < len(cases) else {}
        return isinstance(keys, Mapping) and key in keys
    return False


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
