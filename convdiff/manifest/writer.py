"""Writes manifests as readable TOML, from cases given as mappings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def manifest_text(
    cases: Iterable[Mapping[str, Any]],
    *,
    defaults: Mapping[str, Any] | None = None,
    heading: str = "",
    outputs: Sequence[str] = (),
) -> str:
    """The TOML text of a manifest with these cases.

    Keys with the value None are left out; the value of the key "#" becomes a comment above the
    case, and `heading` one at the top.  `outputs` are the files with the outputs of a captured
    model as a whole.
    """
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    if outputs:
        lines += ["", *_assignments({"outputs": outputs})]
    if defaults:
        lines += ["", "[defaults]", *_assignments(defaults)]
    for case in cases:
        comments = [f"# {line}" for line in str(case["#"]).splitlines()] if case.get("#") else []
        lines += ["", *comments, "[[case]]", *_assignments(case)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _assignments(table: Mapping[str, Any]) -> list[str]:
    return [
        f"{_key(key)} = {_value(value)}"
        for key, value in table.items()
        if value is not None and key != "#"
    ]


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_value(item)}' for key, item in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    return _string(str(value))


def _string(text: str) -> str:
    """`text` as a basic string of TOML.

    JSON's escapes are TOML's, except that TOML wants DEL escaped and has no lone surrogates.
    """
    quoted = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return quoted.replace("\x7f", "\\u007f")
