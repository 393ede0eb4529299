"""Defaults of a project: `convdiff.toml`, or `[tool.convdiff]` in pyproject.toml, in the current
folder or the nearest above it.

    backends = ["numpy", "torch:cpu/native"]
    paths = "all"
    fail_on = "reduced-precision"

    [environments]
    "torch@1.13" = "old/bin/python"      # relative to the file

The command line says otherwise where it says anything.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from convdiff.errors import ConvdiffError, one_of

# Options of `run`, by their long names with underscores, and the type that each is written in.
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
_KINDS = {list: "a list of strings", str: "a string", int: "a whole number"}


class Config(NamedTuple):
    """What was read: `defaults` by option, `environments` by name; `file` is None where there is
    none.
    """

    file: Path | None
    defaults: dict[str, Any]
    environments: dict[str, Path]

    def notes(self, names: Collection[str]) -> tuple[str, ...]:
        """What a reader should know of it: that the command line is not all that was said.  `names`
        are the options it leaves.
        """
        said = ", ".join(
            f"{name} = {value!r}" for name, value in self.defaults.items() if name in names
        )
        return (f"by default, from {self.file}: {said}",) if said else ()


def load(folder: Path | None = None) -> Config:
    """The nearest configuration.  ConvdiffError for a file that cannot be read, and for what it may
    not say.
    """
    try:
        here = folder or Path.cwd()
    except OSError:  # the current folder has been deleted
        return Config(None, {}, {})
    for place in (here, *here.parents):
        for file in (place / "convdiff.toml", place / "pyproject.toml"):
            found = _read(file)
            if found is not None:
                return _checked(file, found)
    return Config(None, {}, {})


def _read(file: Path) -> dict[str, Any] | None:
    try:
        with file.open("rb") as stream:
            # Not at the top of the module: most folders have no such file, and every command starts
            # here.
            import tomllib

            text = tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        if file.name == "pyproject.toml" and not _speaks_of_us(file):
            return None  # another tool's to complain about
        raise ConvdiffError(f"{file}: cannot be read ({error}), expected TOML") from None
    if file.name == "convdiff.toml":
        return text
    tools = text.get("tool")
    found = tools.get("convdiff") if isinstance(tools, dict) else None
    if found is not None and not isinstance(found, dict):
        raise ConvdiffError(
            f"{file}: tool.convdiff: found {found!r}, expected a table: [tool.convdiff]"
        )
    return found


def _speaks_of_us(file: Path) -> bool:
    try:
        return b"tool.convdiff" in file.read_bytes()
    except OSError:
        return False


def _checked(file: Path, found: dict[str, Any]) -> Config:
    environments = found.pop("environments", {})
    if not isinstance(environments, dict) or not all(
        isinstance(python, str) for python in environments.values()
    ):
        raise ConvdiffError(f"{file}: environments: expected a table of names and interpreters")
    for name, value in found.items():
        if name not in OPTIONS:
            raise one_of(f"{file}: option", name, [*OPTIONS, "environments"])
        kind = OPTIONS[name]
        strings = not isinstance(value, list) or all(isinstance(item, str) for item in value)
        if not isinstance(value, kind) or isinstance(value, bool) or not strings:
            wanted = _KINDS[kind] if isinstance(kind, type) else "a number"
            raise ConvdiffError(f"{file}: {name}: found {value!r}, expected {wanted}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ConvdiffError(f"{file}: {name}: found {value!r}, expected a finite number")
    pythons = {
        name: Path(os.path.abspath(file.parent / Path(python).expanduser()))
        for name, python in environments.items()
    }
    return Config(file, found, pythons)
