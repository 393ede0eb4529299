"""The report as JSON, schema convdiff/1: strict, so that every parser reads it.

NaN and the infinities, which JSON has no numbers for, are the strings "NaN", "Infinity" and
"-Infinity" (as in protobuf's JSON): JavaScript's Number() and Python's float() read them back, and
jq orders them above every number. Text is ASCII with escapes, so that no terminal's encoding can
spoil it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import PurePath

from convdiff.records import Report
from convdiff.suite_result import Suite

WIDTH = 120


def render(report: Report) -> str:
    """One report, as `run` writes it."""
    return dumps(report.to_dict())


def render_suite(suite: Suite) -> str:
    """Several reports with their cases' names, as `check` writes them."""
    return dumps(suite.to_dict())


def dumps(value: object) -> str:
    """Strict JSON, indented; what fits on a line stays on one.  Takes numpy's scalars and arrays,
    tuples and paths.
    """
    return _written(plain(value), "") + "\n"


def plain(value: object) -> object:
    """The value in JSON's own types: dict, list, str, int, finite float, bool, None."""
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
        # A file name that is no UTF-8 has unpaired surrogates, which some parsers refuse.
        return value.encode("utf-8", "replace").decode()
    return value


def _written(value: object, indent: str) -> str:
    line = json.dumps(value, allow_nan=False)
    if len(line) + len(indent) <= WIDTH or not isinstance(value, (dict, list)) or not value:
        return line
    deeper = f"{indent}  "
    if isinstance(value, dict):
        body = [
            f"{deeper}{json.dumps(key)}: {_written(item, deeper)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(body) + f"\n{indent}}}"
    return (
        "[\n" + ",\n".join(f"{deeper}{_written(item, deeper)}" for item in value) + f"\n{indent}]"
    )
