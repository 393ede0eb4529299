"""The report as JSON, schema convdiff/1 (schema.json): strict JSON, which every parser reads.

JSON has no NaN and no infinities; they are the strings "NaN", "Infinity" and "-Infinity", as in
protobuf's JSON.  JavaScript's Number() and Python's float() read them back, and jq sorts them above
every number.  The text is ASCII with escapes, so that no terminal's encoding can damage it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import PurePath

from convdiff.records import Report
from convdiff.suite_result import Suite

# A value that fits on a line of this width is not spread over several.
MAX_LINE = 120


def render(report: Report) -> str:
    """The JSON that `run` writes: one report."""
    return dumps(report.to_dict())


def render_suite(suite: Suite) -> str:
    """The JSON that `check` writes: reports with the names of their cases."""
    return dumps(suite.to_dict())


def dumps(value: object) -> str:
    """Strict JSON, indented.  Takes numpy's scalars and arrays, tuples and paths too."""
    return _indented(plain(value), "") + "\n"


def plain(value: object) -> object:
    """`value` in JSON's types: dict, list, str, int, finite float, bool, None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, str):
        # A file name that is not UTF-8 contains lone surrogates, which some parsers refuse.
        return value.encode("utf-8", "replace").decode()
    return value


def _indented(value: object, indent: str) -> str:
    line = json.dumps(value, allow_nan=False)
    if len(line) + len(indent) <= MAX_LINE or not isinstance(value, (dict, list)) or not value:
        return line
    deeper = f"{indent}  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_indented(item, deeper)}" for key, item in value.items()]
    else:
        items = [_indented(item, deeper) for item in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    body = ",\n".join(f"{deeper}{item}" for item in items)
    return f"{first}\n{body}\n{indent}{last}"
