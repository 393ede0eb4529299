"""The text of a manifest: TOML that a person would have written, from cases as plain mappings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def text(
    cases: Iterable[Mapping[str, Any]],
    *,
    defaults: Mapping[str, Any] | None = None,
    heading: str = "",
    outputs: Sequence[str] = (),
) -> str:
    """TOML for these cases.  A key whose value is None is left out; the key "#" is a comment above
    the case.

    `outputs` are the files of what a captured model itself gave.
    """
    parts = [f"# {line}".rstrip() for line in heading.splitlines()]
    if outputs:
        parts += ["", *_lines({"outputs": outputs})]
    if defaults:
        parts += ["", "[defaults]", *_lines(defaults)]
    for case in cases:
        comments = [f"# {line}" for line in str(case["#"]).splitlines()] if case.get("#") else []
        parts += ["", *comments, "[[case]]", *_lines(case)]
    return "\n".join(parts).lstrip("\n") + "\n"


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [
        f"{_key(key)} = {_value(value)}"
        for key, value in table.items()
        if value is not None and key != "#"
    ]


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_value(item)}' for key, item in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for DEL, and TOML has no lone surrogates."""
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace(
        "\x7f", "\\u007f"
    )
