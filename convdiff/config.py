"""A project's defaults: `convdiff.toml`, or `[tool.convdiff]` in pyproject.toml.

The file is looked for in the working directory, then in each folder above it.

    backends = ["numpy", "torch:cpu/native"]
    paths = "all"
    fail_on = "reduced-precision"

    [environments]
    "torch@1.13" = "old/bin/python"      # relative to the file

An option on the command line overrides its default.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from convdiff.errors import ConvdiffError, one_of

# The options of `run` that may have a default, by their long names with underscores, and the type
# of each in TOML.
OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "backends": list,
    "require": list,
    "paths": str,
    "repeat": int,
    "timeout": (int, float),
    "fail_on": str,
    "format": str,
    "as": str,
}
_TYPE_NAMES = {list: "a list of strings", str: "a string", int: "a whole number"}


class Config(NamedTuple):
    """A configuration file's content: `defaults` by option, interpreters in `environments` by name.

    `file` is None where there is no such file.
    """

    file: Path | None
    defaults: dict[str, Any]
    environments: dict[str, Path]

    def notes(self, names: Collection[str]) -> tuple[str, ...]:
        """A note for the report about the defaults in force, if there are any.

        `names` are the options that the command line does not set.
        """
        defaults = ", ".join(
            f"{name} = {value!r}" for name, value in self.defaults.items() if name in names
        )
        return (f"by default, from {self.file}: {defaults}",) if defaults else ()


def load(folder: Path | None = None) -> Config:
    """The nearest configuration, looked for from `folder` (the working directory) upwards.

    Raises ConvdiffError for a file that cannot be read or has an unknown or invalid entry.
    """
    try:
        here = folder or Path.cwd()
    except OSError:  # the current folder has been deleted
        return Config(None, {}, {})
    for place in (here, *here.parents):
        for file in (place / "convdiff.toml", place / "pyproject.toml"):
            table = _read(file)
            if table is not None:
                return _checked(file, table)
    return Config(None, {}, {})


def _read(file: Path) -> dict[str, Any] | None:
    """convdiff's table in a file; None where the file or the table does not exist."""
    try:
        with file.open("rb") as stream:
            # Imported here, since most folders have no such file and every command looks for it.
            import tomllib

            content = tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        if file.name == "pyproject.toml" and not _mentions_convdiff(file):
            return None  # not convdiff's to report
        raise ConvdiffError(f"{file}: cannot be read ({error}), expected TOML") from None
    if file.name == "convdiff.toml":
        return content
    tools = content.get("tool")
    table = tools.get("convdiff") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConvdiffError(
            f"{file}: tool.convdiff: found {table!r}, expected a table: [tool.convdiff]"
        )
    return table


def _mentions_convdiff(file: Path) -> bool:
    try:
        return b"tool.convdiff" in file.read_bytes()
    except OSError:
        return False


def _checked(file: Path, table: dict[str, Any]) -> Config:
    """The configuration in a table.  ConvdiffError for an unknown or invalid entry."""
    environments = table.pop("environments", {})
    if not isinstance(environments, dict) or not all(
        isinstance(python, str) for python in environments.values()
    ):
        raise ConvdiffError(f"{file}: environments: expected a table of names and interpreters")
    for name, value in table.items():
        if name not in OPTIONS:
            raise one_of(f"{file}: option", name, [*OPTIONS, "environments"])
        kind = OPTIONS[name]
        strings = not isinstance(value, list) or all(isinstance(item, str) for item in value)
        if not isinstance(value, kind) or isinstance(value, bool) or not strings:
            expected = _TYPE_NAMES[kind] if isinstance(kind, type) else "a number"
            raise ConvdiffError(f"{file}: {name}: found {value!r}, expected {expected}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ConvdiffError(f"{file}: {name}: found {value!r}, expected a finite number")
    pythons = {
        # resolve() would follow the link that a virtual environment's interpreter is.
        name: Path(os.path.abspath(file.parent / Path(python).expanduser()))  # noqa: PTH100
        for name, python in environments.items()
    }
    return Config(file, table, pythons)
