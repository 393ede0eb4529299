"""Reads a manifest into entries: one per case, with the defaults filled in, or with its problem."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from convdiff.errors import ConvdiffError, one_of
from convdiff.manifest import keys
from convdiff.manifest.line_numbers import case_line, key_line

# The manifest in a folder, where a folder is given.
MANIFEST_FILE = "manifest.toml"
_FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<function>\w+)", re.DOTALL)
# The option or key at the beginning of an error message.
_SUBJECT = re.compile(r"(?:--)?(?P<key>[a-z][a-z-]*)")
_OPTION = re.compile(r"--(?P<key>[a-z][a-z-]*)")


@dataclass(frozen=True)
class Manifest:
    """One manifest file.

    `allow` are the codes that [defaults] allows in every case.  `outputs` are the files with the
    outputs of a captured model as a whole, relative to the current folder; empty where they were
    not recorded.
    """

    path: Path
    entries: tuple[Entry, ...]
    allow: tuple[str, ...]
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One case of a manifest.

    `keys` include the defaults, with files relative to the current folder; `own_keys` are those
    that the case itself has.  `number` counts the cases of the file from 0.  `problem` is the error
    message of a case with invalid keys.
    """

    name: str
    path: Path
    number: int
    keys: Mapping[str, Any] = field(repr=False)
    own_keys: frozenset[str] = frozenset()
    problem: str | None = None
    _text: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """The file and line of the case's header: manifest.toml:12."""
        return f"{self.path}:{case_line(self._text, self.number)}"

    @property
    def allow(self) -> tuple[str, ...]:
        """The codes that do not fail the case."""
        return _strings(self.keys.get("allow", ()))

    def located(self, message: str) -> str:
        """An error message about this case, with file, line and case in front.

        The line is that of the key or option that the message begins with, or else names, and the
        case's own otherwise.  An option at the beginning is replaced by its key.
        """
        match = _SUBJECT.match(message) or _OPTION.search(message)
        key = self._key_of_option(match["key"]) if match else None
        if key is None:
            line = case_line(self._text, self.number)
        else:
            table = "case" if key in self.own_keys else "defaults"
            line = key_line(self._text, table, self.number, key)
        if match and key and match.start() == 0:
            message = key + message[match.end() :]
        return f"{self.path}:{line}: case {self.name}: {message}"

    def _key_of_option(self, option: str) -> str | None:
        """The key for this option, if the case has it; --backend is the key `backends`."""
        key = option.replace("-", "_")
        return next((known for known in (key, f"{key}s") if known in self.keys), None)


def load(path: Path) -> Manifest:
    """The manifest in a file, or in a folder's manifest.toml.

    Raises ConvdiffError where there is no such file, it is not TOML, or something outside the cases
    is wrong.  A case with an invalid key is an entry with a `problem`.
    """
    path = path / MANIFEST_FILE if path.is_dir() else path
    text = _read(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConvdiffError(f"{_syntax_error(path, str(error))}, expected TOML") from None
    for key in data:
        if key not in keys.TOP_LEVEL_KEYS:
            unknown = one_of("key", key, keys.TOP_LEVEL_KEYS)
            raise ConvdiffError(f"{path}:{_top_level_line(text, key)}: {unknown}")
    defaults = _defaults(path, text, data.get("defaults", {}))
    cases = data.get("case", [])
    if (
        not isinstance(cases, list)
        or not cases
        or not all(isinstance(case, dict) for case in cases)
    ):
        raise ConvdiffError(
            f"{path}: found no case, expected [[case]] with input and kernel; to draft them: "
            "convdiff check --write-manifest FOLDER"
        )
    entries: list[Entry] = []
    for number, case in enumerate(cases):
        names = {entry.name for entry in entries}
        entries.append(_entry(path, text, number, defaults, case, names))
    allow = _strings(defaults.get("allow", ()))
    return Manifest(path, tuple(entries), allow, _outputs(path, text, data.get("outputs", [])))


def _strings(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConvdiffError(
            f"{path}: found no such file, expected a manifest (TOML); to draft one: convdiff check "
            "--write-manifest FOLDER"
        ) from None
    except UnicodeDecodeError as error:
        raise ConvdiffError(
            f"{path}: found bytes that are not UTF-8 (at byte {error.start}), expected a manifest "
            "(TOML)"
        ) from None
    except OSError as error:
        raise ConvdiffError(
            f"{path}: cannot be read ({error.strerror or error}), expected a manifest (TOML)"
        ) from None


def _syntax_error(path: Path, message: str) -> str:
    """tomllib's message with its place in front: manifest.toml:3:5: invalid value."""
    match = re.fullmatch(
        r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", message, re.DOTALL
    )
    if match is None:
        return f"{path}: {_without_capital(message)}"
    return f"{path}:{match['line']}:{match['column']}: {_without_capital(match['what'])}"


def _without_capital(message: str) -> str:
    return f"{message[:1].lower()}{message[1:]}"


def _top_level_line(text: str, key: str) -> int:
    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[\].=]""")
    return next((at for at, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _defaults(path: Path, text: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ConvdiffError(
            f"{path}:{_top_level_line(text, 'defaults')}: defaults: found {given!r}, expected a "
            "table: [defaults]"
        )
    known = {name: kind for name, kind in keys.KEYS.items() if name not in keys.CASE_ONLY_KEYS}
    for key, value in given.items():
        try:
            keys.check_key(key, value, known)
        except ConvdiffError as error:
            line = key_line(text, "defaults", 0, key)
            raise ConvdiffError(f"{path}:{line}: [defaults] {error}") from None
    return given


def _outputs(path: Path, text: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(file, str) for file in given):
        raise ConvdiffError(
            f"{path}:{_top_level_line(text, 'outputs')}: outputs: found {given!r}, expected a list "
            "of files"
        )
    return tuple(_relative(file, path.parent) for file in given)


def _entry(
    path: Path,
    text: str,
    number: int,
    defaults: Mapping[str, Any],
    case: Mapping[str, Any],
    taken: set[str],
) -> Entry:
    """The entry of one case; its name must not be among those `taken` by earlier cases."""
    name = case.get("name", f"case-{number + 1}")
    merged = {**defaults, **case}
    entry = Entry(str(name), path, number, merged, frozenset(case), None, text)
    for key, value in case.items():
        try:
            keys.check_key(key, value)
        except ConvdiffError as error:
            # Not `located`: what the message begins with need not be a known key.
            line = key_line(text, "case", number, key)
            return replace(entry, problem=f"{path}:{line}: case {name}: {error}")
    missing = [key for key in ("input", "kernel") if key not in case]
    problem = None
    if name in taken:
        problem = entry.located(f"name: found {name!r} twice, expected a unique name")
    elif missing:
        problem = entry.located(
            f"{' and '.join(missing)}: found none, expected a file: "
            f'{missing[0]} = "{missing[0]}.npy"'
        )
    files_resolved = {key: _resolved(key, value, path.parent) for key, value in merged.items()}
    return replace(entry, keys=files_resolved, problem=problem)


def _resolved(key: str, value: Any, folder: Path) -> Any:
    """The value of a key of the manifest in `folder`, with files relative to the current folder."""
    if key in ("input", "kernel", "bias"):
        return _relative(value, folder)
    if key == "saved":
        if isinstance(value, dict):
            return {name: _relative(file, folder) for name, file in value.items()}
        return [_relative(file, folder) for file in keys.option_values(value)]
    if key == "call":
        return [_resolved_call(text, folder) for text in keys.option_values(value)]
    return value


def _resolved_call(text: str, folder: Path) -> str:
    name, equals, code = text.partition("=")
    match = _FUNCTION.fullmatch(code.strip())
    if not equals or not match:
        return text
    return f"{name}={_relative(match['file'], folder)}:{match['function']}"


def _relative(file: str, folder: Path) -> str:
    return os.path.normpath(folder / file)
