"""What runs on a machine of the cluster: one case, with its arrays, on the frameworks that are
there.

Each process there starts its framework workers once and keeps them for all cases; they end when it
does.  Cases that need them take turns, those of saved outputs alone do not.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from convdiff import __version__
from convdiff.backends.environments import Environment
from convdiff.backends.fleet import Fleet
from convdiff.check.cluster_imports import together
from convdiff.check.tasks import SavedCase, judged, light
from convdiff.errors import ConvdiffError
from convdiff.pipeline.dispatch import dispatch
from convdiff.pipeline.load_case import load_case
from convdiff.pipeline.request import Request
from convdiff.pipeline.row_names import parse_saved
from convdiff.pipeline.select_backends import select_backends
from convdiff.pipeline.select_paths import select_paths
from convdiff.records import Report

_TURN = threading.Lock()
_FLEETS: dict[tuple[tuple[Environment, ...], float], Fleet] = {}


@dataclass(frozen=True)
class Parcel:
    """A request whose files are named relative to nowhere, and what is in them."""

    request: Request
    files: Mapping[str, bytes]

    @staticmethod
    def of(request: Request) -> Parcel:
        """Read every file that the request names.  ConvdiffError for one that cannot be read."""
        files: dict[str, bytes] = {}

        def taken(text: str, prefix: str = "") -> str:
            file, colon, key = _split(text)
            name = f"{len(files)}{Path(file).suffix}"
            try:
                files[name] = Path(file).read_bytes()
            except OSError as error:
                why = error.strerror or error
                raise ConvdiffError(
                    f"{prefix}{file}: cannot be read ({why}), expected file.npy or file.npz:key"
                ) from None
            return f"{name}{colon}{key}"

        def named(text: str, prefix: str) -> str:
            name, file = parse_saved(text)
            return f"{name or Path(_split(file)[0]).stem}={taken(file, prefix)}"

        moved = replace(
            request,
            input=taken(request.input, "input "),
            kernel=taken(request.kernel, "kernel "),
            bias=None if request.bias is None else taken(request.bias, "--bias "),
            saved=tuple(named(text, "--saved ") for text in request.saved),
            calls=tuple(_call(text, files) for text in request.calls),
        )
        return Parcel(moved, files)

    def at(self, folder: Path) -> Request:
        """The request, once its files are in `folder`."""
        for name, data in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

        def here(text: str) -> str:
            return str(folder / text)

        request = self.request
        saved = tuple(
            "=".join([name, here(file)])
            for name, _, file in (text.partition("=") for text in request.saved)
        )
        calls = []
        for name, _, code in (text.partition("=") for text in request.calls):
            calls.append(f"{name}={here(code) if code.partition(':')[0] in self.files else code}")
        return replace(
            request,
            input=here(request.input),
            kernel=here(request.kernel),
            bias=None if request.bias is None else here(request.bias),
            saved=saved,
            calls=tuple(calls),
        )


def run(parcel: Parcel) -> Report | ConvdiffError:
    """The report on a case, or what is wrong with it; its files are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="convdiff-case-") as folder:
        try:
            request = parcel.at(Path(folder))
            chosen = select_backends(request)
            if not chosen.environments:
                return light(SavedCase(request, chosen).run())
            with _TURN:
                case = load_case(request, chosen)
                fleet = _fleet(tuple(e for e in chosen.environments if e.usable), request.timeout)
                chosen = select_paths(chosen, fleet, request.paths, case.spec.dtype)
                _, answers = dispatch(
                    case, chosen, fleet, align=request.align, repeat=request.repeat
                )
                return judged(case, list(answers), request)
        except ConvdiffError as error:
            return ConvdiffError(str(error).replace(f"{folder}/", ""))


def version() -> str:
    """That of convdiff there."""
    return __version__


def _fleet(environments: tuple[Environment, ...], timeout: float) -> Fleet | None:
    if not environments:
        return None
    key = environments, timeout
    if key not in _FLEETS:
        _FLEETS[key] = Fleet(environments, timeout=timeout)
        _FLEETS[key].start()
    return _FLEETS[key]


def _split(text: str) -> tuple[str, str, str]:
    """File, colon and key."""
    if ":" in text and not Path(text).exists():
        file, _, key = text.rpartition(":")
        return file, ":", key
    return text, "", ""


def _call(text: str, files: dict[str, bytes]) -> str:
    """A call of a function in a file takes the file along, with the modules beside it that it
    imports.
    """
    name, _, code = text.partition("=")
    stem, colon, function = code.partition(".py:")
    file = Path(f"{stem}.py")
    if not colon or not file.is_file():
        return text
    folder = f"call{len(files)}"
    try:
        files.update({f"{folder}/{beside}": data for beside, data in together(file).items()})
    except OSError as error:
        raise ConvdiffError(
            f"--call {error.filename}: cannot be read ({error.strerror or error}), expected a "
            "module"
        ) from None
    return f"{name}={folder}/{file.name}:{function}"
