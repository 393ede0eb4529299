"""A manifest's file to entries, each with all its keys, or with what is wrong with it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convdiff.errors import ConvdiffError, one_of
from convdiff.manifest import keys
from convdiff.manifest.lines import case_line, key_line

# The file that a folder's name stands for.
FILE = "manifest.toml"
_FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<function>\w+)", re.DOTALL)
_OPTION = re.compile(r"(?:--)?(?P<key>[a-z][a-z-]*)")


@dataclass(frozen=True)
class Manifest:
    """One file: its cases, and the codes that [defaults] allows in all of them.

    `outputs` are the files of what a captured model itself gave, as seen from here; none where they
    were not recorded.
    """

    path: Path
    entries: tuple[Entry, ...]
    allow: tuple[str, ...]
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One case as it is written, defaults filled in; files as seen from here.  `problem` says what
    is wrong with its keys.
    """

    name: str
    path: Path
    number: int
    keys: Mapping[str, Any] = field(repr=False)
    own: frozenset[str] = frozenset()
    problem: str | None = None
    _text: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """manifest.toml:12, the line of its header."""
        return f"{self.path}:{case_line(self._text, self.number)}"

    @property
    def allow(self) -> tuple[str, ...]:
        """The codes that do not fail it."""
        value = self.keys.get("allow", ())
        return (value,) if isinstance(value, str) else tuple(value)

    def located(self, message: str) -> str:
        """The message behind file, line and case; the line is that of the key or option with which
        it begins, else that it names.

        An option at its beginning is called as its key is here.
        """
        match = _OPTION.match(message) or re.search(r"--(?P<key>[a-z][a-z-]*)", message)
        key = match["key"].replace("-", "_") if match else ""
        key = next(
            (known for known in (key, f"{key}s", f"{key.rstrip('_')}") if known in self.keys), ""
        )
        if match and key and not match.start():
            message = key + message[match.end() :]
        table = "case" if key in self.own else "defaults"
        line = (
            key_line(self._text, table, self.number, key)
            if key
            else case_line(self._text, self.number)
        )
        return f"{self.path}:{line}: case {self.name}: {message}"


def load(path: Path) -> Manifest:
    """The manifest in the file, or in the folder's manifest.toml.

    Raises ConvdiffError where there is none, it is no TOML, or what is outside the cases is wrong;
    a case with a wrong key is an entry with a `problem`.
    """
    path = path / FILE if path.is_dir() else path
    text = _read(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConvdiffError(f"{_of_syntax(path, str(error))}, expected TOML") from None
    for key in data:
        if key not in keys.TOP:
            raise ConvdiffError(f"{path}:{_top_line(text, key)}: {one_of('key', key, keys.TOP)}")
    defaults = _defaults(path, text, data.get("defaults", {}))
    cases = data.get("case", [])
    if (
        not isinstance(cases, list)
        or not cases
        or not all(isinstance(case, dict) for case in cases)
    ):
        raise ConvdiffError(
            f"{path}: found no case, expected [[case]] with input and kernel; convdiff check "
            "--write-manifest drafts them"
        )
    entries: list[Entry] = []
    for number, case in enumerate(cases):
        entries.append(
            _entry(path, text, number, defaults, case, {entry.name for entry in entries})
        )
    value = defaults.get("allow", ())
    allow = (value,) if isinstance(value, str) else tuple(value)
    return Manifest(path, tuple(entries), allow, _outputs(path, text, data.get("outputs", [])))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConvdiffError(
            f"{path}: found no such file, expected a manifest (TOML); convdiff check "
            "--write-manifest FOLDER drafts one"
        ) from None
    except UnicodeDecodeError as error:
        raise ConvdiffError(
            f"{path}: found bytes that are no UTF-8 (at {error.start}), expected a manifest in TOML"
        ) from None
    except OSError as error:
        raise ConvdiffError(
            f"{path}: cannot be read ({error.strerror or error}), expected a manifest in TOML"
        ) from None


def _of_syntax(path: Path, message: str) -> str:
    """tomllib's message with its line in front: manifest.toml:3:5: invalid value."""
    match = re.fullmatch(
        r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", message, re.DOTALL
    )
    if match is None:
        return f"{path}: {message[:1].lower()}{message[1:]}"
    return (
        f"{path}:{match['line']}:{match['column']}: {match['what'][:1].lower()}{match['what'][1:]}"
    )


def _top_line(text: str, key: str) -> int:
    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[\].=]""")
    return next((at for at, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _defaults(path: Path, text: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ConvdiffError(
            f"{path}:{_top_line(text, 'defaults')}: defaults: found {given!r}, expected a table: "
            "[defaults]"
        )
    for key, value in given.items():
        try:
            keys.check(
                key, value, {name: kind for name, kind in keys.KEYS.items() if name not in keys.OWN}
            )
        except ConvdiffError as error:
            raise ConvdiffError(
                f"{path}:{key_line(text, 'defaults', 0, key)}: [defaults] {error}"
            ) from None
    return given


def _outputs(path: Path, text: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(file, str) for file in given):
        raise ConvdiffError(
            f"{path}:{_top_line(text, 'outputs')}: outputs: found {given!r}, expected a list of "
            "files"
        )
    return tuple(_beside(file, path.parent) for file in given)


def _entry(
    path: Path,
    text: str,
    number: int,
    defaults: Mapping[str, Any],
    case: Mapping[str, Any],
    taken: set[str],
) -> Entry:
    name = case.get("name", f"case-{number + 1}")
    together = {**defaults, **case}
    entry = Entry(str(name), path, number, together, frozenset(case), None, text)
    for key, value in case.items():
        try:
            keys.check(key, value)
        except ConvdiffError as error:
            line = key_line(text, "case", number, key)
            return Entry(
                entry.name,
                path,
                number,
                together,
                entry.own,
                f"{path}:{line}: case {name}: {error}",
                text,
            )
    missing = [key for key in ("input", "kernel") if key not in case]
    problem = (
        f'{" and ".join(missing)}: found none, expected a file: {missing[0]} = "{missing[0]}.npy"'
        if missing
        else None
    )
    if name in taken:
        problem = f"name: found {name!r} a second time, expected a name of its own"
    resolved = {key: _resolved(key, value, path.parent) for key, value in together.items()}
    return Entry(
        entry.name,
        path,
        number,
        resolved,
        entry.own,
        entry.located(problem) if problem else None,
        text,
    )


def _resolved(key: str, value: Any, folder: Path) -> Any:
    """Files as seen from the current folder, not from the manifest's."""
    if key in ("input", "kernel", "bias"):
        return _beside(value, folder)
    if key == "saved":
        if isinstance(value, dict):
            return {name: _beside(file, folder) for name, file in value.items()}
        return [_beside(file, folder) for file in keys.named(value)]
    if key == "call":
        made = []
        for text in keys.named(value):
            name, equals, code = text.partition("=")
            match = _FUNCTION.fullmatch(code.strip())
            made.append(
                f"{name}={_beside(match['file'], folder)}:{match['function']}"
                if equals and match
                else text
            )
        return made
    return value


def _beside(file: str, folder: Path) -> str:
    return os.path.normpath(folder / file)
