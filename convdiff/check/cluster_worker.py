"""Checks one case on a machine of the cluster.

The case comes with its arrays and runs on the frameworks that are installed there.

Each process of the cluster starts its framework workers once, keeps them for all of its cases, and
ends them when it ends.  Cases that need the workers run one after another; cases of saved outputs
alone run side by side.
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
from convdiff.check.cluster_imports import file_with_local_imports
from convdiff.check.tasks import SavedCase, judge_answers, without_arrays
from convdiff.errors import ConvdiffError
from convdiff.pipeline.dispatch import dispatch
from convdiff.pipeline.load_case import load_case
from convdiff.pipeline.request import Request
from convdiff.pipeline.row_names import parse_saved
from convdiff.pipeline.select_backends import select_backends
from convdiff.pipeline.select_paths import select_paths
from convdiff.records import Report

_FRAMEWORK_LOCK = threading.Lock()
_FLEETS: dict[tuple[tuple[Environment, ...], float], Fleet] = {}


@dataclass(frozen=True)
class Parcel:
    """A request together with the contents of its files.

    The request names each file by its key in `files`, a path relative to wherever they are
    unpacked.
    """

    request: Request
    files: Mapping[str, bytes]

    @staticmethod
    def pack(request: Request) -> Parcel:
        """Read every file that the request names.  ConvdiffError for one that cannot be read."""
        files: dict[str, bytes] = {}

        def add(text: str, prefix: str = "") -> str:
            file, colon, key = _split_key(text)
            name = f"{len(files)}{Path(file).suffix}"
            try:
                files[name] = Path(file).read_bytes()
            except OSError as error:
                raise ConvdiffError(
                    f"{prefix}{file}: cannot be read ({error.strerror or error}), expected "
                    "file.npy or file.npz:key"
                ) from None
            return f"{name}{colon}{key}"

        def add_named(text: str, prefix: str) -> str:
            name, file = parse_saved(text)
            return f"{name or Path(_split_key(file)[0]).stem}={add(file, prefix)}"

        packed = replace(
            request,
            input=add(request.input, "input "),
            kernel=add(request.kernel, "kernel "),
            bias=None if request.bias is None else add(request.bias, "--bias "),
            saved=tuple(add_named(text, "--saved ") for text in request.saved),
            calls=tuple(_add_call(text, files) for text in request.calls),
        )
        return Parcel(packed, files)

    def unpack(self, folder: Path) -> Request:
        """The request, with its files written to `folder`."""
        for name, data in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

        def located(text: str) -> str:
            return str(folder / text)

        def located_call(text: str) -> str:
            name, _, code = text.partition("=")
            return f"{name}={located(code) if code.partition(':')[0] in self.files else code}"

        def located_saved(text: str) -> str:
            name, _, file = text.partition("=")
            return f"{name}={located(file)}"

        request = self.request
        return replace(
            request,
            input=located(request.input),
            kernel=located(request.kernel),
            bias=None if request.bias is None else located(request.bias),
            saved=tuple(map(located_saved, request.saved)),
            calls=tuple(map(located_call, request.calls)),
        )


def run(parcel: Parcel) -> Report | ConvdiffError:
    """The report on a case, or the error that kept it from one; its files are removed again."""
    with tempfile.TemporaryDirectory(prefix="convdiff-case-") as folder:
        try:
            request = parcel.unpack(Path(folder))
            chosen = select_backends(request)
            if not chosen.environments:
                return without_arrays(SavedCase(request, chosen).run())
            with _FRAMEWORK_LOCK:
                case = load_case(request, chosen)
                fleet = _fleet(tuple(e for e in chosen.environments if e.usable), request.timeout)
                chosen = select_paths(chosen, fleet, request.paths, case.spec.dtype)
                _, answers = dispatch(
                    case, chosen, fleet, align=request.align, repeat=request.repeat
                )
                return judge_answers(case, list(answers), request)
        except ConvdiffError as error:
            return ConvdiffError(str(error).replace(f"{folder}/", ""))


def version() -> str:
    """The version of convdiff on this machine."""
    return __version__


def _fleet(environments: tuple[Environment, ...], timeout: float) -> Fleet | None:
    """This process's running fleet for these environments; None where there are none."""
    if not environments:
        return None
    key = environments, timeout
    if key not in _FLEETS:
        _FLEETS[key] = Fleet(environments, timeout=timeout)
        _FLEETS[key].start()
    return _FLEETS[key]


def _split_key(text: str) -> tuple[str, str, str]:
    """The file, the colon and the key of `file.npz:key`; without a key, the last two are empty."""
    if ":" in text and not Path(text).exists():
        file, _, key = text.rpartition(":")
        return file, ":", key
    return text, "", ""


def _add_call(text: str, files: dict[str, bytes]) -> str:
    """The call as the parcel names it.

    A call of a function in a file adds that file to `files`, with the modules beside it that it
    imports.
    """
    name, _, code = text.partition("=")
    stem, colon, function = code.partition(".py:")
    file = Path(f"{stem}.py")
    if not colon or not file.is_file():
        return text
    folder = f"call{len(files)}"
    try:
        contents = file_with_local_imports(file)
    except OSError as error:
        raise ConvdiffError(
            f"--call {error.filename}: cannot be read ({error.strerror or error}), expected a "
            "module"
        ) from None
    files.update({f"{folder}/{path}": data for path, data in contents.items()})
    return f"{name}={folder}/{file.name}:{function}"
